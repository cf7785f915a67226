"""Dead letters: a job for which no further attempt follows is kept in the store, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.message import Dead
from taskbridge.worker.burial import Burial

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment


class DeadLetters:
    """Buries what died, before the adapter lets it fail natively. A healthy job costs nothing."""

    def __init__(self, environment: Environment, /) -> None:
        self._burial = Burial(environment)

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        outcome = proceed(attempt)
        if isinstance(outcome, Dead):
            self._burial.job(
                attempt.message, outcome, task=attempt.task.name, attempt=attempt.number, crashes=attempt.crashes
            )
        return outcome
