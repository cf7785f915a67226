"""Periodic tasks: each tick is enqueued once, whoever dies; missed ticks, jitter, expiry, overlap."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import threading
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

import taskbridge
from taskbridge import Retry
from taskbridge.errors import BrokerUnavailable, UnsupportedFeature
from taskbridge.message import Tick
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.scheduler.ticks import LONGEST_REST, Ticks
from taskbridge.schedules import Every, Schedule, schedules
from taskbridge.store import DetailStatus
from taskbridge.testing import MemoryBackend
from tests.scheduler import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=45)
DAY = timedelta(days=1)


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    taskbridge.configure("memory://")
    opened = router.backend()
    assert isinstance(opened, MemoryBackend)
    yield opened
    router.configure(None)


def store() -> Any:
    return router.store()


def schedule(**options: Any) -> Schedule:
    """A schedule whose last tick was some hours ago, and whose next is in some hours."""
    chosen: dict[str, Any] = {"name": "daily", "task": shop.note, "timetable": mid_phase(), "args": ("", "")}
    return Schedule(**{**chosen, **options})


def mid_phase() -> Every:
    """An interval of a day or two in whose middle we are."""
    since = datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    spans = (timedelta(minutes=minutes) for minutes in range(1440, 2880))
    return Every(next(span for span in spans if 0.3 < since / span % 1 < 0.7))


def wind_back(name: str, span: timedelta) -> None:
    """As if no scheduler had run for so long."""
    statement = "UPDATE taskbridge_schedules SET done_until = done_until - ? WHERE name = ?"
    store()._execute(statement, (span // timedelta(microseconds=1), name))


def begin(*entered: Schedule) -> Ticks:
    duty = Ticks("default", store(), entered)
    duty.beat()
    return duty


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


@pytest.mark.parametrize("step", ["claimed", "enqueued"])
def test_a_scheduler_that_is_killed_at_any_step_leaves_one_run_of_the_tick(tmp_path: Path, step: str) -> None:
    url, noted = f"huey+sqlite:///{tmp_path}/queue.db", tmp_path / "noted"
    taskbridge.configure(url)
    duty = begin(shop.daily(str(noted)))
    wind_back("daily", DAY)
    argv = (sys.executable, "-m", "tests.scheduler.dying", "tick", url, step, str(noted))
    with Process(Command(argv=argv, directory=ROOT), log=tmp_path / "log") as scheduler:
        scheduler.wait_for_line(f"^{step}$", within=PATIENCE)
        os.kill(scheduler.pid, signal.SIGKILL)
    # The claim of the dead ends, and another enqueues the tick, under the same id.
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while store().standings(["daily"])["daily"].last_tick is None:
        assert time.monotonic() < deadline
        duty.beat()
        time.sleep(0.1)
    with closing(sqlite3.connect(tmp_path / "queue.db")) as connection, connection:
        ((waiting,),) = connection.execute("SELECT count(*) FROM task")
    assert waiting == (1 if step == "claimed" else 2)
    shop.note.enqueue(str(noted), "sentinel")
    worker = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.scheduler.shop", "--no-scheduler")
    command = Command(argv=worker, environment={"TASKBRIDGE_URL": url}, directory=ROOT)
    with Process(command, log=tmp_path / "worker") as running:
        running.wait_until(lambda: noted.exists() and "sentinel" in noted.read_text(), within=PATIENCE)
    assert noted.read_text().count("tick") == 1
    router.configure(None)


def test_three_schedulers_enqueue_each_tick_once_while_two_of_them_end(redis_server: Server, tmp_path: Path) -> None:
    url = redis_server.fresh_url()
    client: Any = Redis.from_url(url)

    def seen() -> list[datetime]:
        texts = [text.decode() for key in client.keys("default*") for text in client.lrange(key, 0, -1)]
        found = [match for text in texts for match in re.findall(r'nominal[\\":]+([0-9T:Z+-]+)', text)]
        return sorted(datetime.fromisoformat(each) for each in found)

    argv = (sys.executable, "-m", "taskbridge", "scheduler", "-A", "tests.scheduler.clockwork")
    command = Command(argv=argv, environment={"TASKBRIDGE_URL": f"celery+{url}"}, directory=ROOT)
    with ExitStack() as stack:
        running = [stack.enter_context(Process(command, log=tmp_path / f"log{number}")) for number in range(3)]
        for each in running:
            each.wait_for_line("started for .*ticks:default", within=PATIENCE)

        def holder() -> Process:
            for each in running:
                each.wait_until(
                    lambda: any("took over the duty ticks" in other.output() for other in running), within=PATIENCE
                )
            return next(each for each in running if "took over the duty ticks" in each.output())

        def wait_for(count: int) -> None:
            running[-1].wait_until(lambda: len(seen()) >= count, within=PATIENCE, what=f"seen to tick {count} times")

        wait_for(2)
        killed = holder()
        running.remove(killed)
        os.kill(killed.pid, signal.SIGKILL)
        before = len(seen())
        wait_for(before + 3)
        stopped = holder()
        running.remove(stopped)
        stopped.send(signal.SIGTERM)
        assert stopped.wait(within=PATIENCE) == 0
        before = len(seen())
        wait_for(before + 2)
    found = seen()
    # Nothing is missing and nothing is double, although who enqueued it changed twice.
    assert found == [found[0] + timedelta(seconds=number) for number in range(len(found))]
    client.close()
