"""What may happen to a job, and which of it a store refuses to write down.

Deliveries repeat and workers stall, so transitions arrive twice and out of order. Every store applies one as a single
guarded write by the two rules beside each transition; a transition that loses is dropped without an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from taskbridge.store.record import DetailStatus, TaskError

_DONE: Final = frozenset({DetailStatus.SUCCESSFUL, DetailStatus.SKIPPED})
_FINAL: Final = _DONE | {DetailStatus.CANCELLED}
_ENDED: Final = _FINAL | {DetailStatus.FAILED, DetailStatus.EXPIRED}
_LIVE: Final = frozenset({DetailStatus.RUNNING, DetailStatus.RETRYING})
_MILLION: Final = 1_000_000


class Rule(Struct, frozen=True):
    """When a record stays as it is."""

    becomes: DetailStatus
    yields_to: frozenset[DetailStatus]
    """The record is in one of these states."""
    newer_wins_in: frozenset[DetailStatus]
    """The record is in one of these, by an execution with a higher number."""


class _Execution(Struct, frozen=True, kw_only=True):
    """Which execution of the job writes: a later one fences off what an earlier one writes after it has begun."""

    crashes: int = 0
    """Earlier executions that ended with the death of their worker."""
    redrives: int = 0
    """How often the job has been enqueued again after it was dead."""


class Started(_Execution, frozen=True, kw_only=True):
    """An attempt begins. A redelivered copy does not reopen a success; a dead job that is driven again does start."""

    rule: ClassVar = Rule(DetailStatus.RUNNING, _FINAL, _LIVE)
    attempt: int
    at: datetime
    worker: str = ""
    """The id of the worker process."""


class Retrying(_Execution, frozen=True, kw_only=True):
    """An attempt has failed and another may start at `run_after`."""

    rule: ClassVar = Rule(DetailStatus.RETRYING, _ENDED, _LIVE)
    error: TaskError
    run_after: datetime


class Succeeded(_Execution, frozen=True, kw_only=True):
    """The task has returned. An earlier success stays, and so does what a later execution has written."""

    rule: ClassVar = Rule(DetailStatus.SUCCESSFUL, _DONE, _LIVE | {DetailStatus.FAILED})
    attempt: int
    at: datetime
    value: object
    """A plain JSON value."""


class Failed(_Execution, frozen=True, kw_only=True):
    """The last attempt has failed."""

    rule: ClassVar = Rule(DetailStatus.FAILED, _FINAL, _LIVE | {DetailStatus.FAILED})
    error: TaskError


class Expired(Struct, frozen=True, kw_only=True):
    """The job will not start any more."""

    rule: ClassVar = Rule(DetailStatus.EXPIRED, _ENDED, frozenset())
    at: datetime


class Skipped(Struct, frozen=True, kw_only=True):
    """Another job of the same key had done what this one was to do."""

    rule: ClassVar = Rule(DetailStatus.SKIPPED, _FINAL, frozenset())
    at: datetime
    value: object | UnsetType = UNSET
    """What the other one returned, where that is known; a plain JSON value."""


class Withdrawn(Struct, frozen=True, kw_only=True):
    """Somebody cancels the job before an attempt has started."""

    rule: ClassVar = Rule(DetailStatus.CANCELLED, _ENDED | {DetailStatus.RUNNING}, frozenset())
    at: datetime


class Cancelled(Struct, frozen=True, kw_only=True):
    """A worker has not started the job, or not gone on with it, because it was cancelled."""

    rule: ClassVar = Rule(DetailStatus.CANCELLED, _ENDED, frozenset())
    at: datetime


def execution_number(*, attempt: int, crashes: int = 0, redrives: int = 0) -> int:
    """One number for an execution, larger for each that comes later; below 2**53, which Redis' scripts count to."""
    return (min(redrives, 999) * _MILLION + min(attempt, _MILLION - 1)) * _MILLION + min(crashes, _MILLION - 1)


Transition: TypeAlias = Started | Retrying | Succeeded | Failed | Expired | Skipped | Withdrawn | Cancelled
TRANSITIONS: Final[tuple[type[Transition], ...]] = (
    Started,
    Retrying,
    Succeeded,
    Failed,
    Expired,
    Skipped,
    Withdrawn,
    Cancelled,
)
