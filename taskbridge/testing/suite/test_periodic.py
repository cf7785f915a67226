"""Periodic tasks: each tick runs once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskbridge.router import router
from taskbridge.scheduler.ticks import Ticks
from taskbridge.schedules import Every, Schedule
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


def schedule(key: str, **options: Any) -> Schedule:
    """Of a task that notes its runs under this key."""
    return Schedule(name=key, task=tasks.note, args=(key,), timetable=Every(timedelta(seconds=1)), **options)


@behaviour("dead_letters", "expires")
def test_a_periodic_task_ticks_and_each_tick_runs_once(stage: Stage) -> Iterator[None]:
    store = router.store()
    assert store is not None, "a backend that keeps dead letters has a store"
    key = stage.key()
    schedulers = [Ticks("default", store, [schedule(key, missed="all", expires=None)]) for _ in range(2)]
    for scheduler in schedulers:
        scheduler.beat()
    begun = store.standings([key])[key].done_until
    yield
    stage.until(lambda: now() > begun + timedelta(seconds=3), "three seconds to pass")
    for scheduler in schedulers:
        scheduler.beat()
    ticks = (store.standings([key])[key].done_until - begun) // timedelta(seconds=1) + 1
    assert ticks >= 2
    stage.wait(key, "end", count=ticks)
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == ticks


@behaviour("dead_letters", "expires")
def test_a_tick_that_two_schedulers_have_enqueued_runs_once(stage: Stage) -> Iterator[None]:
    ticks = [stage.key() for _ in range(5)]
    for key in ticks:
        at = now()
        for _ in range(2):
            schedule(key, expires=None).enqueue(at, at)
    yield
    for key in ticks:
        stage.wait(key, "end")
    stage.settled()
    for key in ticks:
        assert len(stage.ledger.events(key, "start")) == 1
