"""Schedules in this process, for tests."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store import columns
from taskbridge.store.standing import standing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from taskbridge.store.standing import Standing

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class _Row:
    timetable: str
    done_until: int
    is_paused: int = 0
    token: int = 0
    claimed_until: int = 0
    last_tick: int | None = None
    last_job: str | None = None

    def standing(self, name: str) -> Standing:
        return standing((name, self.timetable, self.done_until, self.is_paused, self.last_tick, self.last_job))


class MemoryScheduleStore:
    """A `ScheduleStore` that dies with the process."""

    def __init__(self) -> None:
        self._schedules: dict[str, _Row] = {}
        self._ticking = threading.Lock()

    def enter(self, name: str, timetable: str, /) -> Standing:
        with self._ticking:
            row = self._schedules.setdefault(name, _Row(timetable, columns.now()))
            if row.timetable != timetable:
                row.timetable, row.done_until = timetable, max(row.done_until, columns.now())
            return row.standing(name)

    def standings(self, names: Sequence[str], /) -> dict[str, Standing]:
        with self._ticking:
            return {name: self._schedules[name].standing(name) for name in names if name in self._schedules}

    def claim_tick(self, name: str, nominal: datetime, /, *, span: timedelta) -> int | None:
        with self._ticking:
            now, at, row = columns.now(), columns.microseconds(nominal), self._schedules.get(name)
            if row is None or row.is_paused or not row.done_until < at <= now or row.claimed_until > now:
                return None
            row.token, row.claimed_until = max(row.token + 1, now), now + span // _MICROSECOND
            return row.token

    def tick_done(self, name: str, nominal: datetime, token: int, /, *, job_id: str) -> bool:
        with self._ticking:
            row = self._schedules.get(name)
            if row is None or row.token != token:
                return False
            row.done_until = row.last_tick = columns.microseconds(nominal)
            row.last_job, row.claimed_until = job_id, 0
            return True

    def release_tick(self, name: str, token: int, /) -> None:
        with self._ticking:
            row = self._schedules.get(name)
            if row is not None and row.token == token:
                row.claimed_until = 0

    def pass_over(self, name: str, until: datetime, /) -> None:
        with self._ticking:
            row = self._schedules.get(name)
            if row is not None and row.claimed_until <= columns.now():
                row.done_until = max(row.done_until, columns.microseconds(until))

    def pause(self, name: str, /) -> bool:
        with self._ticking:
            row = self._schedules.get(name)
            if row is not None:
                row.is_paused = 1
            return row is not None

    def resume(self, name: str, /) -> bool:
        with self._ticking:
            row = self._schedules.get(name)
            if row is not None and row.is_paused:
                row.is_paused, row.done_until = 0, max(row.done_until, columns.now())
            return row is not None
