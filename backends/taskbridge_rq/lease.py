"""How a worker holds the job that it runs, and how any worker puts back what a dead one held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rq.intermediate_queue import IntermediateQueue
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.scheduler import RQScheduler
from rq.utils import now, utcformat

from taskbridge.process.liveness import NOWHERE, fate, own_place
from taskbridge_rq.scripts import CLAIM, PUT_BACK, RENEW, SWEEP

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline
    from rq.executions import Execution

LEASE_SECONDS: Final = 4
"""Without a renewal for so long, a worker is suspected to be dead."""

GRACE_SECONDS: Final = 4
"""Suspected for so long, it is dead."""

RECORD_SECONDS: Final = 7 * 24 * 3600
"""After which RQ's own cleaning, which a dashboard starts too, fails a started job that no worker put back."""

BETWEEN_SWEEPS: Final = 0.5
"""Seconds, for all workers of a queue together."""
SCHEDULER: Final = "taskbridge"
"""Who holds RQ's lock of schedulers: all our workers together, since each step of theirs is atomic."""
SCHEDULER_SECONDS: Final = 5


class Lease:
    """One execution's hold on its job."""

    def __init__(self, connection: Redis, queue_name: str, execution: Execution) -> None:
        self._connection = connection
        self._queue_key = Queue.redis_queue_namespace_prefix + queue_name
        self._execution = execution
        self.registry = StartedJobRegistry.key_template.format(queue_name)
        self.entry = execution.composite_key
        """In the registry; it marks the owner of the job, and outlives the lease until somebody takes the job."""

    def claim(self, pipeline: Pipeline, /) -> None:
        """Take the job over from the intermediate list; the answer is 0 if it is not there."""
        moment = utcformat(now())
        told = ("status", JobStatus.STARTED.value, "started_at", moment, "last_heartbeat", moment)
        pipeline.eval(
            CLAIM,
            5,
            IntermediateQueue.get_intermediate_queue_key(self._queue_key),
            self.registry,
            *self._keys(),
            *self._arguments(),
            *(*told, "worker_name", self._execution.worker_name),
            *self._record(),
        )

    def renew(self) -> bool:
        """Say that the execution goes on; False if its job was given to somebody else."""
        self._execution.last_heartbeat = now()
        arguments = (*self._arguments(), utcformat(now()), *self._record())
        return bool(self._connection.eval(RENEW, 4, self.registry, *self._keys(), *arguments))

    def put_back(self, *, crashed: bool) -> bool:
        """Give the job back to the front of its queue; False if it is settled, or somebody else's."""
        execution = self._execution
        arguments = (execution.job_id, execution.id, int(crashed))
        return bool(self._connection.eval(PUT_BACK, 2, self._queue_key, self.registry, *arguments) == 1)

    def release(self) -> tuple[tuple[Any, ...], ...]:
        """The commands that end the execution."""
        execution, executions, _ = self._keys()
        return ("ZREM", self.registry, self.entry), ("DEL", execution), ("ZREM", executions, self._execution.id)

    def _keys(self) -> tuple[str, str, str]:
        job_id = self._execution.job_id
        return self._execution.key, f"rq:executions:{job_id}", Job.key_for(job_id)

    def _arguments(self) -> tuple[str, str, int, int]:
        return self._execution.job_id, self._execution.id, LEASE_SECONDS, RECORD_SECONDS

    def _record(self) -> list[Any]:
        return [word for pair in self._execution.serialize().items() for word in pair]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found."""

    put_back: tuple[str, ...]
    """As `JOB:EXECUTION`, or `JOB` if it had not begun."""
    dropped: tuple[str, ...]
    """What lay in the queue, or in its registry of started jobs, and is the id of no job."""


def sweep(connection: Redis, queue_name: str, /) -> Swept:
    """Put back what dead workers of a queue held, and queue what is due.

    At most once in half a second for all workers of a queue together; otherwise it does nothing.
    """
    queue_key = Queue.redis_queue_namespace_prefix + queue_name
    started = StartedJobRegistry.key_template.format(queue_name)
    found = connection.eval(
        SWEEP,
        7,
        queue_key,
        IntermediateQueue.get_intermediate_queue_key(queue_key),
        started,
        ScheduledJobRegistry.key_template.format(queue_name),
        RQScheduler.get_locking_key(queue_name),
        f"{queue_key}:taskbridge:suspects",
        f"{queue_key}:taskbridge:swept",
        GRACE_SECONDS * 1000,
        int(BETWEEN_SWEEPS * 1000),
        SCHEDULER,
        SCHEDULER_SECONDS,
        utcformat(now()),
        f"{own_place() or NOWHERE}-",
    )
    put_back, dropped, neighbours = (
        [entry.decode(errors="backslashreplace") for entry in entries] for entries in found
    )
    for entry in neighbours:
        job_id, _, execution_id = entry.partition(":")
        if fate(execution_id) == "dead":
            outcome = connection.eval(PUT_BACK, 2, queue_key, started, job_id, execution_id, 1)
            if outcome:
                (put_back if outcome == 1 else dropped).append(entry)
    return Swept(tuple(put_back), tuple(dropped))
