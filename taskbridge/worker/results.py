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

    A store that is down does not stop the job: it is logged, and the outcome stands.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._environment = environment
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not (attempt.headers.result or attempt.task.options.result):
            return proceed(attempt)
        store = self._open_store()
        if store is None:
            return proceed(attempt)
        attempt.started_at = datetime.now(UTC)
        started = transition.Started(
            attempt=attempt.number,
            at=attempt.started_at,
            crashes=_crashes(attempt),
            redrives=attempt.headers.redrives,
            worker=worker_id(),
        )
        if not self._write(store, attempt, started) and self._is_cancelled(store, attempt):
            logger.info("Not started: the job was cancelled.")
            return Cancelled()
        outcome = proceed(attempt)
        outcome, written = _transition(attempt, outcome)
        self._write(store, attempt, written)
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
        job = new_record(
            attempt.message,
            self._environment,
            task=attempt.task.name,
            arguments=call_text(attempt.message) if attempt.task.keeps_arguments else None,
        )
        try:
            if store.record(job, written):
                return True
        except StoreUnavailable:
            logger.exception("The store did not take %s of the job.", type(written).__name__)
            return True
        logger.warning(
            "The record of the job is final or a later execution's: %s is not written.", written.rule.becomes
        )
        return False


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
