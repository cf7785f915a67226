"""Periodic tasks: of the jobs that were enqueued for one tick, one runs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.errors import StoreUnavailable
from taskbridge.message import Expired

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.periodic")

KEPT: Final = timedelta(hours=1)
"""How long it is remembered which job of a tick has begun."""


class RepeatedTicks:
    """Drops the second job of a tick: a scheduler died after it had enqueued the first and before it could say so.

    Both have the same id, and each says by which claim it was enqueued: the first to begin has the tick, and may begin
    again when it is delivered again or retried. Stands outside the results, which are those of the first.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        tick = attempt.headers.tick
        if tick is None or not tick.claim:
            return proceed(attempt)
        if self._is_first(attempt.message.id, str(tick.claim)):
            return proceed(attempt)
        logger.warning("Not started: the tick %s of %s was enqueued twice.", tick.nominal.isoformat(), tick.schedule)
        return Expired(datetime.now(UTC))

    def _is_first(self, job_id: str, claim: str) -> bool:
        store = self._open_store()
        try:
            return store is None or store.acquire(f"tick:{job_id}", holder=claim, span=KEPT) is not None
        except StoreUnavailable:
            logger.exception("Whether this tick was enqueued twice cannot be asked: it runs.")
            return True
