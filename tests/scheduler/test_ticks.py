"""Periodic tasks: each tick is enqueued once, whoever dies; missed ticks, jitter, expiry, overlap."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge import Retry
from taskbridge.errors import BrokerUnavailable, UnsupportedFeature
from taskbridge.message import Tick
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.scheduler.ticks import LONGEST_REST, Ticks
from taskbridge.schedules import Every, schedules
from taskbridge.store import DetailStatus
from taskbridge.testing import MemoryBackend
from tests.scheduler import shop
from tests.scheduler.ticking import DAY, PATIENCE, begin, schedule, store, wind_back

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    taskbridge.configure("memory://")
    opened = router.backend()
    assert isinstance(opened, MemoryBackend)
    yield opened
    router.configure(None)


def nominals(backend: MemoryBackend) -> list[datetime]:
    return [tick.nominal for job in backend.jobs if (tick := job.headers and job.headers.tick)]


def test_a_new_schedule_begins_with_its_next_tick(backend: MemoryBackend) -> None:
    begin(schedule()).beat()
    assert backend.jobs == []


def test_a_tick_is_enqueued_once_under_an_id_of_its_own(backend: MemoryBackend) -> None:
    daily = schedule()
    duty = begin(daily)
    wind_back("daily", DAY)
    assert duty.beat() == LONGEST_REST
    (nominal,) = nominals(backend)
    assert nominal == daily.timetable.latest(nominal - 2 * DAY, datetime.now(UTC))
    assert [job.id for job in backend.jobs] == [daily.job_id(nominal)]
    # Neither again, nor by another scheduler, nor by one that saw nothing of it.
    duty.beat()
    Ticks("default", store(), [daily]).beat()
    assert len(backend.jobs) == 1
    standing = store().standings(["daily"])["daily"]
    assert (standing.last_tick, standing.last_job) == (nominal, daily.job_id(nominal))


@pytest.mark.parametrize(("missed", "count"), [("latest", 1), ("all", 5), ("skip", 0)])
def test_of_missed_ticks_the_policy_says_what_is_enqueued(backend: MemoryBackend, missed: str, count: int) -> None:
    daily = schedule(missed=missed)
    duty = begin(daily)
    wind_back("daily", 5 * daily.timetable.interval)  # type: ignore[attr-defined]  # an Every
    duty.beat()
    duty.beat()
    assert len(nominals(backend)) == count
    assert nominals(backend) == sorted(nominals(backend))
    last = daily.timetable.latest(datetime.now(UTC) - 5 * DAY, datetime.now(UTC))
    assert store().standings(["daily"])["daily"].done_until == last


def test_a_tick_that_is_a_little_late_is_not_missed(backend: MemoryBackend) -> None:
    often = schedule(timetable=Every(timedelta(seconds=1)), missed="skip")
    duty = begin(often)
    wind_back("daily", timedelta(seconds=20))
    duty.beat()
    assert len(backend.jobs) == 1


def test_a_tick_expires_when_the_next_one_comes(backend: MemoryBackend) -> None:
    daily = schedule()
    job = daily.enqueue(datetime.now(UTC), datetime.now(UTC))
    (message,) = backend.jobs
    assert message.id == job.id
    assert message.headers is not None
    assert message.headers.tick is not None
    assert message.headers.expires == daily.timetable.after(message.headers.tick.nominal)


def test_what_is_made_up_for_has_a_whole_period(backend: MemoryBackend) -> None:
    daily, now = schedule(missed="all"), datetime.now(UTC)
    nominal = daily.timetable.after(now - 3 * DAY)
    daily.enqueue(nominal, now)
    (message,) = backend.jobs
    assert message.headers is not None
    assert message.headers.expires == now + (daily.timetable.after(nominal) - nominal)


def test_another_expiry_and_none_are_heeded(backend: MemoryBackend) -> None:
    now = datetime.now(UTC)
    schedule(expires=timedelta(minutes=5)).enqueue(now, now)
    schedule(name="b", expires=None).enqueue(now, now)
    schedule(name="c", task=shop.note.using(expires=DAY)).enqueue(now, now)
    limits = [job.headers.expires for job in backend.jobs if job.headers]
    assert limits[:2] == [now + timedelta(minutes=5), None]
    assert limits[2] is not None
    assert timedelta(0) <= limits[2] - now - DAY < timedelta(minutes=1)


def test_jitter_is_the_same_for_the_same_tick_and_spreads_others(backend: MemoryBackend) -> None:
    now = datetime.now(UTC)
    jitter = timedelta(hours=1)
    for name in ("a", "a", "b", "c"):
        schedule(name=name, jitter=jitter).enqueue(now, now)
    starts = [job.run_after for job in backend.jobs]
    assert all(start is not None and now <= start < now + jitter for start in starts)
    assert starts[0] == starts[1]
    assert len(set(starts)) == 3


def test_a_schedule_that_fails_stops_no_other_and_a_broker_that_is_away_is_told(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = schedule(name="bad", task=shop.note.using(queue_name="unlisted"))
    duty = begin(bad, schedule())
    for name in ("bad", "daily"):
        wind_back(name, 2 * DAY)
    assert duty.beat() == LONGEST_REST
    assert [tick.schedule for job in backend.jobs if (tick := job.headers and job.headers.tick)] == ["daily"]

    def away(_messages: object) -> None:
        raise BrokerUnavailable("away", maybe_accepted=True)

    wind_back("daily", 2 * DAY)
    monkeypatch.setattr(backend, "enqueue", away)
    with pytest.raises(BrokerUnavailable):
        duty.beat()
    monkeypatch.undo()
    # Its claim was given back.
    duty.beat()
    assert len(backend.jobs) == 2


def test_of_a_tick_that_was_enqueued_twice_one_job_runs(backend: MemoryBackend, tmp_path: Path) -> None:
    daily, now = shop.daily(str(tmp_path / "noted")), datetime.now(UTC)
    first, second = (daily.enqueue(now, now) for _ in range(2))
    assert first.id == second.id
    assert len(backend.jobs) == 2
    backend.run_all()
    assert (tmp_path / "noted").read_text().count("tick") == 1
    first.refresh()
    assert first.detail_status is DetailStatus.SUCCESSFUL


def send(task: Any, tick: int, *args: Any) -> Any:
    """A job of the schedule `alone`, which does not overlap."""
    at = datetime(2026, 1, tick, tzinfo=UTC)
    return router.bind(task).send_tick(f"tick{tick}", args, {}, Tick("alone", at, is_alone=True))


def test_a_tick_is_not_run_while_another_runs(backend: MemoryBackend, tmp_path: Path) -> None:
    begun, opened = tmp_path / "begun", tmp_path / "opened"
    send(shop.hold, 1, str(begun), str(opened))
    running = threading.Thread(target=backend.run_all)
    running.start()
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    skipped = send(shop.note, 2, str(tmp_path / "noted"), "second")
    backend.run_all()
    assert not (tmp_path / "noted").exists()
    skipped.refresh()
    assert skipped.detail_status is DetailStatus.EXPIRED
    opened.touch()
    running.join(PATIENCE.total_seconds())
    send(shop.note, 3, str(tmp_path / "noted"), "third")
    backend.run_all()
    assert (tmp_path / "noted").read_text().startswith("third")


def test_a_tick_holds_its_place_between_its_attempts(backend: MemoryBackend, tmp_path: Path) -> None:
    policy = Retry(2, delay=timedelta(minutes=5), jitter=False, on=(Exception,))
    send(shop.fail.using(retry=policy), 1)
    backend.run_all()
    send(shop.note, 2, str(tmp_path / "noted"), "second")
    backend.run_all()
    assert not (tmp_path / "noted").exists()
    backend.run_all(until=datetime.now(UTC) + timedelta(minutes=6))
    send(shop.note, 3, str(tmp_path / "noted"), "third")
    backend.run_all()
    assert (tmp_path / "noted").read_text().startswith("third")


def test_without_a_store_a_schedule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "_schedules", {"daily": schedule(task=shop.plain, args=())})
    taskbridge.configure("celery+amqp://127.0.0.1:1")
    with pytest.raises(UnsupportedFeature, match=r"daily.*\?store="), scheduling(("default",), print):
        pass
    router.configure(None)


def test_what_the_backend_refuses_is_refused_when_scheduling_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    taskbridge.configure("rq+redis://127.0.0.1:1?workers=native")
    for options, words in (({}, "expires"), ({"expires": None, "overlap": "skip"}, "overlap='skip'")):
        declared = schedule(task=shop.plain, args=(), **options)
        monkeypatch.setattr(schedules, "_schedules", {"daily": declared})
        with pytest.raises(UnsupportedFeature, match=words), scheduling(("default",), print):
            pass
    router.configure(None)
