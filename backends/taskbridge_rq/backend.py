"""RQ on Redis.

Queues: one `rq worker` each, and one more for each further attempt at a time. A worker of several queues loses jobs.
Switched off: RQ's time limit of 180 s, its retries and its results, which TaskBridge owns; callbacks and webhooks; its
scheduler's process and its cleaning of registries, whose work each worker does in its own way.
Settled: a retry is RQ's own, which the job asks for by its return value; an exhausted job raises its last error; all of
it only while the execution holds its job. A started job whose worker died goes back to the front of its queue.
"""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import rq.job
from rq import Queue
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.serializers import JSONSerializer, PickleSerializer

from taskbridge.backend import Backend, WorkerOptions
from taskbridge.brokers.redis import enqueuing, producer_client, redis_url
from taskbridge.brokers.redis_batch import transact
from taskbridge.errors import ConfigurationError, EnqueueError
from taskbridge.process import Command
from taskbridge.settings import SENTINEL_OPTIONS
from taskbridge.store import open_store
from taskbridge.worker import worker_environment
from taskbridge_rq.connection import CLASSES, for_enqueuing, worker_url
from taskbridge_rq.job import Job, bind_job
from taskbridge_rq.raw import unraw
from taskbridge_rq.record import native_record, record
from taskbridge_rq.scripts import CANCEL
from taskbridge_rq.wire import QUEUED, to_native
from taskbridge_rq.worker import GRACE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from redis import Redis
    from redis.client import Pipeline
    from redis.typing import FieldT
    from rq.serializers import Serializer

    from taskbridge.backend import Run
    from taskbridge.capability import Capabilities
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store


