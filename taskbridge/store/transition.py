"""What may happen to a job, and which of it a store refuses to write down.

Deliveries repeat and workers stall, so transitions arrive twice and out of order. Every store applies one as a single
guarded write by the two rules beside each transition; a transition that loses is dropped without an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from taskbridge.store.record import DetailStatus, TaskError

_ENDED: Final = frozenset({DetailStatus.SUCCESSFUL, DetailStatus.FAILED, DetailStatus.EXPIRED})
_LIVE: Final = frozenset({DetailStatus.RUNNING, DetailStatus.RETRYING})


class Rule(Struct, frozen=True):
    """When a record stays as it is."""

    becomes: DetailStatus
    yields_to: frozenset[DetailStatus]
    """The record is in one of these states."""
    newer_wins_in: frozenset[DetailStatus]
    """The record is in one of these, by an attempt with a higher number."""


class Started(Struct, frozen=True, kw_only=True):
    """An attempt begins. A redelivered copy does not reopen a success; a dead job that is driven again does start."""

    rule: ClassVar = Rule(DetailStatus.RUNNING, frozenset({DetailStatus.SUCCESSFUL}), _LIVE)
    attempt: int
    at: datetime


class Retrying(Struct, frozen=True, kw_only=True):
    """An attempt has failed and another may start at `run_after`."""

    rule: ClassVar = Rule(DetailStatus.RETRYING, _ENDED, _LIVE)
    error: TaskError
    run_after: datetime


class Succeeded(Struct, frozen=True, kw_only=True):
    """The task has returned. It wins over all but an earlier success, whose value stays."""

    rule: ClassVar = Rule(DetailStatus.SUCCESSFUL, frozenset({DetailStatus.SUCCESSFUL}), frozenset())
    attempt: int
    at: datetime
    value: object
    """A plain JSON value."""


class Failed(Struct, frozen=True, kw_only=True):
    """The last attempt has failed."""

    rule: ClassVar = Rule(
        DetailStatus.FAILED, frozenset({DetailStatus.SUCCESSFUL}), _LIVE | frozenset({DetailStatus.FAILED})
    )
    error: TaskError


class Expired(Struct, frozen=True, kw_only=True):
    """The job will not start any more."""

    rule: ClassVar = Rule(DetailStatus.EXPIRED, _ENDED, frozenset())
    at: datetime


Transition: TypeAlias = Started | Retrying | Succeeded | Failed | Expired
TRANSITIONS: Final[tuple[type[Transition], ...]] = (Started, Retrying, Succeeded, Failed, Expired)
