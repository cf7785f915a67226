"""The broker dies: SIGKILL of the server, then a restart on the same data, while jobs are enqueued and run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet.fault import Fault

if TYPE_CHECKING:
    from taskbridge_compare.gauntlet.drill import Drill

_TARGET_SECONDS = 60.0
_DOWN_SECONDS = 0.5
_SLICE = 5
_SLICE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


def _drive(drill: Drill) -> None:
    half = len(drill.jobs) // 2
    drill.enqueue(drill.jobs[:half])
    drill.station.start_worker()
    # The others come while the broker dies: some enqueues are confirmed, some denied, and some in doubt.
    producer = threading.Thread(target=_produce, args=(drill, half))
    producer.start()
    try:
        _strike(drill)
    finally:
        producer.join()


def _produce(drill: Drill, sent: int) -> None:
    """Enqueue the jobs from this place on, about as fast as they are done, and slowly while nothing is."""
    ahead = sent
    for place in range(sent, len(drill.jobs), _SLICE):
        until = time.monotonic() + _SLICE_SECONDS
        while len(drill.sight.done) < place - ahead and time.monotonic() < until:
            drill.station.ledger.pause(_LOOK_SECONDS)
        drill.enqueue(drill.jobs[place : place + _SLICE])


def _strike(drill: Drill) -> None:
    server = drill.servers.running(drill.station.driver.broker)
    hit = number = 0
    while hit < drill.size.strikes and number < 2 * (drill.size.strikes + 1):
        due = len(drill.jobs) * hit // (drill.size.strikes + 1)
        if drill.target(number, done=due, seconds=_TARGET_SECONDS) is None:
            return
        drill.write("fault", fault="broker SIGKILL", number=number)
        server.kill()
        drill.station.ledger.pause(_DOWN_SECONDS)
        server.restart()
        drill.write("healed", number=number)
        hit += drill.hit(number)
        number += 1


BROKER = Fault(name="broker", title="broker killed", drive=_drive, own_server=True)
