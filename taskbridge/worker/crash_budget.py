"""The crash budget: a job that kills its worker is not run for ever."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from taskbridge.errors import CrashedOut
from taskbridge.message import Dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")


class CrashBudget:
    """Answers for a job whose executions have ended with the death of their worker too often."""

    def __init__(self, environment: Environment, /) -> None:
        self._budget = environment.crash_budget

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if attempt.crashes <= self._budget:
            return proceed(attempt)
        error = CrashedOut(
            f"{attempt.task.name} was not run again: its worker died {attempt.crashes} times while it ran, and "
            f"crash_budget is {self._budget}. Look for a memory limit, a segmentation fault or a kill, then redrive it."
        )
        logger.error("%s", error)
        return Dead(error, "crashed out")
