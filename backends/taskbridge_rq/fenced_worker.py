"""What of a worker runs in the process of an attempt. An outcome is recorded only while the job is that attempt's."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rq
from rq.registry import FailedJobRegistry
from rq.utils import now, utcformat

from taskbridge.worker.key_keeper import settle_keys
from taskbridge_rq.fence import FencedRedis, LeaseLost
from taskbridge_rq.horse import die_with_parent, ignore_sigterm
from taskbridge_rq.job import Job as SettledJob
from taskbridge_rq.scripts import CRASHES
from taskbridge_rq.wire import FAILURE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rq.executions import Execution
    from rq.job import Job
    from rq.job import Retry as RetryRequest
    from rq.registry import StartedJobRegistry

    from taskbridge_rq.lease import Lease

logger = logging.getLogger("taskbridge.rq")


class FencedWorker(rq.Worker):
    """RQ's worker, whose outcomes are fenced."""

    lease: Lease | None = None
    """Of the attempt that runs, or ran last."""

    def main_work_horse(self, job: Job, queue: rq.Queue) -> None:
        """Run one attempt, and die with the worker: it alone renews the lease."""
        die_with_parent(self.pid)
        super().main_work_horse(job, queue)

    def perform_job(self, job: Job, queue: rq.Queue) -> bool:
        """Run one attempt and settle it. This process then ends by `os._exit`, which waits for no thread."""
        try:
            return super().perform_job(job, queue)
        finally:
            settle_keys()

    def setup_work_horse_signals(self) -> None:
        """A SIGTERM for the whole process group asks the worker to stop after the attempt, not the attempt to die."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # RQ's
        ignore_sigterm()

    def prepare_job_execution(self, job: Job, *_: Any, **__: Any) -> None:
        """Nothing is left to do on the server: the worker's claim did it."""
        job.worker_name = self.name

    def handle_execution_ended(self, job: Job, *_: Any, **__: Any) -> None:
        """Nothing is written before the outcome is, which may not be this attempt's to write."""
        job.ended_at = now()

    def handle_job_success(self, job: Job, queue: rq.Queue, started_job_registry: StartedJobRegistry) -> None:
        """File the job as finished, if it is still this attempt's."""
        with self._fenced(job):
            super().handle_job_success(job, queue, started_job_registry)

    def handle_job_retry(
        self,
        job: Job,
        queue: rq.Queue,
        retry: RetryRequest,
        started_job_registry: StartedJobRegistry,
        execution: Execution,
    ) -> None:
        """Put the job back for its next attempt, if it is still this attempt's."""
        with self._fenced(job):
            super().handle_job_retry(job, queue, retry, started_job_registry, execution)

    def handle_job_failure(
        self, job: Job, queue: rq.Queue, started_job_registry: StartedJobRegistry | None = None, exc_string: str = ""
    ) -> None:
        """File the job as failed, if it is still this attempt's."""
        text = exc_string.encode(errors="backslashreplace").decode()  # else RQ's process dies of a lone surrogate
        with self._fenced(job, ("HDEL", job.key, CRASHES)):
            super().handle_job_failure(job, queue, started_job_registry, text)

    def give_up(self, job: Job, queue: rq.Queue) -> None:
        """File a job as failed in the fewest words: its own process, which should have, died of its record."""
        logger.error("The RQ job %s has failed for good: its process dies even of filing that.", job.id)
        with self._fenced(job, ("HDEL", job.key, CRASHES)), self.connection.pipeline() as pipeline:
            pipeline.hset(job.key, mapping={"status": "failed", "ended_at": utcformat(now())})
            pipeline.zadd(FailedJobRegistry(queue=queue).key, {job.id: time.time() + FAILURE_SECONDS})
            pipeline.execute()

    @contextmanager
    def _fenced(self, job: Job, *also: tuple[Any, ...]) -> Iterator[None]:
        assert self.lease is not None
        free = self.connection
        # RQ forgets to release the execution where it repeats a transaction, so it is released here.
        fenced = FencedRedis(
            free, registry=self.lease.registry, entry=self.lease.entry, also=(*self.lease.release(), *also)
        )
        self.connection = fenced
        try:
            yield
        except LeaseLost as lost:
            logger.warning("Nothing is recorded of an attempt at the RQ job %s: %s.", job.id, lost)
        finally:
            self.connection = free
        if fenced.is_settled and isinstance(job, SettledJob):
            job.settled()
