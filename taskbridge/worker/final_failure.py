"""`on_final_failure`: called once, when no further attempt follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.message import Dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment


class FinalFailure:
    """Tells the hooks of a job that has failed for good."""

    def __init__(self, environment: Environment, /) -> None:
        self._hooks = environment.registry.hooks

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        outcome = proceed(attempt)
        if isinstance(outcome, Dead) and self._hooks.final_failure:
            self._hooks.fire(self._hooks.final_failure, attempt.context(), outcome.error)
        return outcome
