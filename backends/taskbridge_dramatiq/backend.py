"""Dramatiq on Redis or RabbitMQ.

Queues: Dramatiq's own, under their names; one worker serves them all.
Switched off: Dramatiq's retries, time limit and results, which TaskBridge owns. The table is in `docs/dramatiq.md`.
Settled: a retry is the same message with one more in its `retries`, enqueued before the old one is acknowledged; an
exhausted job raises its last error and lands in the dead letters (`<queue>.XQ`).
"""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from dramatiq.common import current_millis

from taskbridge.backend import Backend, WorkerOptions
from taskbridge.errors import ConfigurationError
from taskbridge.process import Command
from taskbridge.settings import SENTINEL_OPTIONS
from taskbridge.store import open_store
from taskbridge.worker import worker_environment
from taskbridge_dramatiq.actors import register
from taskbridge_dramatiq.brokers import driver, kind_of, open_broker
from taskbridge_dramatiq.patches import forget_connections_after_fork
from taskbridge_dramatiq.record import native_record, record
from taskbridge_dramatiq.wire import to_native, to_native_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dramatiq import Broker

    from taskbridge.backend import Run
    from taskbridge.capability import Capabilities
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store

POLL_MILLISECONDS: Final[Mapping[str, int]] = {"redis": 40, "amqp": 100}
"""How long an idle worker may sleep. On RabbitMQ a job wakes it, and only delayed jobs wait for it."""

MOST_DELAYED: Final = 65535
"""Delayed jobs that a worker process holds. What is due soon waits behind those that it cannot hold, however late."""


class DramatiqBackend(Backend):
    """Dramatiq, configured by a URL or around the application's own broker."""

    engine: ClassVar[str] = "dramatiq"
    brokers: ClassVar[tuple[str, ...]] = ("redis", "rediss", "amqp", "amqps")
    url_options: ClassVar[Mapping[str, str]] = {
        **SENTINEL_OPTIONS,
        "app": "module:broker, your own broker instead of a server in the URL",
        "heartbeat": "seconds of silence after which a worker's jobs are given to others, on Redis (8)",
        "namespace": "prefix of the keys in Redis, if not dramatiq",
        "priority": "1 to 255: the queues' x-max-priority on RabbitMQ",
        "processes": "worker processes, among which the concurrency is shared out as threads",
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "name"
    capabilities: Capabilities

    def __init__(
        self,
        url: BackendURL | None = None,
        *,
        broker: Broker | None = None,
        store: str | None = None,
        queues: Sequence[str] = ("default",),
    ) -> None:
        """`store` is a URL for results beside a broker of yours; beside a URL write ?store=."""
        if (url is None) == (broker is None):
            raise ConfigurationError("DramatiqBackend needs either a URL or a Dramatiq broker of yours.")
        self._url = url
        self._store = store
        self._queues = tuple(queues)
        self._is_adopted = url is None or "app" in url.options
        self.broker = broker if broker is not None else open_broker(url)  # type: ignore[arg-type]  # one of the two is given
        self._label = str(url or f"the {type(self.broker).__name__} of yours")
        self.kind = kind_of(self.broker)
        self.max_priority: int = getattr(self.broker, "max_priority", None) or 0
        self.processes = max(1, url.number("processes", 1)) if url else 1
        self._has_native_workers = url is not None and url.has_native_workers
        self._driver = driver(self.kind)
        if self.kind == "amqp":
            forget_connections_after_fork(self.broker)  # type: ignore[arg-type]  # of this kind it is one
        self.capabilities = self._record()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises `EnqueueError` after at most 5 s for connecting and 5 s for the answer on Redis; see
        `amqp_broker.publish` for RabbitMQ.
        """
        make = to_native_worker if self._has_native_workers else to_native
        self._driver.publish(
            self.broker,
            [(make(message, max_priority=self.max_priority), _delay(message)) for message in messages],
            self._label,
        )

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Lay a message that was parked on the queue again."""
        self._driver.put_back(self.broker, queue_name, payload, self._label)

    def serve(self, registry: Registry, run: Run, /) -> None:
        for queue_name in self._queues:
            self.broker.declare_queue(queue_name)
        self._driver.prepare_worker(self.broker, self._queues, self._label, is_adopted=self._is_adopted)
        register(self.broker, registry.by_wire_name(self), run, max_priority=self.max_priority)

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        threads = math.ceil(options.concurrency / self.processes)
        # Dramatiq looks once a second whether it shall stop, and once more whether its processes have.
        grace = max(1000, int(options.grace.total_seconds() * 1000) - 2000)
        return [
            Command(
                argv=(
                    sys.executable, "-m", "dramatiq", "taskbridge_dramatiq.app:broker",
                    "-p", str(self.processes), "-t", str(threads),
                    "--worker-shutdown-timeout", str(grace),
                    "-Q", *options.queues,
                    *options.native_arguments,
                ),
                environment={**worker_environment(options), **self._tuning(threads)},
                label="dramatiq",
            )
        ]  # fmt: skip

    def close(self) -> None:
        if not self._is_adopted:
            self._driver.disconnect(self.broker)

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        """Look at the broker."""
        from taskbridge_dramatiq.check import amqp_broker_findings, redis_broker_findings

        if self.kind == "redis":
            return redis_broker_findings(self.broker)  # type: ignore[arg-type]  # of this kind it is one
        return amqp_broker_findings(self.broker, options.queues)  # type: ignore[arg-type]  # as above

    def open_store(self) -> Store | None:
        """The result store in the same Redis, or where `store` says."""
        if self._store is not None:
            return open_store(self._store)
        if self._url is None or self._is_adopted or self.kind != "redis":
            return None
        from taskbridge.brokers.redis import redis_url

        return open_store(redis_url(self._url))

    def _record(self) -> Capabilities:
        if self._has_native_workers:
            return native_record(kind=self.kind, max_priority=self.max_priority)
        has_store = self._store is not None or (self._url is not None and self._url.store is not None)
        return record(
            kind=self.kind,
            has_own_consumer=not self._is_adopted,
            max_priority=self.max_priority,
            has_store=has_store or (self.kind == "redis" and not self._is_adopted),
            heartbeat=getattr(self.broker, "heartbeat_timeout", 0) // 1000,
        )

    def _tuning(self, threads: int) -> dict[str, str]:
        # With priorities a worker takes no more than it can run: what it holds is out of the broker's order.
        tuned = {
            "dramatiq_worker_timeout": str(POLL_MILLISECONDS[self.kind]),
            "dramatiq_restart_delay": "1000",
            "dramatiq_delay_queue_prefetch": str(MOST_DELAYED),
        }
        if self.max_priority:
            tuned["dramatiq_queue_prefetch"] = str(threads)
        return {key: value for key, value in tuned.items() if key not in os.environ}


def _delay(message: Message) -> int | None:
    """Milliseconds from now, so that what Dramatiq adds to its clock is never before the moment asked for."""
    if message.run_after is None:
        return None
    delay = math.ceil(message.run_after.timestamp() * 1000) - current_millis()
    return delay if delay > 0 else None
