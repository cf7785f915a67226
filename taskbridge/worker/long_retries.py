"""A retry whose delay is above what the backend holds: the next attempt waits in the store, as a late job does."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import StoreUnavailable
from taskbridge.message import Again
from taskbridge.portable import portable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.retries")

_PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 3.0)
"""Seconds between the tries to keep the job: it may be repeated."""


class LongRetries:
    """Keeps the job in the store before the adapter acknowledges it: under its id, with its crashes so far and with its
    next attempt's number.

    A worker that dies between the two has the broker give out the attempt again. That execution takes what is kept
    back before it begins, where the broker says that there was one before; else its own next attempt replaces it.
    """

    def __init__(self, environment: Environment, /) -> None:
        assert environment.retry_ceiling is not None, "the record says from where on retries wait in the store"
        self._ceiling: timedelta = environment.retry_ceiling
        self._environment = environment

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        number = attempt.number  # the engine's: further in, waits for a key are taken off it
        if attempt.crashes > attempt.headers.crashes:
            self._take_back(attempt)
        outcome = proceed(attempt)
        # What legacy code enqueued may have callbacks, which no store of ours would keep.
        if isinstance(outcome, Again) and outcome.delay > self._ceiling and attempt.message.headers is not None:
            headers = msgspec.structs.replace(attempt.message.headers, attempt=number + 1, crashes=attempt.crashes)
            due = datetime.now(UTC) + outcome.delay
            following = msgspec.structs.replace(attempt.message, run_after=due, headers=headers)
            try:
                _repeatedly(lambda: self._environment.store().hold(attempt.alias, [portable(following)]))
            except StoreUnavailable as error:
                logger.error("The next attempt goes to the broker, which does not hold it well: %s", error)  # noqa: TRY400 - a trace of the store's
            else:
                return msgspec.structs.replace(outcome, is_held=True)
        return outcome

    def _take_back(self, attempt: Attempt) -> None:
        try:
            self._environment.store().withdraw(attempt.alias, [attempt.message.id])
        except StoreUnavailable as error:
            logger.warning("A next attempt that an execution before this one may have kept stays so: %s", error)


def _repeatedly(write: Callable[[], None]) -> None:
    for pause in _PAUSES:
        try:
            return write()
        except StoreUnavailable:
            time.sleep(pause)
    return write()
