"""The worker dies: SIGKILL of its whole tree, or SIGTERM and then whatever it takes to be gone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet.fault import Fault
from taskbridge_compare.worker_tree import exit_code, freeze

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.process import Process
    from taskbridge_compare.gauntlet.drill import Drill

_GRACE_SECONDS = 20.0
_TARGET_SECONDS = 45.0
_STRIKES_FOR_ONE = 2


def kill(drill: Drill, worker: Process, number: int) -> None:
    """SIGKILL every process of a worker."""
    pids = freeze(worker)
    drill.write("fault", fault="SIGKILL", number=number, pids=pids)
    worker.kill_tree()
    drill.write("struck", number=number)


def _stop(drill: Drill, number: int) -> None:
    worker = drill.worker
    drill.write("fault", fault="SIGTERM", number=number)
    worker.send(signal.SIGTERM)
    code = exit_code(worker, drill.station.ledger, _GRACE_SECONDS)
    worker.kill_tree()
    drill.write("gone", number=number, exit_code=code)


def _strike(blow: Callable[[Drill, int], None]) -> Callable[[Drill], None]:
    def drive(drill: Drill) -> None:
        drill.enqueue(drill.jobs)
        drill.station.start_worker()
        hit = number = 0
        while hit < drill.size.strikes and number < _STRIKES_FOR_ONE * (drill.size.strikes + 1):
            due = len(drill.jobs) * hit // (drill.size.strikes + 1)
            if drill.target(number, done=due, seconds=_TARGET_SECONDS) is None:
                break
            blow(drill, number)
            drill.sight.forget_running()
            drill.station.start_worker()
            hit += drill.hit(number)
            number += 1

    return drive


SIGKILL = Fault(
    name="sigkill", title="worker tree killed", drive=_strike(lambda drill, number: kill(drill, drill.worker, number))
)
SIGTERM = Fault(name="sigterm", title="worker told to stop", drive=_strike(_stop))
