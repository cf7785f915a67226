"""What all parts of a store on Redis share: a client, the names of the keys, and one kind of error."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskbridge.brokers.redis import server_pool
from taskbridge.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.store.key import Key
    from taskbridge.store.lease import Lease

T = TypeVar("T")

SOCKET_TIMEOUT: Final = 5.0
"""Seconds that a connection, and the answer to a command, may take."""
BATCH: Final = 1_000
"""Keys that one command touches at most, since Redis serves nobody else meanwhile."""

NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""
"""For a script: the time by the server's clock, in microseconds since 1970."""


def redis_client(url: str, /) -> Redis:
    """A client that answers or fails within `SOCKET_TIMEOUT` and never repeats a command by itself.

    Connects nothing. Raises `ValueError` or `TypeError` for a URL that redis-py cannot use.
    """
    pool: Any = server_pool(
        url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    # An unknown option in the URL would come to light at the first command only.
    pool.connection_class(**pool.connection_kwargs)
    return Redis.from_pool(pool)


class RedisKeys:
    """Not for Redis Cluster: one command touches many keys."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        """With a client of the application's, its own settings of timeouts and retries hold. Every write of the store
        may be repeated."""
        self._client: Any = client
        self._prefix = prefix

    def close(self) -> None:
        self._client.close()

    def _ask(self, command: Callable[[], T]) -> T:
        try:
            return command()
        except RedisError as error:
            raise StoreUnavailable(f"the store on Redis did not do as asked: {error}") from error

    def _prolonged(self, script: Any, prefix: str, held: Sequence[Lease | Key], span: timedelta) -> frozenset[str]:
        """The names of those that the script, given a span and their tokens, finds still held."""
        found: set[str] = set()
        for start in range(0, len(held), BATCH):
            batch = held[start : start + BATCH]
            arguments = [span // timedelta(microseconds=1), *(each.token for each in batch)]
            places: Any = self._ask(partial(script, keys=[prefix + each.name for each in batch], args=arguments))
            found |= {batch[place - 1].name for place in places}
        return frozenset(found)


def text(value: str | bytes) -> str:
    """What Redis answered, whether or not the client decodes."""
    return value if isinstance(value, str) else value.decode()
