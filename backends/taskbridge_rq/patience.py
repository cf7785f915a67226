"""A worker's connection to Redis: it waits until the server is back, however long that takes.

Every command of a worker may be repeated after a lost answer: what it takes and settles is guarded by scripts that
notice the repetition, and the rest are heartbeats and counters of statistics.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from redis import Redis, exceptions
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from taskbridge.brokers.redis import server_pool

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

logger = logging.getLogger("taskbridge.rq")

LONGEST_PAUSE_SECONDS: Final = 1.0
REPORT_SECONDS: Final = 10.0

PASSING: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
)
"""What will pass: a server that is gone, loading, full, or replaced by another."""

PASSING_WORDS: Final = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "BUSY Redis is busy", "UNBLOCKED")
"""What will pass, and has no class of its own: a full disk, a failover, a long script."""

LASTING: Final = (exceptions.AuthenticationError, exceptions.AuthorizationError)
"""Connection errors that waiting does not help."""


class Patience(Retry):
    """Tries again for ever, at most a second apart, and says so every ten seconds."""

    is_over: ClassVar[bool] = False
    """This process is asked to stop, and has nothing left that is worth waiting for."""

    def __init__(self) -> None:
        super().__init__(ExponentialBackoff(cap=LONGEST_PAUSE_SECONDS, base=0.05), -1, PASSING)

    def call_with_retry(self, do: Callable[[], T], fail: Callable[..., Any], *_: Any, **options: Any) -> T:
        """Do it; after each failure tell `fail` of it."""
        failures, reported = 0, 0.0
        while True:
            try:
                return do()
            except exceptions.RedisError as error:
                if Patience.is_over or not passes(error):
                    raise
                failures += 1
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    logger.warning("Redis does not take a command, and is asked again until it does: %s", error)
                fail(*((error, failures) if options.get("with_failure_count") else (error,)))
                time.sleep(min(LONGEST_PAUSE_SECONDS, 0.05 * 2 ** min(failures, 10)))


def passes(error: exceptions.RedisError, /) -> bool:
    """Whether the same command may be taken later."""
    if isinstance(error, PASSING):
        return not isinstance(error, LASTING)
    return isinstance(error, exceptions.ResponseError) and any(word in str(error) for word in PASSING_WORDS)


class PatientRedis(Redis):
    """`rq worker --connection-class taskbridge_rq.patience.PatientRedis`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_retry(Patience())

    @classmethod
    def from_url(cls, url: str, **options: Any) -> PatientRedis:
        """The server of a URL as TaskBridge writes it, behind Sentinel too."""
        client = cls(connection_pool=server_pool(url, **options))
        client.auto_close_connection_pool = True
        return client
