"""Celery on Redis or RabbitMQ.

Queues: Celery queues of the same names, direct and durable; one worker serves all of them.
Switched off: Celery's own retries, expiry, time limits and results, which TaskBridge owns; hijacking of the root logger
and of stdout.
Settled: a retry is a new message under the same id, published before the old one is acknowledged (RETRY in Flower); an
exhausted job raises its last error (FAILURE).
"""

from __future__ import annotations

import logging
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import UUID

from taskbridge.backend import Backend, WorkerOptions
from taskbridge.errors import ConfigurationError
from taskbridge.process import Command
from taskbridge.settings import SENTINEL_OPTIONS
from taskbridge.store import open_store
from taskbridge.worker import worker_environment
from taskbridge_celery import priority
from taskbridge_celery.application import (
    LEASE_SECONDS,
    VISIBILITY_SECONDS,
    check_app,
    keep_connected,
    load_app,
    make_app,
    prepare_worker,
)
from taskbridge_celery.crashes import NoCounter, QueueCounter
from taskbridge_celery.encoding import SERIALIZER
from taskbridge_celery.parking import Parking
from taskbridge_celery.publisher import Publisher
from taskbridge_celery.raw import publish_raw
from taskbridge_celery.record import CONSUMER_OPTION, CONSUMER_TIMEOUT, native_record, record
from taskbridge_celery.wire import to_native, to_native_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from celery import Celery

    from taskbridge.backend import Run
    from taskbridge.capability import Capabilities
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store
    from taskbridge_celery.publisher import Publication

logger = logging.getLogger("taskbridge.celery")


