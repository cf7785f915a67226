"""Django's signals for jobs of ours, sent by the worker: what it tells is what the store would."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskbridge.django import framework
from taskbridge.django.results import TaskResult, as_enqueued, of_message, of_record
from taskbridge.errors import StoreUnavailable
from taskbridge.message import Cancelled, Dead, Done, Expired, Skipped, call_text
from taskbridge.outbox.transaction import on
from taskbridge.router import router
from taskbridge.store import DetailStatus, Record, TaskError
from taskbridge.worker.identity import worker_id

if TYPE_CHECKING:
    from taskbridge.message import Message, Outcome
    from taskbridge.worker.attempt import Attempt

logger = logging.getLogger("taskbridge.django")


def enqueued(result: TaskResult, sender: type[Any], /) -> None:
    """A job is on its broker, or will be once a transaction is committed: then this is told."""

    def tell() -> None:
        framework.task_enqueued.send_robust(sender, task_result=result)

    if result.timing != "now" and (transaction := on(None)).is_open:
        transaction.after_commit(tell)
    else:
        tell()


def ticked(message: Message, declared: Any, alias: str, sender: type[Any], /) -> None:
    """The job of a schedule is on its broker."""
    enqueued(of_message(message, declared, alias, timing="now"), sender)


def begun(declared: Any, attempt: Attempt, sender: type[Any], /) -> TaskResult:
    """An attempt begins; what it is told of."""
    result = _result(known(attempt), declared)
    framework.task_started.send_robust(sender, task_result=result)
    return result


def ended(record: Record, declared: Any, value: Any, sender: type[Any], /) -> None:
    """No further attempt follows."""
    framework.task_finished.send_robust(sender, task_result=_result(record, declared, value=value))


_ENDED = {
    Done: DetailStatus.SUCCESSFUL,
    Dead: DetailStatus.FAILED,
    Expired: DetailStatus.EXPIRED,
    Skipped: DetailStatus.SKIPPED,
    Cancelled: DetailStatus.CANCELLED,
}


def _result(record: Record, declared: Any, *, value: Any = None) -> TaskResult:
    return of_record(record, as_enqueued(record, declared), value=value)


def known(attempt: Attempt, outcome: Outcome | None = None, /) -> Record:
    """The record of a job: as kept, where there was more than this execution, of which a worker knows all."""
    status = DetailStatus.RUNNING if outcome is None else _ENDED[type(outcome)]
    if attempt.number > 1 or attempt.crashes or attempt.headers.redrives or isinstance(outcome, Skipped | Cancelled):
        kept = _kept(attempt)
        if kept is not None:
            return kept
    now = datetime.now(UTC)
    started = attempt.started_at or (None if isinstance(outcome, Expired | Skipped | Cancelled) else now)
    earlier = ("unknown",) * (attempt.number + attempt.crashes - 1)
    ended = None if outcome is None else attempt.ended_at or now
    errors: tuple[TaskError, ...] = ()
    if isinstance(outcome, Dead):
        errors = (TaskError.of(outcome.error, attempt=attempt.number, at=ended or now),)
    return Record(
        id=attempt.message.id,
        task=attempt.task.name,
        queue_name=attempt.message.queue_name,
        backend=attempt.alias,
        detail_status=status,
        attempts=attempt.number,
        enqueued_at=attempt.headers.enqueued_at,
        started_at=started,
        last_attempted_at=started,
        finished_at=ended,
        run_after=attempt.message.run_after,
        errors=errors,
        workers=(*earlier, worker_id()),
        priority=attempt.message.priority,
        arguments=call_text(attempt.message),
        expires_at=now,
    )


def _kept(attempt: Attempt) -> Record | None:
    if not attempt.headers.result:
        return None
    try:
        store = router.store(attempt.alias)
        return None if store is None else store.read(attempt.message.id)
    except StoreUnavailable:
        logger.exception("The store did not tell of the earlier attempts of the job.")
        return None
