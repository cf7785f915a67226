"""A task meets a backend: capabilities are checked and everything that calls have in common is computed, once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from taskbridge.backend import CarriesTypes
from taskbridge.errors import EnqueueError, InvalidArguments
from taskbridge.handover import hand_over
from taskbridge.identity import new_ids
from taskbridge.key import key_maker
from taskbridge.message import Headers, Message, call_text
from taskbridge.overrides import overrides
from taskbridge.refusals import check, check_ceiling, check_queue, check_timing, refuse_main_module, unchanged
from taskbridge.registry import registry, wire_name
from taskbridge.result import TaskResult
from taskbridge.settings import BackendURL
from taskbridge.settings.url import DEFAULT_SIZE_LIMIT
from taskbridge.signatures.fingerprint import fingerprint_of
from taskbridge.store import NewRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.backend import Backend
    from taskbridge.cancellation import Cancellation
    from taskbridge.message import Tick
    from taskbridge.outbox.transaction import Transaction
    from taskbridge.settings import BackendSettings
    from taskbridge.signing import KeyRing
    from taskbridge.store import Record, Store
    from taskbridge.task import Task
    from taskbridge.timing import Timing

logger = logging.getLogger("taskbridge.enqueue")

R = TypeVar("R")

Call = tuple[tuple[Any, ...], dict[str, Any]]

TICK_KEPT: Final = timedelta(hours=1)
"""How long it is known that a tick of a periodic task has run: one whose scheduler died may be enqueued twice."""

_encode_json = msgspec.json.Encoder().encode


class Binding(Generic[R]):
    """One task on one backend. It is also where a `TaskResult` of its jobs reads."""

    __slots__ = (
        "_is_strict", "_key", "_open_store", "_options", "_result_ttl", "_signing_keys", "_size_limit", "_store",
        "_task", "_template", "_timing", "alias", "backend", "generation", "has_native_workers",
    )  # fmt: skip

    def __init__(
        self,
        *,
        task: Task[Any, R, Any],
        alias: str,
        backend: Backend,
        settings: BackendSettings,
        open_store: Callable[[], Store | None],
        has_outbox: Callable[[], bool],
        generation: object,
        signing_keys: KeyRing | None = None,
    ) -> None:
        url = settings.target if isinstance(settings.target, BackendURL) else None
        options = task.options
        refuse_main_module(task)
        if not settings.any_queue:
            check_queue(options.queue_name, settings.queues, alias, task.name)
        self._is_strict = url is not None and url.is_strict
        check(options, backend.capabilities, label=str(url or alias), task=task.name, is_strict=self._is_strict)
        task.codec.compile()
        self.alias = alias
        self.backend = backend
        self.generation = generation
        self._task = task
        self._options = options
        self._key = key_maker(task)
        self._size_limit = url.size_limit if url is not None else DEFAULT_SIZE_LIMIT
        self._result_ttl = settings.result_ttl
        self.has_native_workers = url is not None and url.has_native_workers
        self._timing: Timing = options.timing or settings.timing
        check_timing(self._timing, options, has_outbox, label=str(url or alias))
        self._open_store = open_store
        self._signing_keys = signing_keys
        self._store: Store | None = open_store() if options.result else None
        self._template = (
            wire_name(task, backend),
            dict(options.native.get(backend.engine, {})),
            overrides(options, (registry.get(task.name) or task).options),
            fingerprint_of(task),
        )

    def enqueue(self, args: tuple[Any, ...], kwargs: dict[str, Any], /, *, connection: object = None) -> TaskResult[R]:
        """Check one call and hand it to the backend, or to the transaction of the connection."""
        message, timing = self.send(args, kwargs, connection=connection)
        return TaskResult(message.id, self, timing)

    def send(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], /, *, connection: object = None
    ) -> tuple[Message, Timing]:
        """`enqueue`, for whoever needs the message, and to know what became of it."""
        message = self._message(new_ids(1)[0], args, kwargs, datetime.now(UTC))
        return message, self._hand_over((message,), connection)

    async def aenqueue(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], /, *, connection: object = None
    ) -> TaskResult[R]:
        """`enqueue` without blocking the event loop, where the connection permits that."""
        import asyncio

        if self._timing == "now":
            return await asyncio.to_thread(self.enqueue, args, kwargs)
        from taskbridge.outbox.asynchronous import run_on

        message = self._message(new_ids(1)[0], args, kwargs, datetime.now(UTC))
        timing = await run_on(connection, lambda transaction: self._hand_to(transaction, (message,)))
        return TaskResult(message.id, self, timing)

    def enqueue_many(self, calls: Sequence[Call], /, *, connection: object = None) -> list[TaskResult[R]]:
        """Check all calls, then hand them to the backend at once, or to the transaction of the connection."""
        now = datetime.now(UTC)
        ids = new_ids(len(calls))
        messages = [self._message(job_id, args, kwargs, now) for job_id, (args, kwargs) in zip(ids, calls, strict=True)]
        timing = self._hand_over(messages, connection) if messages else self._timing
        return [TaskResult(job_id, self, timing) for job_id in ids]

    def send_tick(self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], tick: Tick, /) -> TaskResult[R]:
        """Hand the job of a periodic task to the backend, under the id that the tick has."""
        message = self._message(job_id, args, kwargs, datetime.now(UTC), tick)
        self._send((message,))
        self._task.ticked(message)
        return TaskResult(job_id, self, "now")

    def _message(
        self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], now: datetime, tick: Tick | None = None
    ) -> Message:
        options = self._options
        plain_args, plain_kwargs = self._task.codec.encode(args, kwargs)
        if self.has_native_workers:
            # A row of an outbox is JSON, whatever the engine's own encoding carries.
            types: frozenset[type] = frozenset()
            if isinstance(self.backend, CarriesTypes) and self._timing != "outbox":
                types = self.backend.native_types
            for position, value in enumerate(args):
                plain_args[position] = unchanged(value, plain_args[position], types, position, self._task.name)
            for keyword, value in kwargs.items():
                plain_kwargs[keyword] = unchanged(value, plain_kwargs[keyword], types, keyword, self._task.name)
        size = _size(plain_args, plain_kwargs)
        if size > self._size_limit:
            raise InvalidArguments(
                f"The arguments of {self._task.name!r} take {size} bytes of JSON, and {self.alias!r} carries at most "
                f"{self._size_limit}. Store the data and send its key, or raise ?size_limit=."
            )
        run_after = moment(options.run_after, now)
        if run_after is not None:
            support = self.backend.capabilities.run_after
            check_ceiling(run_after - now, support, self.backend.engine, self._task.name, is_strict=self._is_strict)
        task, native, (timeout, retry, key_ttl), fingerprint = self._template
        headers = Headers(
            enqueued_at=now,
            expires=moment(options.expires, now),
            timeout=timeout,
            retry=retry,
            result=options.result,
            at_most_once=options.delivery == "at_most_once",
            cancellable=options.cancellable,
            key=self._key(args, kwargs) if self._key is not None else "" if tick is None else job_id,
            key_ttl=key_ttl if self._key is not None or tick is None else TICK_KEPT.total_seconds(),
            fingerprint=fingerprint,
            metadata=options.metadata or {},  # type: ignore[arg-type]  # a Mapping serves: it is only encoded
            tick=tick,
        )
        message = Message(
            job_id, task, plain_args, plain_kwargs, options.queue_name, options.priority, run_after, headers, native
        )
        if self._signing_keys is not None:
            self._signing_keys.sign(message)
        return message

    def _hand_over(self, messages: Sequence[Message], connection: object) -> Timing:
        """Do what the timing says, and answer with what was done."""
        if self._timing == "now":
            self._send(messages)
            return "now"
        on, _ = _outbox()
        return self._hand_to(on(connection), messages)

    def _hand_to(self, transaction: Transaction, messages: Sequence[Message]) -> Timing:
        if self._timing == "outbox":
            _, write = _outbox()
            key = self._options.ordering_key
            records = [None if self._store is None else self._record(message) for message in messages]
            write(transaction, messages, records, backend=self.alias, task=self._task.name, ordering_key=key)
            return "outbox"
        if not transaction.is_open:
            self._send(messages)
            return "now"
        transaction.after_commit(lambda: self._send_after_commit(messages))
        return "on_commit"

    def _send_after_commit(self, messages: Sequence[Message]) -> None:
        # The caller's work is committed, and nobody is left to hear of an error.
        try:
            self._send(messages)
        except Exception:
            ids = ", ".join(message.id for message in messages)
            logger.exception("Committed, but not enqueued: %s of %s. timing='outbox' cannot lose it.", ids, self._task)

    def _send(self, messages: Sequence[Message]) -> None:
        store = self._store
        if store is None:
            hand_over(messages, self.backend, self.alias, self._open_store)
            return
        store.queued([self._record(message) for message in messages])
        try:
            hand_over(messages, self.backend, self.alias, self._open_store)
        except EnqueueError as error:
            if not error.maybe_accepted:
                store.forget([message.id for message in messages])
            raise

    def _record(self, message: Message) -> NewRecord:
        headers = message.headers
        return NewRecord(
            id=message.id,
            task=self._task.name,
            queue_name=message.queue_name,
            backend=self.alias,
            enqueued_at=headers.enqueued_at if headers and headers.enqueued_at else datetime.now(UTC),
            run_after=message.run_after,
            ttl=self._result_ttl,
            priority=message.priority,
            arguments=call_text(message) if self._task.keeps_arguments else None,
        )

    def result(self, job_id: str, /) -> TaskResult[R]:
        """The handle of a job that exists already."""
        return TaskResult(job_id, self)

    def read(self, job_id: str, /) -> Record | None:
        """What is recorded of a job of this task."""
        store = self._store or self._open_store()
        return None if store is None else store.read(job_id)

    def cancel(self, job_id: str, /, *, terminate: bool = False) -> Cancellation:
        """Cancel a job of this task.

        Raises:
            UnsupportedFeature: a worker would not hear of it.
        """
        from taskbridge.cancellation import cancel_of

        return cancel_of(
            self._task,
            job_id,
            self.alias,
            backend=self.backend,
            open_store=self._open_store,
            ttl=self._result_ttl,
            terminate=terminate,
        )

    def decode(self, record: Record, /) -> R:
        """The recorded value, as the task's return annotation has it."""
        value: R = self._task.codec.decode_result(record.value)
        return value

    @property
    def off_reason(self) -> str | None:
        """Why no result will ever be recorded; None if one will."""
        if self._options.result:
            return None
        return f"results are off for the task {self._task.name!r}: declare it with @task(result=True)"


@cache
def _outbox() -> tuple[Callable[[object], Transaction], Callable[..., None]]:
    """For those who use it; an import statement costs as much as to encode the message, even the second time."""
    from taskbridge.outbox.row import write
    from taskbridge.outbox.transaction import on

    return on, write


def _size(args: list[Any], kwargs: dict[str, Any]) -> int:
    try:
        return len(_encode_json((args, kwargs)))
    except (OverflowError, ValueError, msgspec.MsgspecError):
        return len(repr((args, kwargs)))


def moment(value: timedelta | datetime | None, now: datetime, /) -> datetime | None:
    """The aware moment that a task's `expires` or `run_after` means for a job enqueued now."""
    return now + value if isinstance(value, timedelta) else value
