"""Redis: how to reach it, and whether a failed write may have happened."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.settings import BackendURL

CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 5


def pool_arguments() -> dict[str, Any]:
    """Connection arguments for a producer.

    No retries: a client that was built from host and port repeats a write ten times on its own, and each repeat of a
    write whose reply was lost is one job more. A connection that was idle for long is checked before it is used.
    """
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 30,
    }


def producer_pool(url: BackendURL, /, **arguments: Any) -> ConnectionPool:
    """A pool for enqueuing. It is safe in threads and after `os.fork()`. Nothing is connected yet."""
    return ConnectionPool.from_url(redis_url(url), **{**pool_arguments(), **arguments})


def producer_client(url: BackendURL, /) -> Redis:
    """A client for enqueuing, on a pool of its own."""
    return Redis(connection_pool=producer_pool(url))


def redis_url(url: BackendURL, /) -> str:
    """The server's URL, password included, checked for what redis-py would take silently for something else.

    Raises:
        ConfigurationError: the path is no database number.
    """
    database = url.path.strip("/")
    if database and not database.isdecimal():
        raise ConfigurationError(f"{url}: the path of a Redis URL is a database number, such as /0, not {url.path!r}.")
    return url.server()


@contextmanager
def enqueuing(label: str, /) -> Iterator[None]:
    """Turn what redis-py raises into `EnqueueError`, saying whether the write may have happened."""
    try:
        yield
    except exceptions.AuthenticationError as error:
        raise BrokerUnavailable(f"{label} refuses the credentials: {error}", maybe_accepted=False) from error
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise _unavailable(label, error) from error
    except exceptions.RedisError as error:
        raise EnqueueError(f"{label} did not take the job: {error}", maybe_accepted=False) from error


def _unavailable(label: str, error: Exception) -> BrokerUnavailable:
    # redis-py has no type of its own for "never connected"; both of its texts for it have this word.
    never_connected = "connecting" in str(error).lower()
    if never_connected:
        text = f"{label} cannot be reached (waited at most {CONNECT_SECONDS} s): {error}"
    else:
        text = f"{label} did not confirm the job within {ANSWER_SECONDS} s and may hold it: {error}"
    return BrokerUnavailable(text, maybe_accepted=not never_connected)
