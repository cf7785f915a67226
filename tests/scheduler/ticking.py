"""Schedules that tests let tick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from taskbridge.router import router
from taskbridge.scheduler.ticks import Ticks
from taskbridge.schedules import Every, Schedule
from tests.scheduler import shop

PATIENCE = timedelta(seconds=45)
DAY = timedelta(days=1)


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
