"""A worker stands still past its lease and goes on, beside the one that was given its job: a zombie.

Once the zombie has ended its body, the worker of the replacement is killed in the middle. What the zombie could have
acknowledged in the other's name is lost then, and seen to be.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskbridge_compare.gauntlet.fault import Fault
from taskbridge_compare.gauntlet.worker_faults import kill
from taskbridge_compare.place import StationError
from taskbridge_compare.worker_tree import freeze, pids, thaw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.process import Process
    from taskbridge_compare.gauntlet.drill import Drill
    from taskbridge_compare.gauntlet.jobs import Job

HELD_SECONDS = 4.0
"""What a job that is paused takes: its replacement still runs when the zombie has ended."""
PAUSE_SECONDS = 25.0
"""For so long at most; shorter where another has begun the job. RabbitMQ's leases are its heartbeats, and longer."""

_START_SECONDS = 60.0
_ZOMBIE_SECONDS = 10.0
_SETTLED_SECONDS = 0.3
_LOOK_SECONDS = 0.05
_LOCK_SECONDS = 0.5
_LOCK_TRIES = 20
_BETWEEN_TRIES = 0.02


def _drive(drill: Drill) -> None:
    drill.station.start_worker()
    drill.station.start_second()
    size = len(drill.jobs) // (drill.size.strikes + 1) + 1
    for number, first in enumerate(range(0, len(drill.jobs), size)):
        jobs = drill.jobs[first : first + size]
        if number < drill.size.strikes:
            _strike(drill, [replace(jobs[0], hold=HELD_SECONDS), *jobs[1:]], number)
        else:
            drill.enqueue(jobs)


def _strike(drill: Drill, jobs: Sequence[Job], number: int) -> None:
    key = jobs[0].key
    drill.enqueue(jobs)
    begun = drill.sight.wait(lambda event: event.kind == "start" and event.key == key, seconds=_START_SECONDS)
    if begun is None:
        return
    first, second = drill.station.start_worker(), drill.station.start_second()
    paused, other = (first, second) if begun.pid in pids(first) else (second, first)
    still = _stopped(drill, paused)
    drill.write("fault", fault="pause", number=number, pids=still)
    held = drill.sight.running_in(still)
    replaced = drill.sight.wait(
        lambda event: event.kind == "start" and event.key == key and event.pid not in still, seconds=PAUSE_SECONDS
    )
    # Before they go on: what they begin then is the resumed worker's.
    drill.write("resumed", number=number)
    thaw(paused)
    if replaced is None:
        return
    drill.sight.wait(
        lambda event: event.kind in ("end", "raise") and event.key == key and event.pid in still,
        seconds=_ZOMBIE_SECONDS,
    )
    drill.station.ledger.pause(_SETTLED_SECONDS)
    drill.sight.look()
    elsewhere = [event for event in drill.station.ledger.events() if event.pid not in still]
    begun_again = {event.key for event in elsewhere if event.kind == "start"}
    # The zombie's own ends complete nothing.
    drill.sight.done -= held & begun_again - {event.key for event in elsewhere if event.kind == "end"}
    kill(drill, other, drill.size.strikes + number)
    drill.station.start_worker()
    drill.station.start_second()
    # A job that the next strikes met again would spend its crash budget.
    until = time.monotonic() + drill.size.patience
    while not held <= drill.sight.done and time.monotonic() < until:
        drill.station.ledger.pause(_LOOK_SECONDS)
        drill.sight.look()


def _stopped(drill: Drill, worker: Process) -> list[int]:
    """Stop every process of the worker, at a moment when none of them keeps all others out of a queue's file."""
    for _ in range(_LOCK_TRIES):
        still = freeze(worker)
        if drill.station.driver.broker != "sqlite" or _is_free(urlsplit(drill.broker_url).path[1:]):
            return still
        thaw(worker)
        drill.station.ledger.pause(_BETWEEN_TRIES)
    raise StationError("the worker could not be stopped at a moment when it has no lock")


def _is_free(path: str) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as file:
        try:
            file.execute("begin exclusive")
            file.execute("rollback")
        except sqlite3.OperationalError:
            return False
    return True


PAUSE = Fault(name="pause", title="worker paused past its lease", drive=_drive)
