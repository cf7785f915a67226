"""Huey's consumer, whose workers claim."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from huey.consumer import Consumer, Scheduler, Worker, WorkerRecycle

from taskbridge.process.liveness import fate
from taskbridge_huey.claim import LEASE_SECONDS, RENEWAL_SECONDS
from taskbridge_huey.lease import Lease, Slot

if TYPE_CHECKING:
    from huey.api import Huey

    from taskbridge_huey.claim import Claims
    from taskbridge_huey.execution import Execution

PAUSE_SECONDS: Final = LEASE_SECONDS / 2
"""After so long without an answer the storage may have been away, and the living could not renew: they speak first."""
RETRY_SECONDS: Final = 0.5
"""How long a worker waits when the storage does not answer."""


class ClaimingWorker(Worker):
    """Huey's worker: it claims, runs and settles."""

    slot: Slot
    lease: Lease
    execution: Execution
    parent: int

    def initialize(self) -> None:
        self.lease.at_each_renewal = self._end_with_parent
        self.lease.add(self.slot)
        super().initialize()

    def loop(self, now: Any = None) -> None:  # noqa: ARG002 - Huey's signature, for its own tests
        try:
            claim = self.slot.take()
        except self.slot.claims.unavailable as error:
            self._logger.warning("The queue cannot be read: %s", error)
            self.stop_flag.wait(RETRY_SECONDS)
            return
        if claim is None:
            if not self.slot.claims.is_blocking:
                self.sleep()
            return
        self.delay = self.default_delay
        self.execution.run(claim, self.slot, self.stop_flag)
        self.task_count += 1
        if self.max_tasks and self.task_count >= self.max_tasks:
            raise WorkerRecycle

    def shutdown(self) -> None:
        try:
            super().shutdown()
        finally:
            self.slot.leave()

    def _end_with_parent(self) -> None:
        # A worker whose consumer was killed would go on for ever, with nobody to stop it.
        if os.getpid() != self.parent and os.getppid() != self.parent:
            self.stop_flag.set()


class ClaimingScheduler(Scheduler):
    """Huey's scheduler: it moves what is due, and gives back what dead workers held."""

    claims: Claims
    execution: Execution
    parent: int

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answered_at = time.monotonic()
        self._may_recover_at = float("-inf")

    def loop(self, now: Any = None) -> None:
        if os.getpid() != self.parent and os.getppid() != self.parent:
            self.stop_flag.set()
            return
        try:
            self._recover()
            self.execution.move_due(self.claims, now)
            self._answered_at = time.monotonic()
        except self.claims.unavailable as error:
            self._logger.warning("The schedule cannot be read: %s", error)
        super().loop(now)

    def _recover(self) -> None:
        if time.monotonic() - self._answered_at > PAUSE_SECONDS:
            # The storage was away, or this consumer was: the leases of the living may have run out as well.
            self.claims.due(self.huey._get_timestamp(), 1)  # noqa: SLF001 - Huey's own kind of time
            self._may_recover_at = time.monotonic() + RENEWAL_SECONDS + 1
        if time.monotonic() < self._may_recover_at:
            return
        dead = [worker for worker, mark in self.claims.marks().items() if fate(mark) == "dead"]
        if number := self.claims.recover(dead):
            self._logger.warning("%d jobs of dead workers are given back to the queue.", number)


class ClaimingConsumer(Consumer):
    """Huey's consumer over workers that claim."""

    worker_class = ClaimingWorker
    scheduler_class = ClaimingScheduler

    def __init__(self, huey: Huey, claims: Claims, execution: Execution, /, **options: Any) -> None:
        self._claims = claims
        self._execution = execution
        self._lease = Lease(claims)
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count()
        claims.prepare()
        super().__init__(huey, **options)

    def _create_worker(self) -> ClaimingWorker:
        worker: ClaimingWorker = super()._create_worker()
        worker.slot = Slot(f"{self._name}:{next(self._numbers)}", self._claims, self._lease)
        worker.lease, worker.execution, worker.parent = self._lease, self._execution, os.getpid()
        return worker

    def _create_scheduler(self) -> ClaimingScheduler:
        scheduler: ClaimingScheduler = super()._create_scheduler()
        scheduler.claims, scheduler.execution, scheduler.parent = self._claims, self._execution, os.getpid()
        return scheduler

    def check_worker_health(self) -> bool:
        """Besides replacing dead workers, give back at once what they held."""
        for worker, process in self.worker_threads:
            if not self.environment.is_alive(process):
                self._give_back(worker, has_crashed=True)
        healthy: bool = super().check_worker_health()
        return healthy

    def run(self) -> None:
        """Run until a signal; then what is still running goes back to the queue."""
        try:
            super().run()
        finally:
            for worker, process in self.worker_threads:
                if self.environment.forks and process.is_alive():
                    process.kill()
                    process.join(1)
                self._give_back(worker, has_crashed=False)

    def _give_back(self, worker: ClaimingWorker, *, has_crashed: bool) -> None:
        try:
            number = self._claims.give_back(worker.slot.worker, has_crashed=has_crashed)
        except self._claims.unavailable as error:
            self._logger.warning("The jobs of a worker that has ended are given back when its lease is over: %s", error)
            return
        if number:
            self._logger.warning("A job whose worker has ended goes back to the queue.")