class RQBackend(Backend):
    """RQ, configured by a URL or around the application's own Redis connection."""

    engine: ClassVar[str] = "rq"
    brokers: ClassVar[tuple[str, ...]] = ("redis", "rediss")
    url_options: ClassVar[Mapping[str, str]] = {
        **SENTINEL_OPTIONS,
        "serializer": "json, or pickle to talk with a legacy RQ",
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "module path"
    capabilities: Capabilities
    job_path: ClassVar[str] = "taskbridge_rq.app.Job"
    """Where a worker finds its job class."""
    job_class: type[Job]
    """The job class of the worker; set by `serve`."""

    def __init__(
        self,
        url: BackendURL | None = None,
        *,
        connection: Redis | None = None,
        serializer: Literal["json", "pickle"] = "json",
        queues: Sequence[str] = ("default",),
        label: str = "the Redis connection of yours",
    ) -> None:
        """`label` names the connection in errors; a URL names itself."""
        if url is not None and connection is None:
            serializer = url.choice("serializer", ("json", "pickle"), "json")  # type: ignore[assignment]  # one of these two
            self._connection = producer_client(url)
            self._server_url = redis_url(url)
        elif connection is not None and url is None:
            self._connection = for_enqueuing(connection)
            self._server_url = ""
        else:
            raise ConfigurationError("RQBackend needs either a URL or a Redis connection of yours.")
        self._label = str(url or label)
        self._queues = tuple(queues)
        self._is_pickle = serializer == "pickle"
        self.serializer: Serializer = PickleSerializer if self._is_pickle else JSONSerializer
        self._has_native_workers = url is not None and url.has_native_workers
        self.capabilities = native_record() if self._has_native_workers else record()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises `EnqueueError` after at most 5 s for connecting and 5 s for the answer; all jobs are taken or none."""
        now = datetime.now(UTC)
        queues: dict[str, list[Message]] = {}
        for message in messages:
            queues.setdefault(message.queue_name, []).append(message)
        commands: list[list[Any]] = []
        for queue_name, batch in queues.items():
            key = Queue.redis_queue_namespace_prefix + queue_name
            commands.append(["SADD", Queue.redis_queues_keys, key])
            ready: list[Any] = ["RPUSH", key]
            later: list[Any] = ["ZADD", ScheduledJobRegistry.key_template.format(queue_name)]
            for message in batch:
                fields = self.fields(message, now)
                commands.append(["HSET", rq.job.Job.key_for(message.id), *chain.from_iterable(fields.items())])
                if message.run_after is None:
                    ready.append(message.id)
                else:
                    later += (start_second(message.run_after), message.id)
            commands += [command for command in (ready, later) if len(command) > 2]
        with enqueuing(self._label):
            transact(self._connection.connection_pool, commands)

    def reopen(self, message: Message, /) -> None:
        """Forget the failed job of this id, then enqueue it anew."""
        with self._replacing(message.id, message.queue_name):
            pass
        self.enqueue([message])

    def cancel(self, job_id: str, /) -> bool:
        """Take a job off its queue or its schedule, in one step."""
        with enqueuing(self._label):
            return bool(self._connection.eval(CANCEL, 1, rq.job.Job.key_for(job_id), job_id))

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Put the job that was kept as these bytes in the place of the failed one, as it was."""
        job_id, fields = unraw(payload)
        if not queue_name:
            raise EnqueueError(f"{self._label}: the RQ job {job_id} names no queue.", maybe_accepted=False)
        queue_key = Queue.redis_queue_namespace_prefix + queue_name
        with self._replacing(job_id, queue_name) as pipe:
            pipe.hset(rq.job.Job.key_for(job_id), mapping={**fields, b"status": QUEUED})
            pipe.sadd(Queue.redis_queues_keys, queue_key)
            pipe.rpush(queue_key, job_id)

    @contextmanager
    def _replacing(self, job_id: str, queue_name: str) -> Iterator[Pipeline]:
        """A transaction that forgets the failed job of this id, and does what is added to it."""
        key = rq.job.Job.key_for(job_id)
        with enqueuing(self._label), self._connection.pipeline() as pipe:
            if self._connection.hget(key, "status") not in (None, b"failed", "failed"):
                raise EnqueueError(f"{self._label}: {job_id} has not failed there yet.", maybe_accepted=False)
            pipe.delete(key)
            pipe.zrem(FailedJobRegistry.key_template.format(queue_name), job_id)
            yield pipe
            pipe.execute()

    def fields(self, message: Message, now: datetime, /) -> dict[FieldT, FieldT]:
        """The hash of one job."""
        return to_native(message, self.serializer, now)

    def serve(self, registry: Registry, run: Run, /) -> None:
        self.job_class = bind_job(Job, registry.by_wire_name(self), run)

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        serializer = "pickle" if self._is_pickle else "json"
        if self._has_native_workers:
            raise ConfigurationError(
                f"{self._label} says that its workers are not TaskBridge's. Start them yourself, one for each queue: "
                f"rq worker --serializer {serializer} --with-scheduler {options.queues[0]}"
            )
        return [
            Command(
                argv=(
                    sys.executable, "-m", "rq.cli", "worker", queue,
                    "--job-class", self.job_path,
                    "--serializer", serializer,
                    *CLASSES,
                    "--worker-ttl", "30", "--quiet",
                    *options.native_arguments,
                ),
                environment={
                    **worker_environment(replace(options, queues=(queue,), concurrency=1)),
                    GRACE_VARIABLE: f"{options.grace.total_seconds():g}",
                    "RQ_REDIS_URL": self._server_url or worker_url(self._connection),
                },
                label=f"rq:{queue}" if options.concurrency == 1 else f"rq:{queue}:{place}",
            )
            for queue in options.queues
            for place in range(1, options.concurrency + 1)
        ]  # fmt: skip

    def close(self) -> None:
        self._connection.connection_pool.disconnect()

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        """Look at the broker."""
        from taskbridge.check.redis import redis_findings

        del options
        return redis_findings(self._connection)

    def open_store(self) -> Store:
        """The result store in the same Redis."""
        return open_store(self._server_url or worker_url(self._connection))


def start_second(moment: datetime, /) -> int:
    """RQ's schedule holds whole seconds: the first that is not too early."""
    return math.ceil(moment.timestamp())
