"""Cancelling a job, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskbridge.backend import CanCancel
from taskbridge.store.record import DetailStatus, NewRecord
from taskbridge.store.transition import Withdrawn

if TYPE_CHECKING:
    from taskbridge.backend import Backend
    from taskbridge.store import Record, Store

KEPT: Final = timedelta(days=7)
"""How long it is remembered that a job was cancelled: one that could start later than this would start."""


class Cancellation(StrEnum):
    """What came of the wish that a job be cancelled."""

    REMOVED = "removed"
    """It had not begun, and is no longer on its broker."""
    WILL_NOT_START = "will_not_start"
    """It had not begun, and a worker that is given it will not start it."""
    ASKED = "asked"
    """No further attempt will start. One that runs now goes on, and can see through its context that it is asked to
    end."""
    ALREADY_FINISHED = "already_finished"
    """It has ended."""
    UNKNOWN = "unknown"
    """Nothing is known of it, so that nothing can be said. If its task is `cancellable`, no further attempt will start.
    """

    @property
    def is_effective(self) -> bool:
        """True if no further attempt will start."""
        return self in (Cancellation.REMOVED, Cancellation.WILL_NOT_START, Cancellation.ASKED)


def cancel(job_id: str, alias: str, /, *, backend: Backend, store: Store | None, ttl: timedelta) -> Cancellation:
    """Cancel one job; it may be repeated. `ttl` is how long the record of a job that has ended is kept.

    Raises:
        StoreUnavailable: the store did not answer.
        EnqueueError: the broker did not answer.
    """
    if store is not None:
        # First, so that whoever is given the job from here on finds it.
        store.ask_to_cancel(job_id, kept=KEPT)
    is_removed = isinstance(backend, CanCancel) and backend.cancel(job_id)
    if store is None:
        return Cancellation.REMOVED if is_removed else Cancellation.UNKNOWN
    is_removed = store.withdraw(alias, [job_id]) > 0 or is_removed
    record = store.read(job_id)
    if record is None:
        return Cancellation.REMOVED if is_removed else Cancellation.UNKNOWN
    if not record.is_finished and store.record(_job(record, ttl), Withdrawn(at=datetime.now(UTC))):
        return Cancellation.REMOVED if is_removed else Cancellation.WILL_NOT_START
    return _outcome(store.read(job_id) or record)


def _outcome(record: Record) -> Cancellation:
    if record.detail_status is DetailStatus.CANCELLED:
        return Cancellation.WILL_NOT_START
    return Cancellation.ALREADY_FINISHED if record.is_finished else Cancellation.ASKED


def _job(record: Record, ttl: timedelta) -> NewRecord:
    return NewRecord(
        id=record.id,
        task=record.task,
        queue_name=record.queue_name,
        backend=record.backend,
        enqueued_at=record.enqueued_at,
        run_after=record.run_after,
        ttl=ttl,
    )
