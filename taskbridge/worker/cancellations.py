"""`cancellable`: a job that somebody has cancelled is not started, and one that runs can see it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from taskbridge.errors import StoreUnavailable
from taskbridge.message import Again, Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.store import Store
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")

CANCEL_COST: Final = "nothing for a job with results; else a read of the store before each attempt, if `cancellable`"
"""What it costs on every backend."""
ASKED_EVERY: Final = 1.0
"""Seconds for which an answer serves a task that asks again and again."""


class Cancellations:
    """Asks the store before an attempt, where nothing else would tell.

    The first attempt of a job with results asks nothing: the record of its start is refused if it was cancelled.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not (attempt.has_result or attempt.headers.cancellable or attempt.task.options.cancellable):
            return proceed(attempt)
        question = Question(attempt.message.id, self._open_store)
        attempt.is_cancelled = question
        is_first = attempt.number == 1 and not attempt.crashes
        if not (attempt.has_result and is_first) and question():
            return self._cancelled()
        outcome = proceed(attempt)
        if isinstance(outcome, Again) and question(is_urgent=True):
            return self._cancelled()
        return outcome

    @staticmethod
    def _cancelled() -> Outcome:
        logger.info("Not started: the job was cancelled.")
        return Cancelled()


class Question:
    """Whether the job has been cancelled."""

    def __init__(self, job_id: str, open_store: Callable[[], Store | None], /) -> None:
        self._job_id = job_id
        self._open_store = open_store
        self._asked = float("-inf")
        self._answer = False

    def __call__(self, *, is_urgent: bool = False) -> bool:
        """True once it has been. A store that does not answer cancels nothing: it is logged."""
        if self._answer or (not is_urgent and time.monotonic() < self._asked + ASKED_EVERY):
            return self._answer
        self._asked = time.monotonic()
        try:
            store = self._open_store()
            self._answer = store is not None and store.is_asked_to_cancel(self._job_id)
        except StoreUnavailable as error:
            logger.warning("Whether the job was cancelled cannot be asked: %s", error)
        return self._answer
