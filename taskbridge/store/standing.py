"""How far the schedule of a periodic task has come."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from taskbridge.store.columns import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = ("name", "timetable", "done_until", "is_paused", "last_tick", "last_job")


class Standing(Struct, frozen=True, kw_only=True):
    """What the store knows of one schedule; times are aware."""

    name: str
    timetable: str
    done_until: datetime
    """Ticks up to here are done with, enqueued or not."""
    is_paused: bool
    last_tick: datetime | None
    """The nominal time of the last tick that was enqueued."""
    last_job: str | None
    """Its job's id."""


def standing(row: Sequence[Any]) -> Standing:
    """From the values of `COLUMNS`, as numbers or as text."""
    name, timetable, done_until, is_paused, last_tick, last_job = row
    return Standing(
        name=name,
        timetable=timetable,
        done_until=moment(int(done_until)),
        is_paused=bool(int(is_paused)),
        last_tick=None if last_tick is None else moment(int(last_tick)),
        last_job=last_job,
    )
