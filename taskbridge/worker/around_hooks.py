"""`around_attempt`: the application's own context managers, in order of registration."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment


class AroundHooks:
    """Enters the hooks around the task."""

    def __init__(self, environment: Environment, /) -> None:
        self._around = environment.registry.hooks.around

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not self._around:
            return proceed(attempt)
        context = attempt.context()
        with ExitStack() as stack:
            for hook in self._around:
                stack.enter_context(hook(context))
            return proceed(attempt)
        raise AssertionError(f"A hook of around_attempt swallowed what {context.task} raised.")
