"""Commands to Redis whose answer is not waited for: it is read with the next on their connection, or by `settle`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis import RedisError

from taskbridge.brokers.redis import free_connection, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import ConnectionPool

PATIENCE_SECONDS: Final = 5.0
"""How long after its command an answer may come."""
_MOST: Final = 32
"""Connections that are kept out of their pool at most, and no more than half of what the pool may have."""


class _Awaited(NamedTuple):
    """A connection on which one answer is still to come, which ought to be 1."""

    connection: Any
    since: float
    refused: Callable[[], object]


class RedisAhead:
    """Each connection is used by one thread at a time, and a parent's never in a child after `os.fork()`.

    On a connection that a command is sent on ahead nothing else has been left unread. The kernel delivers it then,
    whatever becomes of this process.
    """

    def __init__(self, pool: ConnectionPool, /) -> None:
        self._pool: Any = pool
        self._most = min(_MOST, self._pool.max_connections // 2)
        self._pid = os.getpid()
        self._awaited: list[_Awaited] = []

    def send(self, *command: str | int, refused: Callable[[], object]) -> bool:
        """Send one command; False if that could not be done at once.

        `refused` is called by whoever reads the answer, unless that is 1, or finds that there will be none.
        """
        if len(self._own()) >= self._most:
            return False
        try:
            connection = free_connection(self._pool)
        except RedisError:
            return False
        try:
            connection.send_command(*command)
        except BaseException as error:
            connection.disconnect()
            self._pool.release(connection)
            if not isinstance(error, RedisError):
                raise
            return False
        self._own().append(_Awaited(connection, time.monotonic(), refused))
        return True

    def ask(self, *command: str | int) -> Any:
        """The answer to a command, on a connection on which one is awaited anyway: both take one round trip.

        None if there is no such connection, or if it did not answer: ask in the ordinary way.
        """
        awaited = self._next()
        return None if awaited is None else self._read(awaited, command)

    def settle(self) -> None:
        """Read all answers that are awaited now."""
        for _ in range(len(self._own())):
            awaited = self._next()
            if awaited is not None:
                self._read(awaited)

    def _read(self, awaited: _Awaited, command: tuple[str | int, ...] = ()) -> Any:
        connection, since, refused = awaited
        first = answer = None
        try:
            if command:
                connection.send_command(*command, check_health=False)
                first, answer = reply(connection), reply(connection)
            elif connection.can_read(max(0.0, since + PATIENCE_SECONDS - time.monotonic())):
                first = reply(connection)
            else:
                connection.disconnect()
        except BaseException as error:
            connection.disconnect()
            if not isinstance(error, RedisError):
                raise
        finally:
            self._pool.release(connection)
            if first != 1:
                refused()
        return None if isinstance(answer, RedisError) else answer

    def _next(self) -> _Awaited | None:
        try:
            return self._own().pop()
        except IndexError:
            return None

    def _own(self) -> list[_Awaited]:
        if self._pid != os.getpid():
            self._awaited, self._pid = [], os.getpid()
        return self._awaited
