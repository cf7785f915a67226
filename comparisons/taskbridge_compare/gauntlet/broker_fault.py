"""The broker dies: SIGKILL of the server, then a restart on the same data, while jobs are enqueued and run."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet.fault import Fault

if TYPE_CHECKING:
    from taskbridge_compare.gauntlet.drill import Drill

_TARGET_SECONDS = 60.0
_DOWN_SECONDS = 0.5
_SLICE = 5
_SLICE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class _Course:
    """How far the strikes and the producer have come. It keeps some jobs for each strike."""

    struck: int = 0
    sent: int = 0
    is_over: bool = False


def _drive(drill: Drill) -> None:
    half = len(drill.jobs) // 2
    drill.enqueue(drill.jobs[:half])
    drill.station.start_worker()
    # The others come while the broker dies: some enqueues are confirmed, some denied, and some in doubt.
    course = _Course(sent=half)
    producer = threading.Thread(target=_produce, args=(drill, course))
    producer.start()
    try:
        _strike(drill, course)
    finally:
        course.is_over = True
        producer.join()


def _produce(drill: Drill, course: _Course) -> None:
    """Enqueue the other jobs, about as fast as they are done, and slowly while nothing is."""
    ahead = course.sent
    share = (len(drill.jobs) - ahead) / (drill.size.strikes + 1)
    while course.sent < len(drill.jobs):
        until = time.monotonic() + _SLICE_SECONDS
        while len(drill.sight.done) < course.sent - ahead and not course.is_over:
            if time.monotonic() > until and course.sent - ahead < share * (course.struck + 1):
                break
            drill.station.ledger.pause(_LOOK_SECONDS)
        drill.enqueue(drill.jobs[course.sent : course.sent + _SLICE])
        course.sent += _SLICE


def _strike(drill: Drill, course: _Course) -> None:
    server = drill.servers.running(drill.station.driver.broker)
    number = 0
    while course.struck < drill.size.strikes and number < 2 * (drill.size.strikes + 1):
        # What was denied is never done.
        possible = len(drill.sight.confirmed) + max(0, len(drill.jobs) - course.sent)
        due = possible * course.struck // (drill.size.strikes + 1)
        if drill.target(number, done=due, seconds=_TARGET_SECONDS) is None:
            return
        drill.write("fault", fault="broker SIGKILL", number=number)
        server.kill()
        drill.station.ledger.pause(_DOWN_SECONDS)
        server.restart()
        drill.write("healed", number=number)
        course.struck += drill.hit(number)
        number += 1


BROKER = Fault(name="broker", title="broker killed", drive=_drive, own_server=True)
