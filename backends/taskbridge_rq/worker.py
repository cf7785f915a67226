"""`rq worker --worker-class taskbridge_rq.Worker`: an RQ worker that holds its job by a short lease, and puts back what
dead workers of its queue held. Each worker does so, once a second, between jobs and during them."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import rq
import rq.worker
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq.executions import Execution
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.utils import get_version, now
from rq.worker_registration import clean_worker_registry

from taskbridge.errors import ConfigurationError
from taskbridge_rq.fence import FencedRedis, LeaseLost
from taskbridge_rq.horse import die_with_parent, ignore_sigterm
from taskbridge_rq.lease import BETWEEN_SWEEPS, Lease, sweep
from taskbridge_rq.scripts import CRASHES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from redis.client import Pipeline
    from rq.job import Job
    from rq.job import Retry as RetryRequest
    from rq.registry import StartedJobRegistry

logger = logging.getLogger("taskbridge.rq")

GRACE_VARIABLE: Final = "RQ_WORKER_GRACE_SECONDS"
"""How long a warm stop may take before the worker ends its attempt and gives the job back."""

TICK_SECONDS: Final = 1
HEARTBEAT: Final = timedelta(seconds=10)
"""Of the worker's own record, which only dashboards read."""
TIDY_SECONDS: Final = 60.0
OLDEST_REDIS: Final = (6, 2, 0)
CONNECTION_WAIT_SECONDS: Final = 2.0


