"""Huey on Redis or SQLite.

Queues: one Huey instance each, named as the queue, served by one consumer each.
Switched off: Huey's own retries, expiry, time limits and results, which TaskBridge owns.
Settled: a job is claimed, not deleted, and removed after its run together with what follows from it; a retry is Huey's
own rescheduling with our delay; an exhausted job raises its last error.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Literal
from uuid import UUID

from huey.api import Huey, Task
from huey.signals import SIGNAL_ENQUEUED
from huey.storage import RedisStorage, SqliteStorage

from taskbridge.backend import Backend, WorkerOptions
from taskbridge.errors import ConfigurationError
from taskbridge.process import Command
from taskbridge.settings import SENTINEL_OPTIONS
from taskbridge.store import open_store
from taskbridge.worker import worker_environment
from taskbridge_huey.claiming import claim_instead_of_deleting, claims_on, own_storage
from taskbridge_huey.record import native_record, record
from taskbridge_huey.storage import adopt_huey, check_queues, enqueue_failure, open_huey, sqlite_path, writer
from taskbridge_huey.tasks import register
from taskbridge_huey.wire import to_native, to_stock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskbridge.backend import Run
    from taskbridge.capability import Capabilities
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store

    _Write = Callable[[Sequence[tuple[bytes, int]]], object]
    _Producer = tuple[Huey, _Write]


class HueyBackend(Backend):
    """Huey, configured by a URL or around the application's own Huey instance."""

    engine: ClassVar[str] = "huey"
    brokers: ClassVar[tuple[str, ...]] = ("redis", "rediss", "sqlite")
    url_options: ClassVar[Mapping[str, str]] = {
        **SENTINEL_OPTIONS,
        "priority": "yes: a sorted set instead of a list on Redis",
        "serializer": "json, or pickle to talk with a legacy Huey",
        "worker_type": "process or thread",
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "name"
    native_types: ClassVar[frozenset[type]] = frozenset(
        {bytes, bytearray, tuple, set, frozenset, date, datetime, time, timedelta, Decimal, UUID}
    )
    capabilities: Capabilities

    def __init__(
        self,
        url: BackendURL | None = None,
        *,
        huey: Huey | None = None,
        store: str | None = None,
        queues: Sequence[str] = ("default",),
    ) -> None:
        """`store` is the URL of the store for an instance of yours; a URL names it itself, as `?store=`."""
        if (url is None) == (huey is None):
            raise ConfigurationError("HueyBackend needs either a URL or a Huey instance of yours.")
        if url is not None:
            check_queues(url, queues)
        self._url = url
        self._store_url = store
        self._queues = tuple(queues) if huey is None else (huey.name,)
        self._instances: dict[str, Huey] = {} if huey is None else {huey.name: adopt_huey(huey)}
        self._label = str(url or f"the Huey instance {self._queues[0]!r}")
        self.worker_type = url.choice("worker_type", ("process", "thread"), "process") if url else "process"
        self._has_native_workers = url is not None and url.has_native_workers
        self._to_native = to_stock if self._has_native_workers else to_native
        self._producers: dict[str, _Producer] = {}
        self.capabilities = self._record()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises `EnqueueError` after at most 5 s for connecting, 5 s for the answer, 5 s for a locked file."""
        if len(messages) == 1:
            self._enqueue(messages[0].queue_name, messages)
            return
        queues: dict[str, list[Message]] = {}
        for message in messages:
            queues.setdefault(message.queue_name, []).append(message)
        for queue_name, batch in queues.items():
            self._enqueue(queue_name, batch)

    def _enqueue(self, queue_name: str, messages: Sequence[Message]) -> None:
        huey, write = self._producers.get(queue_name) or self._producer(queue_name)
        for message in messages:
            _announce(huey, message)
        serialize = huey.serializer.serialize
        self._write(write, [(serialize(self._to_native(message)), message.priority) for message in messages])

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Lay on the queue what was parked; raises as `enqueue` does."""
        _, write = self._producers.get(queue_name) or self._producer(queue_name)
        self._write(write, [(payload, 0)])

    def _write(self, write: _Write, serialized: list[tuple[bytes, int]]) -> None:
        try:
            write(serialized)
        except Exception as error:
            failure = enqueue_failure(self._label, error)
            if failure is None:
                raise
            raise failure from error

    def serve(self, registry: Registry, run: Run, /) -> None:
        tasks = registry.by_wire_name(self)
        for queue_name in self._queues:
            huey = self.instance(queue_name)
            register(huey, queue_name, tasks, run)
            claim_instead_of_deleting(huey, queue_name, run)

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        if self._has_native_workers:
            raise ConfigurationError(
                f"{self._label} says that its workers are not TaskBridge's. Start them yourself, one for each queue: "
                f"huey_consumer yourmodule.huey"
            )
        grace = max(1, int(options.grace.total_seconds()) - 2)
        poll = "0.03" if self._url is not None and self._url.broker != "sqlite" else "0.01"
        return [
            Command(
                argv=(
                    sys.executable, "-m", "huey.bin.huey_consumer", "taskbridge_huey.app.huey",
                    "-w", str(options.concurrency), "-k", self.worker_type,
                    "-g", "TERM", "-t", str(grace),
                    "-d", poll, "-m", "0.05", "-b", "1", "-c", "1", "-n", "-q",
                    *options.native_arguments,
                ),
                environment=worker_environment(replace(options, queues=(queue,))),
                label=f"huey:{queue}",
            )
            for queue in options.queues
        ]  # fmt: skip

    def close(self) -> None:
        self._producers.clear()
        for huey in self._instances.values():
            storage = own_storage(huey)
            if isinstance(storage, SqliteStorage):
                storage.close()
            elif isinstance(storage, RedisStorage):
                storage.pool.disconnect()

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        """Look at the broker."""
        del options
        from taskbridge_huey.check import instance_findings

        # All queues have one server.
        return instance_findings(self.instance(self._queues[0]))

    def open_store(self) -> Store | None:
        """The store in the same Redis, or in the same file; for an instance of yours, the one that was named."""
        if self._url is None:
            return open_store(self._store_url) if self._store_url is not None else None
        if self._url.broker == "sqlite":
            return open_store(f"sqlite:///{sqlite_path(self._url)}")
        from taskbridge.brokers.redis import redis_url

        return open_store(redis_url(self._url))

    def instance(self, queue_name: str) -> Huey:
        """The Huey of one queue."""
        if queue_name not in self._instances:
            assert self._url is not None
            self._instances[queue_name] = open_huey(self._url, queue_name)
        return self._instances[queue_name]

    def _record(self) -> Capabilities:
        huey = next(iter(self._instances.values()), None)
        has_priority = _has_priority(self._url, huey)
        if not self._has_native_workers:
            return record(
                has_priority=has_priority,
                has_processes=self.worker_type == "process",
                has_claims=huey is None or claims_on(huey.storage) is not None,
                has_store=self._url is not None or self._store_url is not None,
            )
        if self._url is not None and self._url.options.get("serializer") != "pickle":
            raise ConfigurationError(
                f"{self._label}: a Huey consumer that TaskBridge does not run reads pickles. Write "
                f"?workers=native&serializer=pickle."
            )
        return native_record(has_priority=has_priority)

    def _producer(self, queue_name: str) -> _Producer:
        if self._url is not None:
            check_queues(self._url, dict.fromkeys((*self._queues, *self._producers, queue_name)))
        huey = self.instance(queue_name)
        producer = self._producers[queue_name] = (huey, writer(huey, self._url))
        return producer


def _has_priority(url: BackendURL | None, huey: Huey | None) -> bool:
    if url is None:
        return bool(getattr(huey and huey.storage, "priority", True))
    return url.broker == "sqlite" or url.flag("priority")


def _announce(huey: Huey, message: Message) -> None:
    """Tell the application's own listeners, as Huey's enqueue does."""
    if any(huey._signal.receivers.values()):  # noqa: SLF001 - asked first, since building a task for nobody costs more than the write
        native = to_native(message)
        huey._emit(SIGNAL_ENQUEUED, Task(native.args, native.kwargs, id=native.id, eta=native.eta))  # noqa: SLF001 - as above
