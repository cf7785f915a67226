"""`result`: what happens to a job is written to the store."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.errors import StoreUnavailable, UnserialisableResult
from taskbridge.message import Again, Dead, Done, Expired
from taskbridge.store import NewRecord, TaskError, transition

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.store import ResultStore
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.results")


class Results:
    """Records the attempts of jobs whose results were asked for.

    A store that is down does not stop the job: it is logged, and the outcome stands.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._alias = environment.alias
        self._ttl = environment.result_ttl
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not (attempt.headers.result or attempt.task.options.result):
            return proceed(attempt)
        store = self._open_store()
        if store is None:
            return proceed(attempt)
        self._write(store, attempt, transition.Started(attempt=attempt.number, at=datetime.now(UTC)))
        outcome = proceed(attempt)
        outcome, written = _transition(attempt, outcome)
        self._write(store, attempt, written)
        return outcome

    def _write(self, store: ResultStore, attempt: Attempt, written: transition.Transition) -> None:
        message = attempt.message
        job = NewRecord(
            id=message.id,
            task=attempt.task.name,
            queue_name=message.queue_name,
            backend=self._alias,
            enqueued_at=attempt.headers.enqueued_at,
            ttl=self._ttl,
        )
        try:
            store.record(job, written)
        except StoreUnavailable:
            logger.exception("The store did not take %s of the job.", type(written).__name__)


def _transition(attempt: Attempt, outcome: Outcome) -> tuple[Outcome, transition.Transition]:
    now = datetime.now(UTC)
    match outcome:
        case Done(value):
            try:
                plain = attempt.task.codec.encode_result(value)
            except UnserialisableResult as error:
                logger.warning("The result cannot be kept: %s", error)
                return Dead(error, "exhausted", error), transition.Failed(error=_error(attempt, error, now))
            return outcome, transition.Succeeded(attempt=attempt.number, at=now, value=plain)
        case Again(delay, error):
            because = error or RuntimeError("the task asked for another attempt")
            return outcome, transition.Retrying(error=_error(attempt, because, now), run_after=now + delay)
        case Dead(error):
            return outcome, transition.Failed(error=_error(attempt, error, now))
        case Expired():
            return outcome, transition.Expired(at=now)


def _error(attempt: Attempt, error: BaseException, now: datetime) -> TaskError:
    return TaskError.of(error, attempt=attempt.number, at=now)
