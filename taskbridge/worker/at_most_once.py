"""`delivery="at_most_once"`: the right to start a job is claimed in the store, and given once."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.errors import StartedBefore, StoreUnavailable
from taskbridge.identity import new_id
from taskbridge.message import Again, Dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")

KEPT: Final = timedelta(days=7)
"""How long a start is remembered: a job that a broker delivers again later than this would be started again."""
WITHOUT_STORE: Final = timedelta(seconds=5)
"""When a job is tried again whose right to start could not be asked for."""


class AtMostOnce:
    """Never lets the same job start twice, whoever delivers it again."""

    def __init__(self, environment: Environment, /) -> None:
        self._environment = environment

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not attempt.is_at_most_once:
            return proceed(attempt)
        try:
            may_start = self._claim(start_name(attempt.message.id, attempt.headers.redrives))
        except StoreUnavailable as error:
            logger.exception("Not started: whether the job may start cannot be asked.")
            return Again(WITHOUT_STORE, error)
        if may_start:
            return proceed(attempt)
        logger.error("Not started: an execution of this job has begun before.")
        return Dead(
            StartedBefore(
                f"{attempt.task.name} was not started again: its delivery is at_most_once, and an execution has begun "
                f"before. Whether that one came to its end is for you to see; then redrive or discard this letter."
            ),
            "at most once",
        )

    def _claim(self, name: str) -> bool:
        # A holder of its own for each execution: only this one's own write gets the lease again when it is repeated.
        return self._environment.store().acquire(name, holder=new_id(), span=KEPT) is not None


def start_name(job_id: str, redrives: int, /) -> str:
    """The name of the lease that a job's only start takes; a redrive has its own."""
    return f"start:{job_id}:{redrives}"
