"""The duty of periodic tasks: each tick is enqueued once, by whichever scheduler has claimed it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from taskbridge.errors import BrokerUnavailable, StoreUnavailable, UnsupportedFeature
from taskbridge.schedules import known_schedules
from taskbridge.schedules.schedule import LATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.scheduler.duty import Duty
    from taskbridge.schedules import Schedule
    from taskbridge.store import ScheduleStore, Standing, Store

logger = logging.getLogger("taskbridge.scheduler")

SPAN: Final = timedelta(seconds=30)
"""After this time another may claim a tick whose scheduler has died; longer than an enqueue takes to fail."""
LONGEST_REST: Final = timedelta(seconds=10)
AGAIN: Final = timedelta(seconds=0.5)
"""When a tick is looked at again that could not be had: another scheduler's, or early by the store's clock."""
AT_ONCE: Final = 50
"""Missed ticks of one schedule that one beat makes up for."""


class Ticks:
    """Enqueues what the schedules of one backend say.

    A tick is claimed, enqueued under the id that it always has, and marked. Who dies before the enqueue leaves the tick
    to another; who dies after it too, and the workers run one of the two.
    """

    def __init__(self, alias: str, store: ScheduleStore, schedules: Sequence[Schedule]) -> None:
        self.name = f"ticks:{alias}"
        self._store = store
        self._schedules = schedules
        self._failed: dict[str, float] = {}
        """Until when each schedule that failed is left alone."""

    def beat(self) -> timedelta:
        """Enqueue what is due."""
        standings = self._store.standings([schedule.name for schedule in self._schedules])
        rests = [self._look_after(schedule, standings.get(schedule.name)) for schedule in self._schedules]
        return min([LONGEST_REST, *rests])

    def _look_after(self, schedule: Schedule, standing: Standing | None) -> timedelta:
        """`_keep`, so that one schedule that fails stops no other."""
        if time.monotonic() < self._failed.get(schedule.name, 0.0):
            return LONGEST_REST
        try:
            return self._keep(schedule, standing)
        except (BrokerUnavailable, StoreUnavailable):
            raise
        except Exception:
            logger.exception("A tick of the schedule %s is not enqueued, and tried again later.", schedule.name)
            self._failed[schedule.name] = time.monotonic() + LONGEST_REST.total_seconds()
            return LONGEST_REST

    def _keep(self, schedule: Schedule, standing: Standing | None) -> timedelta:
        """Enqueue what is due of one schedule; how long until it wants to be looked at again."""
        timetable = str(schedule.timetable)
        if standing is None or standing.timetable != timetable:
            standing = self._store.enter(schedule.name, timetable)
        if standing.is_paused:
            return LONGEST_REST
        now, done = datetime.now(UTC), standing.done_until
        for nominal in _due(schedule, done, now):
            if schedule.missed == "skip" and now - nominal > LATE:
                self._store.pass_over(schedule.name, nominal)
            elif not self._tick(schedule, nominal, now):
                return AGAIN
            done = nominal
        return max(timedelta(0), schedule.timetable.after(done) - datetime.now(UTC))

    def _tick(self, schedule: Schedule, nominal: datetime, now: datetime) -> bool:
        token = self._store.claim_tick(schedule.name, nominal, span=SPAN)
        if token is None:
            return False
        try:
            job = schedule.enqueue(nominal, now)
        except Exception:
            # The broker may have it all the same: then it gets the job twice, and the workers run one of the two.
            self._store.release_tick(schedule.name, token)
            raise
        self._store.tick_done(schedule.name, nominal, token, job_id=job.id)
        return True


def _due(schedule: Schedule, done: datetime, now: datetime) -> list[datetime]:
    if schedule.missed == "all":
        return list(islice(takewhile(lambda nominal: nominal <= now, _after(schedule, done)), AT_ONCE))
    latest = schedule.timetable.latest(done, now)
    return [] if latest is None else [latest]


def _after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    while True:
        moment = schedule.timetable.after(moment)
        yield moment


def ticks(alias: str, store: Store | None, /) -> Iterator[Duty]:
    """The duty, where a task of this backend is periodic.

    Raises:
        UnsupportedFeature: the backend has no store, or refuses something that a schedule asks for.
    """
    own = [schedule for schedule in known_schedules() if schedule.task.options.backend == alias]
    if not own:
        return
    for schedule in own:
        schedule.bind()
    if store is None:
        names = ", ".join(schedule.name for schedule in own)
        raise UnsupportedFeature(
            f"The schedule {names} is refused on {alias!r}: it needs a store in which a tick is claimed. Name one in "
            f"the backend's URL: ?store=redis://... or postgresql://..."
        )
    yield Ticks(alias, store, own)
