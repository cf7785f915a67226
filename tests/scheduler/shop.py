"""Tasks of the scheduler's tests, and a schedule."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import taskbridge
from taskbridge.schedules import Every, Schedule


@taskbridge.task(result=True)
def note(path: str, text: str) -> None:
    """Add a line: the text and the time."""
    with Path(path).open("a") as file:
        file.write(f"{text} {datetime.now(UTC).isoformat()}\n")


@taskbridge.task(result=True)
def hold(begun: str, opened: str) -> None:
    """Run until the file `opened` exists."""
    Path(begun).touch()
    while not Path(opened).exists():
        time.sleep(0.01)


@taskbridge.task
def fail() -> None:
    """Always."""
    raise RuntimeError("on purpose")


@taskbridge.task
def plain() -> None:
    """Asks for nothing."""


def daily(path: str) -> Schedule:
    """A schedule that has ticked for long."""
    return Schedule(name="daily", task=note, timetable=Every(timedelta(days=1)), args=(path, "tick"), missed="latest")
