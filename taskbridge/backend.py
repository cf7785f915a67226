"""What an adapter implements: four methods, one capability record, and the facets it may have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskbridge.capability import Capabilities
    from taskbridge.check.finding import Finding
    from taskbridge.message import Message, Outcome, Parked
    from taskbridge.process import Command
    from taskbridge.registry import Registry
    from taskbridge.store import Store


class Run(Protocol):
    """The core's one entry point in a worker. The adapter calls it for each delivery and settles what it returns."""

    @property
    def crash_budget(self) -> int:
        """How often a job whose worker died is run again; for an adapter whose worker must give up without us."""
        ...

    def __call__(self, message: Message, /, *, attempt: int, crashes: int = 0) -> Outcome:
        """Run one attempt; `attempt` counts from 1. Never raises an `Exception`.

        `crashes` counts the executions of this job that began and ended with the death of their worker. Whoever
        recovers a job, or receives it redelivered, counts: a job that was delivered once costs nothing.
        """
        ...

    def park(
        self, payload: bytes, /, *, queue_name: str, reason: Parked, error: Exception, message: Message | None = None
    ) -> bool:
        """Keep what cannot become a `Message`, or has no task here, as a dead letter in the store.

        `message` is the job, where it could be read: it is kept under its id, and its result has failed.

        True: it is kept, and the adapter may acknowledge. False: there is no store or it did not answer, so the
        adapter must keep it on the broker.
        """
        ...

    def start(self) -> None:
        """Run the start hooks; called once in each process that will run attempts."""
        ...

    def stop(self) -> None:
        """Run the stop hooks, where the engine lets a process end in peace."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What `taskbridge worker` asks of a backend."""

    alias: str = "default"
    queues: tuple[str, ...] = ("default",)
    concurrency: int = 1
    """Attempts at one time, for each queue where the engine needs a worker for each."""
    grace: timedelta = timedelta(seconds=30)
    """How long a warm stop may take."""
    imports: tuple[str, ...] = ()
    native_arguments: tuple[str, ...] = ()
    """Handed to the engine's own command line as they are."""


class Backend(Protocol):
    """One configured engine on one broker. Subclass it: the type checker then reports what is missing."""

    engine: ClassVar[str]
    """The first half of the URL's scheme, the key in `native={...}` and the name of the extra."""
    brokers: ClassVar[tuple[str, ...]]
    """The second halves of the URL's scheme."""
    url_options: ClassVar[Mapping[str, str]]
    """Query keys that the adapter reads, each with a line of explanation."""
    wire_names: ClassVar[Literal["name", "module path"]]
    """What the engine needs a task to be called on the wire."""
    capabilities: Capabilities

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Hand one or many jobs to the broker, in one round trip where it allows that.

        Raises:
            EnqueueError: within the adapter's stated time, saying whether the jobs may have been accepted.
        """
        ...

    def serve(self, registry: Registry, run: Run, /) -> None:
        """In a worker process: make the registered tasks known to the engine, each settling what `run` returns."""
        ...

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        """The engine's own command lines that serve these queues, with their environments."""
        ...

    def close(self) -> None:
        """Give back connections. The backend may be used again afterwards."""
        ...


@runtime_checkable
class CarriesTypes(Protocol):
    """A backend whose engine's own encoding carries more types than JSON exactly, for `?workers=native`."""

    native_types: ClassVar[frozenset[type]]


@runtime_checkable
class HasStore(Protocol):
    """A backend whose broker can also hold what TaskBridge keeps: results, leases, dead letters."""

    def open_store(self) -> Store | None:
        """None where this one's broker cannot, although others of its engine can."""
        ...


@runtime_checkable
class CanReopen(Protocol):
    """A backend on which a job that has failed still has its id: enqueuing it again there is more than enqueuing."""

    def reopen(self, message: Message, /) -> None:
        """Enqueue a dead job again under its id; raises as `enqueue` does."""
        ...


@runtime_checkable
class CanCancel(Protocol):
    """A backend that can take a job off its broker which no worker has begun."""

    def cancel(self, job_id: str, /) -> bool:
        """Take it off, in one step; False if it is not waiting there. Raises as `enqueue` does."""
        ...


@runtime_checkable
class TakesRaw(Protocol):
    """A backend to which bytes that were parked can be given back."""

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Lay the bytes on the queue as they were when they were parked; raises as `enqueue` does."""
        ...


@runtime_checkable
class CanCheck(Protocol):
    """A backend that looks at its own broker and at its engine's settings, for `taskbridge check`."""

    def check(self, options: WorkerOptions, /) -> Iterable[Finding]:
        """What would lose, double, delay or refuse jobs. Reads; creates no queue; takes a few seconds at most."""
        ...


@runtime_checkable
class CanRunInProcess(Protocol):
    """A backend without worker processes: it works its jobs off in the caller."""

    def work_off(self, until: Callable[[], bool], /, *, timeout: timedelta) -> bool: ...


def native_options(message: Message, /, *known: str) -> dict[str, Any]:
    """The task's own options for this engine, without those that the adapter reads itself."""
    return {key: value for key, value in message.native.items() if key not in known}
