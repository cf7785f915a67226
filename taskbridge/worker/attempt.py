"""One execution of a job, as the middlewares see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from taskbridge.context import Context
from taskbridge.errors import StoreUnavailable
from taskbridge.settings.url import DEFAULT_CRASH_BUDGET
from taskbridge.store.letter import DEFAULT_DEAD_TTL
from taskbridge.store.record import DEFAULT_TTL

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from taskbridge.message import Headers, Message, Outcome
    from taskbridge.registry import Registry
    from taskbridge.signing import KeyRing
    from taskbridge.store import NewRecord, Store, Transition
    from taskbridge.task import Task
    from taskbridge.worker.interruption import Interruption


@dataclass(slots=True)
class Attempt:
    """One execution of one job."""

    message: Message
    headers: Headers
    task: Task[..., Any, Any]
    number: int
    """Counts from 1."""
    timeout: timedelta | None
    crashes: int = 0
    """Executions of this job that ended with the death of their worker."""
    is_cancelled: Callable[[], bool] | None = None
    """Asks whether somebody has cancelled the job, where it may be."""
    interruption: Interruption | None = None
    """How its body is ended while it runs, where it may be."""
    fencing_token: int | None = None
    """The number of its claim on its key, where it has one."""
    alias: str = "default"
    """The backend that the worker serves."""
    started_at: datetime | None = None
    """Aware; set when it is recorded, where results are on. So is `ended_at`."""
    ended_at: datetime | None = None
    deadline: datetime | None = None
    """Aware; set when the limit begins to run."""
    is_start_recorded: bool | None = None
    """What the store answered where the start was recorded with the claim of the job's key; None where it was not."""
    end: tuple[NewRecord, Transition] | None = None
    """The record of the end, where that is written with what becomes of the job's key."""

    @property
    def has_result(self) -> bool:
        """Whether what happens to the job is recorded."""
        return self.headers.result or self.task.options.result

    @property
    def is_at_most_once(self) -> bool:
        """Whether the job may be started once only."""
        return self.headers.at_most_once or self.task.options.delivery == "at_most_once"

    def context(self) -> Context:
        """What the task and the hooks may see of it."""
        asks = {} if self.is_cancelled is None else {"asks": self.is_cancelled}
        return Context(
            **asks,
            id=self.message.id,
            task=self.task.name,
            queue_name=self.message.queue_name,
            attempt=self.number,
            deadline=self.deadline,
            metadata=self.headers.metadata,
            fencing_token=self.fencing_token,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a worker process offers its middlewares."""

    alias: str
    registry: Registry
    open_store: Callable[[], Store | None]
    result_ttl: timedelta = DEFAULT_TTL
    """How long a result is kept after its job has ended."""
    dead_ttl: timedelta = DEFAULT_DEAD_TTL
    """How long a dead letter is kept."""
    signing_keys: KeyRing | None = None
    retry_ceiling: timedelta | None = None
    """A job whose next attempt is due later than this waits in the store; None: the backend holds any."""
    crash_budget: int = DEFAULT_CRASH_BUDGET
    """How often a job whose worker died is run again."""

    def store(self) -> Store:
        """The store, for what cannot go on without one.

        Raises:
            StoreUnavailable: there is none, or it cannot be opened now.
        """
        store = self.open_store()
        if store is None:
            raise StoreUnavailable("this worker has no store: name one in the backend's URL, ?store=redis://...")
        return store


class Middleware(Protocol):
    """Stands around every attempt. Built once in a worker process."""

    def __init__(self, environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        """Run the attempt by calling `proceed`, or answer without it."""
        ...
