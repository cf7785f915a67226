"""`expires`: a job that is no longer wanted is not started, whatever its delay and its retries were."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.message import Expired

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.expiry")


class Expiry:
    """Answers for a job that came too late."""

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        expires = attempt.headers.expires
        if expires is None or datetime.now(UTC) < expires:
            return proceed(attempt)
        logger.warning("Not started: the job expired at %s.", expires.isoformat())
        return Expired(expires)