class CeleryBackend(Backend):
    """Celery, configured by a URL or around the application's own Celery app."""

    engine: ClassVar[str] = "celery"
    brokers: ClassVar[tuple[str, ...]] = ("redis", "rediss", "amqp", "amqps")
    url_options: ClassVar[Mapping[str, str]] = {
        **SENTINEL_OPTIONS,
        "app": "module:attribute of your own Celery app, whose broker and settings are used",
        "pool": "prefork, threads or solo: where attempts run",
        "priority": "RabbitMQ: the queues' x-max-priority, 10 at most advised",
        "consumer_timeout": "RabbitMQ: the server's own, in seconds, where that is not its default of 1800",
        "lease": "Redis: seconds until a job whose worker does not renew it is given out again",
        "visibility_timeout": "Redis: the same for what a worker that is not ours holds",
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "name"
    native_types: ClassVar[frozenset[type]] = frozenset({bytes, date, datetime, time, Decimal, UUID})
    capabilities: Capabilities

    def __init__(
        self,
        url: BackendURL | None = None,
        *,
        app: Celery | None = None,
        store: str | None = None,
        queues: Sequence[str] = ("default",),
    ) -> None:
        """`store` is the URL of the result store for an app of yours; a URL names it itself, as `?store=`."""
        if (url is None) == (app is None):
            raise ConfigurationError("CeleryBackend needs either a URL or a Celery app of yours.")
        self._url = url
        self.app = _the_app(url, app, queues)
        self._is_ours = app is None and url is not None and "app" not in url.options
        self._store_url = store
        self._label = str(url or f"the Celery app {self.app.main!r}")
        self._publisher = Publisher(self.app, self._label)
        self._pool = url.choice("pool", ("prefork", "threads", "solo"), "prefork") if url else "prefork"
        self._is_redis = self.app.connection_for_write().transport.driver_type == "redis"
        self._max_priority = self.app.conf.task_queue_max_priority or 0
        self._has_native_workers = url is not None and url.has_native_workers
        names_store = store is not None or (url is not None and url.store is not None)
        self._has_store = names_store or self._store_at_broker() is not None
        self.capabilities = self._record()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises `EnqueueError` after at most 5 s for connecting, 5 s for the answer, 10 s for a free connection."""
        parent = self._parent()
        self._publisher.publish([self._publication(message, parent) for message in messages])

    def serve(self, registry: Registry, run: Run, /) -> None:
        from taskbridge_celery.tasks import register, start_and_stop

        if self._is_ours:
            prepare_worker(self.app)
        parking = Parking(run, None if self._has_store else self._publisher)
        shared = {
            "bridge_run": staticmethod(run),
            "publisher": self._publisher,
            "parking": parking,
            "counter": NoCounter() if self._is_redis else QueueCounter(self._publisher),
            "ceiling": self._hold() / 2,
            "priority_of": staticmethod(self._priority_of),
        }
        tasks = registry.by_wire_name(self)
        register(self.app, tasks, shared)
        start_and_stop(run)
        keep_connected(self.app, parking)
        if self._is_redis:
            self._serve_redis(run, tasks)

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        return [
            Command(
                argv=(
                    sys.executable, "-m", "celery", "-A", "taskbridge_celery.app:app", "worker",
                    "-n", f"taskbridge-{uuid.uuid4().hex[:8]}@%h",
                    "-Q", ",".join(options.queues), "-c", str(options.concurrency), "-P", self._pool,
                    "--prefetch-multiplier", "1", "--without-gossip", "--without-mingle", "-l", "INFO",
                    *options.native_arguments,
                ),
                environment=worker_environment(options),
                label="celery",
            )
        ]  # fmt: skip

    def close(self) -> None:
        self._publisher.close()

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Lay a message that was parked on the queue again."""
        # A delivery says the routing key, which in an application's own settings may differ from the name.
        queues = self.app.amqp.queues.values()
        name = next((queue.name for queue in queues if queue.routing_key == queue_name), queue_name)
        self._publisher.send(1, lambda producer: publish_raw(producer, name, payload))

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        """Look at the broker, and at the engine's own settings."""
        from taskbridge_celery.check import broker_findings, setting_findings

        if not self._is_ours:
            yield from setting_findings(self.app)
        yield from broker_findings(self.app, options.queues, consumer_timeout=self._hold())

    def open_store(self) -> Store | None:
        """The result store in the same Redis; RabbitMQ holds none."""
        if self._store_url is not None:
            return open_store(self._store_url)
        at_broker = self._store_at_broker()
        return open_store(at_broker) if at_broker is not None else None

    def _store_at_broker(self) -> str | None:
        """Where an app of yours goes through Sentinel its broker's URL names no Redis server: name a store."""
        if not self._is_redis:
            return None
        if self._is_ours:
            from taskbridge.brokers.redis import redis_url

            assert self._url is not None
            return redis_url(self._url)
        url = self.app.conf.broker_url
        return url if isinstance(url, str) and url.startswith(("redis://", "rediss://")) else None

    def _serve_redis(self, run: Run, tasks: Iterable[str]) -> None:
        from taskbridge_celery.redis_transport.transport import install

        if missing := _broken_promises():
            logger.error("This Kombu lacks %s: workers use its own Redis transport, which can lose jobs.", missing)
        else:
            install(self.app, run, tasks)

    def _record(self) -> Capabilities:
        held: dict[str, Any] = {
            "is_redis": self._is_redis,
            "max_priority": self._max_priority,
            "hold": self._hold(),
        }
        if self._has_native_workers:
            return native_record(**held)
        options = self.app.conf.broker_transport_options
        has_confirms = bool(options.get("confirm_publish"))
        return record(
            **held,
            has_confirms=has_confirms,
            lease=timedelta(seconds=options.get("taskbridge_lease", LEASE_SECONDS)),
            has_leases=self._is_redis and not _broken_promises(),
            has_main_thread=self._pool != "threads",
            has_store=self._has_store,
            is_strict=self._url is not None and self._url.is_strict,
        )

    def _hold(self) -> timedelta:
        """How long the broker lets a worker hold a job."""
        if self._is_redis:
            seconds = self.app.conf.broker_transport_options.get("visibility_timeout", VISIBILITY_SECONDS)
            return timedelta(seconds=seconds)
        stated = self._url.number(CONSUMER_OPTION, 0) if self._url else 0
        return timedelta(seconds=stated) if stated else CONSUMER_TIMEOUT

    def _publication(self, message: Message, parent: tuple[str, str] | None) -> Publication:
        options: dict[str, Any] = {
            "queue": self.app.amqp.queues[message.queue_name],
            "serializer": SERIALIZER,
            "retry": False,
        }
        if self._is_redis:
            options["priority"] = priority.redis_step(message.priority)
        elif self._max_priority:
            options["priority"] = priority.amqp_level(message.priority, self._max_priority)
        if self._has_native_workers:
            return message.task, to_native_worker(message, parent=parent), {**options, **_for_native_worker(message)}
        return message.task, to_native(message, parent=parent), options

    def _priority_of(self, level: int, /) -> int:
        if self._is_redis:
            return priority.from_redis_step(level)
        return priority.from_amqp_level(level, self._max_priority) if self._max_priority else 0

    def _parent(self) -> tuple[str, str] | None:
        task = self.app.current_worker_task
        return (task.request.root_id or task.request.id, task.request.id) if task else None


@cache
def _broken_promises() -> list[str]:
    from taskbridge_celery.redis_transport.contract import broken_promises

    return broken_promises()


def _the_app(url: BackendURL | None, app: Celery | None, queues: Sequence[str]) -> Celery:
    if url is None:
        return check_app(app, "CeleryBackend(app=...)")
    path = url.options.get("app")
    options = (("lease", "redis"), ("visibility_timeout", "redis"), ("priority", "amqp"), (CONSUMER_OPTION, "amqp"))
    for option, broker in options:
        is_elsewhere = not url.broker.startswith(broker)
        if option in url.options and (is_elsewhere or (path is not None and option != CONSUMER_OPTION)):
            elsewhere = f"it is for celery+{broker}, take it out" if is_elsewhere else "set it in the app"
            raise ConfigurationError(f"{url}: {option} has no meaning here: {elsewhere}.")
    if path is None:
        return make_app(url, queues[0])
    if url.host:
        raise ConfigurationError(f"{url} names a broker, and so does the app. Write {url.scheme}://?app={path}.")
    loaded = load_app(path)
    transport = loaded.connection_for_write().transport.driver_type
    if not url.broker.startswith(transport):
        raise ConfigurationError(f"{url}: the app's broker is {transport}. Write celery+{transport}://?app={path}.")
    return loaded


def _for_native_worker(message: Message) -> dict[str, Any]:
    """Kombu's own encoding, and an expiry that RabbitMQ sees."""
    options: dict[str, Any] = {"serializer": "json"}
    if message.headers and message.headers.expires:
        options["expiration"] = max(0.0, (message.headers.expires - datetime.now(UTC)).total_seconds())
    return options
