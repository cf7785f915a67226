"""Cancelling a job, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskbridge.backend import CanCancel
from taskbridge.errors import UnsupportedFeature
from taskbridge.store.record import DetailStatus, NewRecord
from taskbridge.store.transition import Withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.backend import Backend
    from taskbridge.options import Declared
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
    TERMINATING = "terminating"
    """No further attempt will start. One that runs now is ended by its worker, at its next look at the store."""
    ALREADY_FINISHED = "already_finished"
    """It has ended."""
    UNKNOWN = "unknown"
    """Nothing is known of it, so that nothing can be said. If its task is `cancellable`, no further attempt will start.
    """

    @property
    def is_effective(self) -> bool:
        """True if no further attempt will start."""
        return self not in (Cancellation.ALREADY_FINISHED, Cancellation.UNKNOWN)


def cancel(
    job_id: str, alias: str, /, *, backend: Backend, store: Store | None, ttl: timedelta, terminate: bool = False
) -> Cancellation:
    """Cancel one job; it may be repeated.

    Args:
        job_id: which.
        alias: the backend's.
        backend: where it may lie.
        store: where it is recorded.
        ttl: how long the record of a job that has ended is kept.
        terminate: end an attempt that runs, if its task is `cancellable`.

    Raises:
        UnsupportedFeature: the backend's workers end no running attempt.
        StoreUnavailable: the store did not answer.
        EnqueueError: the broker did not answer.
    """
    support = backend.capabilities.terminate
    if terminate and support.is_refused:
        raise UnsupportedFeature(f"cancel(terminate=True) is refused on {alias!r}, {backend.engine}: {support.note}")
    if store is not None:
        # First, so that whoever is given the job from here on finds it.
        store.ask_to_cancel(job_id, kept=KEPT, terminate=terminate)
    is_removed = isinstance(backend, CanCancel) and backend.cancel(job_id)
    if store is None:
        return Cancellation.REMOVED if is_removed else Cancellation.UNKNOWN
    is_removed = store.withdraw(alias, [job_id]) > 0 or is_removed
    record = store.read(job_id)
    if record is None:
        return Cancellation.REMOVED if is_removed else Cancellation.UNKNOWN
    if not record.is_finished and store.record(_job(record, ttl), Withdrawn(at=datetime.now(UTC))):
        return Cancellation.REMOVED if is_removed else Cancellation.WILL_NOT_START
    return _outcome(store.read(job_id) or record, terminate)


def cancel_of(
    task: Declared,
    job_id: str,
    alias: str,
    /,
    *,
    backend: Backend,
    open_store: Callable[[], Store | None],
    ttl: timedelta,
    terminate: bool = False,
) -> Cancellation:
    """Cancel one job of this task, as `cancel` does.

    Raises:
        UnsupportedFeature: a worker would not hear of it.
    """
    support, options = backend.capabilities.cancel, task.options
    is_heard = not support.is_refused and (options.result or options.cancellable)
    if not is_heard and not isinstance(backend, CanCancel):
        why = support.note if support.is_refused else "declare it with @task(cancellable=True), or with result=True."
        raise UnsupportedFeature(f"A job of {options.name!r} on {alias!r} cannot be cancelled: {why}")
    if terminate and not options.cancellable:
        raise UnsupportedFeature(
            f"A running job of {options.name!r} on {alias!r} cannot be terminated: its workers look for that only if "
            f"it is declared with @task(cancellable=True). cancel() without terminate= works."
        )
    answer = cancel(job_id, alias, backend=backend, store=open_store(), ttl=ttl, terminate=terminate)
    if answer is Cancellation.UNKNOWN and options.cancellable:
        return Cancellation.TERMINATING if terminate else Cancellation.ASKED
    return answer


def _outcome(record: Record, terminate: bool) -> Cancellation:
    if record.detail_status is DetailStatus.CANCELLED:
        return Cancellation.WILL_NOT_START
    if record.is_finished:
        return Cancellation.ALREADY_FINISHED
    return Cancellation.TERMINATING if terminate else Cancellation.ASKED


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
