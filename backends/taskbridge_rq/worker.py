"""`rq worker --worker-class taskbridge_rq.Worker`: an RQ worker that holds its job by a short lease, and puts back what
dead workers of its queue held. Each worker does so, once a second, between jobs and during them."""

from __future__ import annotations

import logging
import os
import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import rq
import rq.worker
from redis import exceptions
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.timeouts import HorseMonitorTimeoutException
from rq.utils import get_version, now
from rq.worker_registration import clean_worker_registry

from taskbridge.errors import ConfigurationError
from taskbridge.process.liveness import NOWHERE, own_mark
from taskbridge_rq.fence import LeaseLost
from taskbridge_rq.fenced_worker import FencedWorker
from taskbridge_rq.horse import ended
from taskbridge_rq.job import Job as BridgeJob
from taskbridge_rq.lease import BETWEEN_SWEEPS, Lease, sweep
from taskbridge_rq.patience import Patience

if TYPE_CHECKING:
    from resource import struct_rusage
    from types import FrameType

    from redis.client import Pipeline
    from rq.job import Job
    from rq.registry import StartedJobRegistry

logger = logging.getLogger("taskbridge.rq")

GRACE_VARIABLE: Final = "RQ_WORKER_GRACE_SECONDS"
"""How long a warm stop may take before the worker ends its attempt and gives the job back."""

TICK_SECONDS: Final = 1
HEARTBEAT: Final = timedelta(seconds=10)
"""Of the worker's own record, which only dashboards read."""
TIDY_SECONDS: Final = 60.0
NEVER_SECONDS: Final = 24 * 3600
OLDEST_REDIS: Final = (6, 2, 0)
CONNECTION_WAIT_SECONDS: Final = 2.0


class Worker(FencedWorker):
    """A worker of one queue."""

    max_connection_wait_time = CONNECTION_WAIT_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.job_monitoring_interval = NEVER_SECONDS
        grace = os.environ.get(GRACE_VARIABLE)
        self._grace = None if grace is None else float(grace)
        self._give_back_at: float | None = None
        self._is_horse_killed = False
        self._is_horse_running = False
        self._swept = 0.0
        self._tidied = time.monotonic()
        self._mark = NOWHERE

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
        self._mark = own_mark()
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

    def prepare_execution(self, job: Job) -> Execution:
        """Take the job over from RQ's intermediate list, in one step.

        Raises:
            LeaseLost: this worker was so slow that the job was put back.
        """
        (queue,) = self.queues
        # It dies with this process, not only with the attempt's.
        self.execution = Execution(f"{self._mark}-{uuid4().hex}", job.id, self.connection, worker_name=self.name)
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

    def fork_work_horse(self, job: Job, queue: rq.Queue) -> None:
        """Begin the attempt."""
        self._is_horse_killed = False
        self._is_horse_running = True
        super().fork_work_horse(job, queue)

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the attempt."""
        self._is_horse_killed = True
        super().kill_horse(sig)

    def wait_for_horse(self) -> tuple[int | None, int | None, struct_rusage | None]:
        """Wait for the attempt's end, a second at a time.

        RQ waits until SIGALRM interrupts it, which is lost if the thread that listens for commands receives it. That
        happens where a process is paused: its lease would never be renewed again.

        Raises:
            HorseMonitorTimeoutException: it runs on; RQ then calls `maintain_heartbeats`.
        """
        found: tuple[int | None, int | None, struct_rusage | None] | None
        try:
            found = ended(self.horse_pid, within=TICK_SECONDS)
            while found is None and self._is_horse_killed:
                found = ended(self.horse_pid, within=TICK_SECONDS)
        except ChildProcessError:
            found = (None, None, None)
        if found is None:
            raise HorseMonitorTimeoutException
        self._is_horse_running = False
        Patience.is_over = self._stop_requested
        return found

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
        """In the worker, not in the attempt: the attempt's process died, so the job runs again."""
        if not self.is_horse and self._stopped_job_id != job.id:
            assert self.lease is not None
            if isinstance(job, BridgeJob) and job.crashes > job.run.crash_budget:
                self.give_up(job, queue)
            elif self.lease.put_back(crashed=True):
                logger.warning("The RQ job %s is back in its queue, since its process died. %s", job.id, exc_string)
            return
        super().handle_job_failure(job, queue, started_job_registry, exc_string)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """At SIGTERM: end after the running attempt, or give its job back when the grace is nearly over.

        Raises:
            SystemExit: nothing runs. RQ's StopRequested is an Exception, and reading a job takes any for a fault of the
                job's; what was taken and not begun goes back to its queue.
        """
        if self._grace is not None:
            self._give_back_at = time.monotonic() + self._grace - min(3.0, self._grace / 2)
        Patience.is_over = not self._is_horse_running  # RQ keeps its pid until Redis has taken some statistics
        try:
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's
        except StopRequested:
            raise SystemExit(0) from None

    def set_shutdown_requested_date(self) -> None:
        """Write nothing from a signal handler, which may have interrupted a write."""

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """At a second SIGTERM: end the attempt at once and give its job back."""
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            self._end_attempt()
            raise

    def teardown(self) -> None:
        """Say goodbye, if Redis listens; a server that is gone must not hold up a stop."""
        Patience.is_over = True
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
