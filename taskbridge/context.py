"""What a task with `takes_context=True` is given as its first argument, and other code asks for."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from taskbridge.errors import NotInTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta


class RetryRequested(BaseException):
    """Ends an attempt at the task's own wish. Not an `Exception`, so that the task does not catch it by accident."""

    def __init__(self, after: timedelta | None) -> None:
        super().__init__("the task asked for another attempt")
        self.after = after


class CancelRequested(BaseException):
    """Ends an attempt whose job was cancelled. Not an `Exception`, so that the task does not catch it by accident."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One attempt, seen from inside."""

    id: str
    task: str
    """The task's name."""
    queue_name: str
    attempt: int
    """Counts from 1."""
    deadline: datetime | None
    """Aware; when `DeadlineExceeded` will be raised."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What `using(metadata=...)` sent along."""
    fencing_token: int | None = None
    """The number of this execution's claim on the job's key: whoever has claimed it later has a larger one. None
    without a key."""

    asks: Callable[[], bool] = field(default=_never, repr=False, compare=False)
    """How `cancelled` is found out."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled the job, for a task that runs long and can stop at a good moment.

        The store is asked at most once a second. Always False for a task without results that is not `cancellable`.
        """
        return self.asks()

    def raise_if_cancelled(self) -> None:
        """End the attempt here, for good, if somebody has cancelled the job."""
        if self.asks():
            raise CancelRequested

    def retry(self, *, after: timedelta | None = None) -> NoReturn:
        """End this attempt and ask for another, `after` this time (None: as the task's `retry` says).

        It counts as an attempt: the task's `retry` bounds their number, and a task without one may not call this.
        """
        raise RetryRequested(after)

    def once(self, connection: Any = None, /, *, key: str | None = None) -> bool:
        """Whether this transaction is the first to do the job's work: write its effects if so, else leave them.

        The answer is a row in the caller's own transaction, unique for the job, or for `key` among all jobs of the
        task. It is committed with the effects or not at all, so that they happen exactly once, in that database,
        however often the job is delivered. It is remembered for 90 days.

        Args:
            connection: a Django alias (None: the one that Django's routers choose), a SQLAlchemy session or
                connection, or a connection of sqlite3 or psycopg, with a transaction open.
            key: what is to happen once, where that is not this job.

        Raises:
            NoTransaction: none is open.
            ConfigurationError: the connection is of no known kind, or its database has no inbox.
        """
        from taskbridge.outbox.inbox import once

        return once(connection, task=self.task, job_id=self.id, key=key)

    async def aonce(self, connection: Any = None, /, *, key: str | None = None) -> bool:
        """`once` for a coroutine: also on an AsyncSession or AsyncConnection."""
        from taskbridge.outbox.inbox import aonce

        return await aonce(connection, task=self.task, job_id=self.id, key=key)


class Running(Protocol):
    """An attempt, for who asks no more than whether one runs here, and of which job."""

    def context(self) -> Context: ...


current: ContextVar[Running | None] = ContextVar("taskbridge_attempt", default=None)
"""The attempt that this thread or asyncio task is part of."""


def current_context() -> Context:
    """The context of the job that runs here: for code below its task, and for a task under Django's own decorator.

    A thread that a task starts by itself does not know it; `asyncio.to_thread` hands it on.

    Raises:
        NotInTask: no job of TaskBridge's runs here.
    """
    attempt = current.get()
    if attempt is None:
        raise NotInTask(
            "No job of TaskBridge's runs here, so that there is no context: the function was called in place, by a "
            "thread of its own, or by another framework's backend."
        )
    return attempt.context()
