"""A task that belongs to another API is told when a job of it has ended: `django.tasks` has a signal for that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from taskbridge.message import Again

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")


class Endings:
    """Tells the task, after everything else is written down."""

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        outcome = proceed(attempt)
        if not isinstance(outcome, Again):
            try:
                attempt.task.ended(attempt, outcome)
            except Exception:
                logger.exception("The end of the job could not be told.")
        return outcome
