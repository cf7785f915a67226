"""The broker dies: SIGKILL of the server, then a restart on the same data, while jobs are enqueued and run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet.fault import Fault

if TYPE_CHECKING:
    from taskbridge_compare.gauntlet.drill import Drill

_TARGET_SECONDS = 60.0
_DOWN_SECONDS = 0.5


def _drive(drill: Drill) -> None:
    half = len(drill.jobs) // 2
    drill.enqueue(drill.jobs[:half])
    drill.station.start_worker()
    # The others come while the broker dies: some enqueues are confirmed, some refused, and some in doubt.
    held = sum(job.hold for job in drill.jobs[:half])
    producer = threading.Thread(target=drill.enqueue, args=(drill.jobs[half:],), kwargs={"pause": held / half / 2})
    producer.start()
    try:
        _strike(drill)
    finally:
        producer.join()


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
