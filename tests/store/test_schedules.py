"""What every store does with the schedules of periodic tasks, whatever it stands on."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.store import open_store

if TYPE_CHECKING:
    from taskbridge.store import Store

LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=60)


@pytest.fixture
def name() -> str:
    return f"schedule %s ? ü {uuid.uuid4().hex}"


def now() -> datetime:
    return datetime.now(UTC)


def soon(store: Store, name: str, *, span: timedelta = LONG) -> tuple[datetime, int]:
    """Claim a tick that has just come."""
    time.sleep(0.01)
    nominal = now() - timedelta(milliseconds=5)
    token = store.claim_tick(name, nominal, span=span)
    assert token is not None
    return nominal, token


def test_a_new_schedule_has_nothing_to_make_up_for(store: Store, name: str) -> None:
    assert store.standings([name, f"{name} other"]) == {}
    standing = store.enter(name, "every 60 s")
    assert abs(standing.done_until - now()) < timedelta(seconds=10)
    assert (standing.timetable, standing.is_paused, standing.last_tick, standing.last_job) == (
        "every 60 s", False, None, None
    )  # fmt: skip
    assert store.enter(name, "every 60 s") == standing
    assert store.standings([name, f"{name} other"]) == {name: standing}
    assert store.claim_tick(name, standing.done_until, span=LONG) is None


def test_a_changed_timetable_begins_anew_and_keeps_what_it_was(store: Store, name: str) -> None:
    store.enter(name, "every 60 s")
    nominal, token = soon(store, name)
    assert store.tick_done(name, nominal, token, job_id="job")
    before = now() - timedelta(milliseconds=5)
    time.sleep(0.01)
    changed = store.enter(name, "every 30 s")
    assert changed.done_until > before
    assert (changed.timetable, changed.last_job) == ("every 30 s", "job")


def test_a_tick_is_claimed_once_and_done_once(store: Store, name: str) -> None:
    store.enter(name, "t")
    nominal, token = soon(store, name)
    assert store.claim_tick(name, nominal, span=LONG) is None
    assert store.claim_tick(name, nominal - timedelta(microseconds=1), span=LONG) is None
    assert store.tick_done(name, nominal, token, job_id="job")
    standing = store.standings([name])[name]
    assert (standing.done_until, standing.last_tick, standing.last_job) == (nominal, nominal, "job")
    assert store.claim_tick(name, nominal, span=LONG) is None
    later, other = soon(store, name)
    assert other > token
    assert store.tick_done(name, later, other, job_id="next")


def test_the_claim_of_a_dead_scheduler_ends_and_its_token_is_worth_nothing_then(store: Store, name: str) -> None:
    store.enter(name, "t")
    nominal, token = soon(store, name, span=SHORT)
    deadline = time.monotonic() + 10
    while (taken := store.claim_tick(name, nominal, span=LONG)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert taken > token
    assert not store.tick_done(name, nominal, token, job_id="of a zombie")
    store.release_tick(name, token)
    assert store.claim_tick(name, nominal, span=LONG) is None
    assert store.tick_done(name, nominal, taken, job_id="job")


def test_a_tick_that_was_given_back_is_claimed_at_once(store: Store, name: str) -> None:
    store.enter(name, "t")
    nominal, token = soon(store, name)
    store.release_tick(name, token)
    again = store.claim_tick(name, nominal, span=LONG)
    assert again is not None
    assert again > token


def test_a_tick_that_is_still_to_come_by_the_servers_clock_is_not_claimed(store: Store, name: str) -> None:
    store.enter(name, "t")
    assert store.claim_tick(name, now() + LONG, span=LONG) is None


def test_what_is_passed_over_is_not_claimed(store: Store, name: str) -> None:
    store.enter(name, "t")
    time.sleep(0.01)
    nominal = now() - timedelta(milliseconds=5)
    store.pass_over(name, nominal)
    store.pass_over(name, nominal - LONG)
    assert store.standings([name])[name].done_until == nominal
    assert store.claim_tick(name, nominal, span=LONG) is None
    assert store.standings([name])[name].last_tick is None


def test_a_paused_schedule_does_not_tick_and_goes_on_from_now(store: Store, name: str) -> None:
    assert not store.pause(name)
    assert not store.resume(name)
    store.enter(name, "t")
    assert store.pause(name)
    time.sleep(0.01)
    nominal = now() - timedelta(milliseconds=5)
    assert store.claim_tick(name, nominal, span=LONG) is None
    assert store.standings([name])[name].is_paused
    time.sleep(0.02)
    assert store.resume(name)
    standing = store.standings([name])[name]
    assert not standing.is_paused
    assert standing.done_until > nominal
    # Once more changes nothing.
    assert store.resume(name)
    assert store.standings([name])[name] == standing
    soon(store, name)


def test_of_many_that_claim_a_tick_one_gets_it(durable_url: str, name: str) -> None:
    store = open_store(durable_url)
    store.enter(name, "t")
    time.sleep(0.01)
    nominals = [now() - timedelta(milliseconds=5)]

    def claim(_number: int) -> int:
        return sum(store.claim_tick(name, nominal, span=LONG) is not None for nominal in nominals * 5)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, range(8))) == 1
    store.close()
