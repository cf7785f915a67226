"""Redis: how to reach it, and whether a failed write may have happened."""

from __future__ import annotations

import os
import select
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from taskbridge.brokers.sentinel import SEARCH_SECONDS, sentinel_pool
from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError
from taskbridge.settings import SENTINEL_OPTIONS, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    return server_pool(redis_url(url), **{**pool_arguments(), **arguments})


def producer_client(url: BackendURL, /) -> Redis:
    """A client for enqueuing, on a pool of its own."""
    return Redis(connection_pool=producer_pool(url))


def server_pool(url: str, /, **arguments: Any) -> ConnectionPool:
    """A pool for the server of a URL, or for the master that the Sentinels of the URL watch. Nothing is connected yet.

    Raises:
        ConfigurationError: it names several hosts, and no master.
        ValueError, TypeError: it cannot be read otherwise, or has an option that redis-py has not.
    """
    arguments = {**_driver(), **arguments}
    if "," in url or "sentinel" in url:
        parsed = parse_url(url)
        if "sentinel" in parsed.options:
            return sentinel_pool(parsed, **arguments)
    return ConnectionPool.from_url(url, **arguments)


@cache
def _driver() -> dict[str, Any]:
    """What a connection tells the server of its library. redis-py reads it from a file for each connection anew, which
    is a tenth of what a short RQ job costs: each has a process, and a connection, of its own."""
    try:
        from redis.driver_info import DriverInfo
    except ImportError:  # before redis-py 7.1
        return {}
    return {"driver_info": DriverInfo()}


def redis_url(url: BackendURL, /) -> str:
    """The server's URL, passwords included, checked for what redis-py would take silently for something else.

    Raises:
        ConfigurationError: the path is no database number.
    """
    database = url.path.strip("/")
    if database and not database.isdecimal():
        raise ConfigurationError(f"{url}: the path of a Redis URL is a database number, such as /0, not {url.path!r}.")
    return url.server(options=SENTINEL_OPTIONS)


class Sender:
    """Sends single commands, with less around each than redis-py's client and pool have.

    It keeps the connections that it has used, and looks before each command whether the server has closed one. Safe in
    threads and after `os.fork()`. Nothing is repeated.
    """

    def __init__(self, pool: ConnectionPool, /) -> None:
        self._pool = pool
        self._pid = os.getpid()
        self._idle: list[tuple[Any, Any]] = []

    def send(self, *command: bytes | str | float) -> Any:
        """The server's reply. Raises what redis-py raises."""
        connection, is_readable = self._take()
        try:
            connection.send_command(*command)
            reply = connection.read_response()
        except exceptions.ResponseError:
            self._idle.append((connection, is_readable))
            raise
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append((connection, is_readable))
        return reply

    def send_many(self, commands: Sequence[Sequence[bytes | str | float]], /) -> list[Any]:
        """The replies to commands that go together, in one round trip; a refusal stands in its reply's place."""
        connection, is_readable = self._take()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [reply(connection) for _ in commands]
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append((connection, is_readable))
        return replies

    def close(self) -> None:
        """Give the connections back to the pool."""
        while self._idle:
            self._pool.release(self._idle.pop()[0])

    def _take(self) -> tuple[Any, Any]:
        if self._pid != os.getpid():
            self._idle = []
            self._pid = os.getpid()
        while self._idle:
            known = self._idle.pop()
            if not known[1](0):
                return known
            # Nobody asked, so this is the end of the connection; the pool looks closer, and connects again.
            self._pool.release(known[0])
            break
        connection = free_connection(self._pool)
        poll = select.poll()
        poll.register(connection._sock, select.POLLIN)  # noqa: SLF001 - redis-py's own look costs ten times as much
        return connection, poll.poll


def free_connection(pool: Any, /) -> Any:
    """A connection of the pool's, connected and with nothing left to read, until it is given back by `release`."""
    try:
        return pool.get_connection()
    except TypeError:  # before redis-py 5.3, which wants the name of a command
        return pool.get_connection("_")


def reply(connection: Any, /) -> Any:
    """The next reply on a connection, which may be a refusal."""
    try:
        return connection.read_response()
    except exceptions.ResponseError as refusal:
        return refusal


@contextmanager
def enqueuing(label: str, /) -> Iterator[None]:
    """Turn what redis-py raises into `EnqueueError`, saying whether the write may have happened."""
    try:
        yield
    except exceptions.RedisError as error:
        raise enqueue_error(label, error) from error


def enqueue_error(label: str, error: Exception, /) -> EnqueueError:
    """What to raise for an error of redis-py."""
    if isinstance(error, exceptions.AuthenticationError):
        return BrokerUnavailable(f"{label} refuses the credentials: {error}", maybe_accepted=False)
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        return _unavailable(label, error)
    return EnqueueError(f"{label} did not take the job: {error}", maybe_accepted=False)


def _unavailable(label: str, error: Exception) -> BrokerUnavailable:
    if isinstance(error, MasterNotFoundError):
        found = str(error).partition(" : <")[0]  # redis-py's own tells all of each Sentinel's client
        text = (
            f"{label}: the Sentinels were asked for at most {SEARCH_SECONDS} s and name {found}. During a failover "
            f"repeat the call; else correct the hosts or ?sentinel=."
        )
        return BrokerUnavailable(text, maybe_accepted=False)
    if isinstance(error.__context__, exceptions.ReadOnlyError):
        text = f"{label}: the server refused the job, since it is no longer the master. Repeat the call."
        return BrokerUnavailable(text, maybe_accepted=False)
    # redis-py has no type of its own for "never connected"; both of its texts for it have this word.
    never_connected = "connecting" in str(error).lower()
    if never_connected:
        text = f"{label} cannot be reached (waited at most {CONNECT_SECONDS} s): {error}"
    else:
        text = f"{label} did not confirm the job within {ANSWER_SECONDS} s and may hold it: {error}"
    return BrokerUnavailable(text, maybe_accepted=not never_connected)
