"""`result`: what happens to a job is written to the store."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.errors import StoreUnavailable, UnserialisableResult
from taskbridge.message import Again, Cancelled, Dead, Done, Expired, Skipped, call_text
from taskbridge.store import DetailStatus, NewRecord, TaskError, transition
from taskbridge.worker.identity import worker_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Message, Outcome
    from taskbridge.store import ResultStore
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.results")


class Results:
    """Records the attempts of jobs whose results were asked for.

    A store that is down does not stop the job: it is logged, and the outcome stands. Of a job that has a key both ends
    are recorded with what happens to the key, by `EffectivelyOnce`.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._environment = environment
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        store = self._open_store() if attempt.has_result else None
        if store is None:
            return proceed(attempt)
        is_taken = attempt.is_start_recorded
        if is_taken is None:
            started = start_of(attempt)
            attempt.started_at = started.at
            is_taken = self._write(store, attempt, started)
        if not is_taken and self._is_cancelled(store, attempt):
            logger.info("Not started: the job was cancelled.")
            return Cancelled()
        outcome, ended = _transition(attempt, proceed(attempt))
        if attempt.fencing_token is None:
            self._write(store, attempt, ended)
        else:
            attempt.end = record_of(attempt, self._environment), ended
        return outcome

    @staticmethod
    def _is_cancelled(store: ResultStore, attempt: Attempt) -> bool:
        try:
            record = store.read(attempt.message.id)
        except StoreUnavailable:
            logger.exception("Why the store did not take the start of the job cannot be asked.")
            return False
        return record is not None and record.detail_status is DetailStatus.CANCELLED

    def _write(self, store: ResultStore, attempt: Attempt, written: transition.Transition) -> bool:
        try:
            is_taken = store.record(record_of(attempt, self._environment), written)
        except StoreUnavailable as error:
            log_lost(written, error)
            return True
        if not is_taken:
            log_refused(written)
        return is_taken


def log_lost(written: transition.Transition, error: StoreUnavailable, /) -> None:
    """Say that the store did not answer."""
    logger.error("The store did not take %s of the job.", type(written).__name__, exc_info=error)


def log_refused(written: transition.Transition, /) -> None:
    """Say that the record has gone on."""
    logger.warning("The record of the job is final or a later execution's: %s is not written.", written.rule.becomes)


def start_of(attempt: Attempt, /) -> transition.Started:
    """The record of an attempt that starts now."""
    return transition.Started(
        attempt=attempt.number,
        at=datetime.now(UTC),
        crashes=_crashes(attempt),
        redrives=attempt.headers.redrives,
        worker=worker_id(),
    )


def record_of(attempt: Attempt, environment: Environment, /) -> NewRecord:
    """What an attempt knows of its job."""
    arguments = call_text(attempt.message) if attempt.task.keeps_arguments else None
    return new_record(attempt.message, environment, task=attempt.task.name, arguments=arguments)


def new_record(message: Message, environment: Environment, /, *, task: str, arguments: str | None = None) -> NewRecord:
    """What is known of a job in a worker, in case that nobody has recorded it."""
    return NewRecord(
        id=message.id,
        task=task,
        queue_name=message.queue_name,
        backend=environment.alias,
        enqueued_at=message.headers.enqueued_at if message.headers is not None else None,
        ttl=environment.result_ttl,
        priority=message.priority,
        arguments=arguments,
    )


def _transition(attempt: Attempt, outcome: Outcome) -> tuple[Outcome, transition.Transition]:
    now = attempt.ended_at = datetime.now(UTC)
    crashes, redrives = _crashes(attempt), attempt.headers.redrives
    match outcome:
        case Done(value):
            try:
                plain = attempt.task.codec.encode_result(value)
            except UnserialisableResult as error:
                logger.warning("The result cannot be kept: %s", error)
                failed = transition.Failed(error=_error(attempt, error, now), crashes=crashes, redrives=redrives)
                return Dead(error, "exhausted", error), failed
            return outcome, transition.Succeeded(
                attempt=attempt.number, at=now, value=plain, crashes=crashes, redrives=redrives
            )
        case Again(delay, error):
            because = error or RuntimeError("the task asked for another attempt")
            return outcome, transition.Retrying(
                error=_error(attempt, because, now), run_after=now + delay, crashes=crashes, redrives=redrives
            )
        case Dead(error):
            failed = transition.Failed(error=_error(attempt, error, now), crashes=crashes, redrives=redrives)
            return outcome, failed
        case Expired():
            return outcome, transition.Expired(at=now)
        case Cancelled():
            return outcome, transition.Cancelled(at=now)
        case Skipped():
            raise AssertionError("A job is skipped before its attempt is recorded.")


def _crashes(attempt: Attempt) -> int:
    # What starts once has no replacement: whoever was taken for dead may still tell how it ended.
    return 0 if attempt.is_at_most_once else attempt.crashes


def _error(attempt: Attempt, error: BaseException, now: datetime) -> TaskError:
    return TaskError.of(error, attempt=attempt.number, at=now)
