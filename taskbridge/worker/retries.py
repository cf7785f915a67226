"""`retry`: decides whether and when another attempt follows. The adapter puts the job back."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from taskbridge.context import RetryRequested
from taskbridge.errors import UndecodableMessage
from taskbridge.message import Again, Dead
from taskbridge.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.retries")


class Retries:
    """Turns the failure of an attempt that is not the last into `Again`."""

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        outcome = proceed(attempt)
        if not isinstance(outcome, Dead) or outcome.reason != "exhausted":
            return outcome
        try:
            policy = _policy(attempt)
        except UndecodableMessage as error:
            logger.error("No further attempt: %s", error)  # noqa: TRY400 - the traceback would be ours
            return outcome
        if policy is None or attempt.number >= policy.attempts:
            return outcome
        cause = outcome.cause or outcome.error
        fraction = random.random()  # noqa: S311 - jitter
        if isinstance(cause, RetryRequested):
            delay = cause.after if cause.after is not None else policy.delay_after(attempt.number, fraction=fraction)
            return Again(delay, None)
        delay_or_none = policy.next_delay(attempt.number, cause, fraction=fraction)
        return outcome if delay_or_none is None else Again(delay_or_none, cause)


def _policy(attempt: Attempt) -> Retry | None:
    declared = attempt.task.options.retry
    override = attempt.headers.retry
    return declared if override is None else Retry.from_wire(override, declared=declared)
