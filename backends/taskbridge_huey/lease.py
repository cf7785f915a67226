"""A worker's hold on what it has claimed: taking, settling, and a thread that keeps the lease alive."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from taskbridge.process.liveness import own_mark
from taskbridge_huey.claim import LEASE_SECONDS, RENEWAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge_huey.claim import Claim, Claims, Successor

logger = logging.getLogger("taskbridge.huey")

STALE_SECONDS: Final = LEASE_SECONDS - 3
"""After so long without a renewal a worker renews before it claims."""
SLOW_SECONDS: Final = 2.0
"""After so long a claim may be another's already: its reply was late, or the process was paused."""


class Lease:
    """Renews the leases of the workers in this process, from a thread of its own."""

    def __init__(self, claims: Claims, /) -> None:
        self._claims = claims
        self._slots: list[Slot] = []
        self._lock = threading.Lock()
        self._pid = 0
        self.renewed_at = float("-inf")
        """Of this machine's monotonic clock; when the last renewal that succeeded was sent."""
        self.at_each_renewal: Callable[[], None] = lambda: None

    def add(self, slot: Slot, /) -> None:
        """Begin to renew for one worker, which begins now."""
        with self._lock:
            self._slots.append(slot)
            self.renewed_at = float("-inf")
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="taskbridge-lease", daemon=True).start()

    def remove(self, slot: Slot, /) -> None:
        """End it."""
        with self._lock:
            self._slots.remove(slot)

    def renew(self) -> None:
        """Renew now. Raises what the storage raises."""
        with self._lock:
            slots = tuple(self._slots)
            if not slots:
                return
            began = time.monotonic()
            held = self._claims.renew([slot.worker for slot in slots], own_mark())
            self.renewed_at = began
        for slot in slots:
            slot.give_back_strays(held.get(slot.worker, set()))

    def _run(self) -> None:
        while True:
            time.sleep(RENEWAL_SECONDS)
            self.at_each_renewal()
            try:
                self.renew()
            except self._claims.unavailable as error:
                logger.warning("The lease of this worker could not be renewed: %s", error)


class Slot:
    """What one worker, which runs one attempt at a time, has claimed."""

    def __init__(self, worker: str, claims: Claims, lease: Lease, /) -> None:
        self.worker = worker
        self.claims = claims
        self._lease = lease
        self._lock = threading.Lock()
        self._current: Claim | None = None
        self._done: Claim | None = None
        self._forgotten: tuple[str, ...] = ()
        self._unsettled: tuple[Claim, Sequence[Successor]] | None = None
        self._unwanted: tuple[Claim, bool] | None = None
        self._strangers: set[str] = set()

    def take(self) -> Claim | None:
        """The next claim, after the last one is settled. Raises what the storage raises; nothing is lost by that."""
        self._finish_rest()
        if time.monotonic() - self._lease.renewed_at > STALE_SECONDS:
            self._lease.renew()
        began = time.monotonic()
        claim = self.claims.claim(self.worker, self._done, self._forgotten)
        self._done = None
        self._forgotten = ()
        if claim is None:
            return None
        with self._lock:
            self._current = claim
        if time.monotonic() - began > SLOW_SECONDS and not self._still_holds(claim):
            return None
        return claim

    def settle(self, claim: Claim, successors: Sequence[Successor], forgotten: Sequence[str] = (), /) -> None:
        """The claim is done with. Without successors it is removed with the next claim, in the same step.

        What is stored under the `forgotten` keys is deleted with the next claim too.
        """
        self._forgotten += tuple(forgotten)
        with self._lock:
            if successors:
                self._unsettled = (claim, tuple(successors))
            else:
                self._done = claim
            self._current = None
        if successors:
            self._try(self._finish_rest)

    def give_back(self, claim: Claim, /, *, has_crashed: bool) -> None:
        """The claim is to be run again."""
        with self._lock:
            self._unwanted = (claim, has_crashed)
            self._current = None
        self._try(self._finish_rest)

    def leave(self) -> None:
        """Settle what is done, and give up the lease."""
        self._try(self._leave)
        self._lease.remove(self)

    def give_back_strays(self, held: set[str], /) -> None:
        """Give back what was claimed for this worker, though no reply told it so: a connection was cut in between.

        Such a claim is seen twice, since at the first time its reply may be on its way.
        """
        with self._lock:
            unsettled = self._unsettled[0] if self._unsettled else None
            unwanted = self._unwanted[0] if self._unwanted else None
            known = {claim.token for claim in (self._current, self._done, unsettled, unwanted) if claim is not None}
            strangers = held - known
            strays = strangers & self._strangers
            self._strangers = strangers - strays
            for token in strays:
                self.claims.give_back(self.worker, token, has_crashed=False)
                logger.warning("A job was claimed whose reply never came. It is given back.")

    def _still_holds(self, claim: Claim) -> bool:
        self._lease.renew()
        if self.claims.is_held(self.worker, claim):
            return True
        logger.warning("A job was claimed too late to be run here: this worker was taken for dead.")
        with self._lock:
            self._current = None
        return False

    def _finish_rest(self) -> None:
        if self._unsettled is not None:
            if not self.claims.settle(self.worker, *self._unsettled):
                logger.warning("A job was settled by another worker already: this one was taken for dead.")
            self._unsettled = None
        if self._unwanted is not None:
            claim, has_crashed = self._unwanted
            self.claims.give_back(self.worker, claim.token, has_crashed=has_crashed)
            self._unwanted = None

    def _leave(self) -> None:
        self._finish_rest()
        if self._done is not None:
            self.claims.settle(self.worker, self._done, ())
            self._done = None
        if self._forgotten:
            self.claims.forget(self._forgotten)
            self._forgotten = ()
        self.claims.give_back(self.worker, has_crashed=False)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except self.claims.unavailable as error:
            logger.warning("The storage does not answer, so that a job is not settled yet: %s", error)
