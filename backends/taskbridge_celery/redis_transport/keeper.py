"""The thread that renews what a process holds, and recovers what dead ones held.

A thread, not a timer of Celery's event loop: a task in the solo pool blocks the loop.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from redis import exceptions

from taskbridge_celery.redis_transport.recovery import bury, recover

if TYPE_CHECKING:
    from taskbridge_celery.redis_transport.leases import Leases

logger = logging.getLogger("taskbridge.celery")

PORTION: Final = 1000
"""Tags in one call: some two milliseconds of the server."""


def keep(leases: Leases, /) -> None:
    """Renew and recover in the background, as long as the registry is needed."""
    Keeper(leases).start()


class Keeper(threading.Thread):
    """Runs as long as its registry is needed."""

    def __init__(self, leases: Leases) -> None:
        super().__init__(name="taskbridge-leases", daemon=True)
        self._leases = leases
        self._renewed = 0.0
        self._is_reachable = True
        self._sweeps_from = 0.0

    def run(self) -> None:
        pause = threading.Event()
        while not self._leases.may_end():
            try:
                self._step()
                if not self._is_reachable:
                    # Whoever else lives could not renew either, and does so now.
                    self._sweeps_from = monotonic() + self._leases.lease.length
                self._is_reachable = True
            except (exceptions.RedisError, OSError) as error:
                if self._is_reachable:
                    logger.warning("Leases cannot be renewed now: %s", error)
                self._is_reachable = False
            except Exception:
                # Without this thread every job of this worker would be run twice.
                logger.exception("Leases: this should not happen.")
            pause.wait(self._leases.lease.sweep)

    def _step(self) -> None:
        leases = self._leases
        for tag in [tag for tag, held in list(leases.held.items()) if held.is_settled]:
            leases.ack(tag)
        if monotonic() - self._renewed >= leases.lease.renewal:
            began = monotonic()
            self._renew()
            self._renewed = began
        if leases.channels:
            if self._is_reachable and monotonic() >= self._sweeps_from:
                recover(leases)
            bury(leases)

    def _renew(self) -> None:
        leases = self._leases
        oldest = monotonic() - leases.lease.longest
        young = []
        for tag, held in list(leases.held.items()):
            if held.since < oldest:
                leases.held.pop(tag, None)
                logger.error("%s is held for more than %d s and is given up.", tag, leases.lease.longest)
            else:
                young.append(tag)
        for first in range(0, len(young), PORTION):
            for tag in leases.renew(young[first : first + PORTION]):
                logger.warning("The lease of %s was lost: this worker stood still, and another may run the job.", tag)