class Worker(rq.Worker):
    """A worker of one queue."""

    max_connection_wait_time = CONNECTION_WAIT_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.job_monitoring_interval = TICK_SECONDS
        self.lease: Lease | None = None
        grace = os.environ.get(GRACE_VARIABLE)
        self._grace = None if grace is None else float(grace)
        self._give_back_at: float | None = None
        self._swept = 0.0
        self._tidied = time.monotonic()

    @property
    def dequeue_timeout(self) -> int:
        """Seconds for which an idle worker looks at nothing but its queue."""
        return TICK_SECONDS

    def work(self, *arguments: Any, **options: Any) -> bool:
        """Work until asked to stop. The schedule is every worker's duty here: RQ's own scheduler is never started.

        Raises:
            ConfigurationError: the worker was given several queues, or Redis is too old: jobs would be lost.
        """
        if len(self.queues) != 1:
            raise ConfigurationError("A worker of several RQ queues loses jobs. Start one worker for each queue.")
        if get_version(self.connection) < OLDEST_REDIS:
            raise ConfigurationError("RQ loses jobs on a Redis older than 6.2, which cannot move them in one step.")
        return super().work(*arguments, **{**options, "with_scheduler": False})

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Between jobs, and each time that an idle worker has looked at its queue."""
        return time.monotonic() - self._swept > BETWEEN_SWEEPS

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """As RQ's, but not many times for each job."""
        if pipeline is None and self.last_heartbeat is not None and now() - self.last_heartbeat < HEARTBEAT:
            return
        super().heartbeat(timeout, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Put back what dead workers held, and queue what is due."""
        (queue,) = self.queues
        self._swept = time.monotonic()
        swept = sweep(self.connection, queue.name)
        for entry in swept.put_back:
            job_id, _, execution = entry.partition(":")
            how = "The worker that ran it died" if execution else "The worker that took it died before it ran"
            logger.warning("The RQ job %s is back in the queue %s. %s.", job_id, queue.name, how)
        for entry in swept.dropped:
            logger.error("The queue %s held %r, of which there is no record; it is dropped.", queue.name, entry)
        if self._swept - self._tidied > TIDY_SECONDS:
            self._tidied = self._swept
            FinishedJobRegistry(queue=queue).cleanup()
            FailedJobRegistry(queue=queue).cleanup()
            clean_worker_registry(queue)

    # An attempt, as the worker sees it.

    def prepare_execution(self, job: Job) -> Execution:
        """Take the job over from RQ's intermediate list, in one step.

        Raises:
            LeaseLost: this worker was so slow that the job was put back.
        """
        (queue,) = self.queues
        self.execution = Execution(uuid4().hex, job.id, self.connection, worker_name=self.name)
        self.lease = Lease(self.connection, queue.name, self.execution)
        with self.connection.pipeline() as pipeline:
            self.set_state(rq.worker.WorkerStatus.BUSY, pipeline=pipeline)
            self.set_current_job_id(job.id, pipeline=pipeline)
            self.lease.claim(pipeline)
            if not pipeline.execute()[-1]:
                raise LeaseLost(f"{job.id} was taken from the intermediate list")
        return self.execution

    def execute_job(self, job: Job, queue: rq.Queue) -> None:
        """Run one attempt in a process of its own, and settle it."""
        try:
            super().execute_job(job, queue)
        except LeaseLost as lost:
            logger.warning("Not run: %s.", lost)
            self.set_state(rq.worker.WorkerStatus.IDLE)

    def maintain_heartbeats(self, job: Job) -> None:
        """Each second of an attempt: renew its lease, and see to the queue."""
        assert self.lease is not None
        self.heartbeat()
        if not self.lease.renew():
            logger.warning(
                "The RQ job %s was given away, since this worker was not heard of; its attempt ends.", job.id
            )
            self.kill_horse()
        elif self._give_back_at is not None and time.monotonic() > self._give_back_at:
            logger.warning("The RQ job %s goes back to its queue: the grace of this worker's stop is over.", job.id)
            self._end_attempt()
            raise SystemExit
        self.run_maintenance_tasks()

    def handle_job_failure(
        self, job: Job, queue: rq.Queue, started_job_registry: StartedJobRegistry | None = None, exc_string: str = ""
    ) -> None:
        """In the attempt's process: file the job as failed. In the worker: the process died, so the job runs again."""
        if not self.is_horse and self._stopped_job_id != job.id:
            assert self.lease is not None
            if self.lease.put_back(crashed=True):
                logger.warning("The RQ job %s is back in its queue, since its process died. %s", job.id, exc_string)
            return
        text = exc_string.encode(errors="backslashreplace").decode()  # else RQ's process dies of a lone surrogate
        with self._fenced(job, ("HDEL", job.key, CRASHES)):
            super().handle_job_failure(job, queue, started_job_registry, text)

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

    @contextmanager
    def _fenced(self, job: Job, *also: tuple[Any, ...]) -> Iterator[None]:
        assert self.lease is not None
        free = self.connection
        # RQ forgets to release the execution where it repeats a transaction, so it is released here.
        self.connection = FencedRedis(
            free, registry=self.lease.registry, entry=self.lease.entry, also=(*self.lease.release(), *also)
        )
        try:
            yield
        except LeaseLost as lost:
            logger.warning("Nothing is recorded of an attempt at the RQ job %s: %s.", job.id, lost)
        finally:
            self.connection = free

    # The attempt's own process.

    def main_work_horse(self, job: Job, queue: rq.Queue) -> None:
        """Run one attempt, and die with the worker: it alone renews the lease."""
        die_with_parent(self.pid)
        super().main_work_horse(job, queue)

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

    # The end.

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """At SIGTERM: end after the running attempt, or give its job back when the grace is nearly over."""
        if self._grace is not None:
            self._give_back_at = time.monotonic() + self._grace - min(3.0, self._grace / 2)
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """At a second SIGTERM: end the attempt at once and give its job back."""
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            self._end_attempt()
            raise

    def teardown(self) -> None:
        """Say goodbye, if Redis listens; a server that is gone must not hold up a stop."""
        if not self.is_horse:
            self.connection.set_retry(Retry(NoBackoff(), 0))
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # RQ's
        except exceptions.RedisError as error:
            logger.warning("Redis does not take the worker's goodbye: %s", error)

    def _end_attempt(self) -> None:
        if self.horse_pid:
            self.kill_horse()
            self.wait_for_horse()
        if self.lease is not None:
            self.lease.put_back(crashed=False)
