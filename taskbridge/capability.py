"""What a backend does for each option: natively, by emulation at a stated cost, or not at all.

One record a backend, without defaults: a new option makes every adapter decide, and the type checker says where. The
record drives the check at binding, wires the emulations into the worker, writes the matrix in the docs, and tells the
conformance suite what to expect.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

Level = Literal["native", "emulated", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How one option is held by one backend."""

    level: Level
    note: str
    """How the engine does it, what the emulation costs, or why it is refused and what to do instead."""
    by: type[Any] | None = None
    """The worker's middleware that emulates it."""
    ceiling: timedelta | None = None
    """The largest value that is safe, where there is one."""
    beyond: str | None = None
    """What TaskBridge does with a delay above the ceiling, and what that costs; None: it is refused."""

    @property
    def is_refused(self) -> bool:
        return self.level == "refused"


def native(how: str, *, ceiling: timedelta | None = None, beyond: str | None = None) -> Support:
    """The engine does it."""
    return Support(level="native", note=how, ceiling=ceiling, beyond=beyond)


def emulated(by: type[Any], *, cost: str, ceiling: timedelta | None = None, beyond: str | None = None) -> Support:
    """TaskBridge does it, through the middleware `by`, at a stated cost."""
    return Support(level="emulated", note=cost, by=by, ceiling=ceiling, beyond=beyond)


def refused(why: str) -> Support:
    """An error says why not, and what to do."""
    return Support(level="refused", note=why)


WAITS_IN_STORE: Final = (
    "a longer delay is emulated: the job waits in the store, and a scheduler hands it over when it is due"
)
"""What `beyond` says of a `run_after`, or of a retry, on a backend that has a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The record of one engine, on one broker, with one kind of workers."""

    at_least_once: Support
    """A job whose worker dies is run again."""
    at_most_once: Support
    """A job is never started twice, whatever dies."""
    effectively_once: Support
    """What a key stands for is not done again once it has been done, whatever dies and however often it is sent."""
    retry: Support
    timeout: Support
    """`DeadlineExceeded` is raised in the task, at the latest at its next bytecode or await."""
    prompt_timeout: Support
    """... and it interrupts a blocking call."""
    expires: Support
    run_after: Support
    priority: Support
    result: Support
    cancel: Support
    """A job that waits, for its turn, its time or its next attempt, can be cancelled for good."""
    terminate: Support
    """A running attempt of a `cancellable` job can be ended: as promptly as by a timeout."""
    dead_letters: Support
    """A job that fails for good is kept with its reason, and may be enqueued again by command."""
    context: Support
    """`takes_context` and metadata."""

    def __iter__(self) -> Iterator[tuple[str, Support]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def emulations(self) -> frozenset[type[Any]]:
        """The middlewares that the worker must run, since the engine does not do their part."""
        return frozenset(support.by for _, support in self if support.by is not None)
