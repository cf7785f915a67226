"""What two experiments need before the first worker of a station starts: jobs that wait."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taskbridge_compare.ledger import NotSeen
from taskbridge_compare.place import START_SECONDS
from taskbridge_compare.station import Refused

if TYPE_CHECKING:
    from taskbridge_compare.station import Station

_BEHIND_SECONDS = 5.0
SENTINEL = "waiting.sentinel"
# As enqueued, with the rank that a checker compares: larger should run sooner.
RANKS = (("low", 1), ("high", 3), ("normal", 2), ("low", 1), ("high", 3), ("normal", 2))


def prepare(station: Station, *, expires: float) -> None:
    """Enqueue the waiting jobs, let one of them expire, then start the worker and wait for the last."""
    short = station.workload.of_role("short")
    station.prepared["expiry"] = station.key("expiry")
    with contextlib.suppress(Refused):
        station.enqueue(short, station.prepared["expiry"], expires=expires)
    for number, (priority, _) in enumerate(RANKS):
        key = station.prepared[f"priority.{number}"] = station.key(f"priority.{number}")
        with contextlib.suppress(Refused):
            station.enqueue(short, key, priority=priority)
    # The jobs' own time has to pass: nothing but the clock can make a job expire.
    station.ledger.pause(expires + 0.3)
    station.start_worker()
    station.prepared[SENTINEL] = station.sentinel("waiting", seconds=START_SECONDS)
    for number in range(len(RANKS)):  # of lower priority than the sentinel
        key = station.prepared[f"priority.{number}"]
        if key in station.ids:
            with contextlib.suppress(NotSeen):
                station.wait_end(key, seconds=_BEHIND_SECONDS)
