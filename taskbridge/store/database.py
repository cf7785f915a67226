"""Connections to a database: one a thread and a process, our own or the caller's."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from taskbridge.errors import StoreUnavailable
from taskbridge.store.forks import unforked_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.store.dialect import Dialect

T = TypeVar("T")


class Cursor(Protocol):
    """The part of a DB-API cursor that the store uses."""

    def execute(self, statement: str, parameters: Sequence[object] = ..., /) -> object: ...
    def fetchone(self) -> Sequence[Any] | None: ...
    def fetchall(self) -> Sequence[Sequence[Any]]: ...
    def close(self) -> object: ...

    @property
    def rowcount(self) -> int: ...


class Connection(Protocol):
    """The part of a DB-API connection that the store uses. `django.db.connections[alias]` is one."""

    def cursor(self) -> Any: ...


class Database(Protocol):
    """Where statements run."""

    @property
    def dialect(self) -> Dialect: ...
    @property
    def owned(self) -> bool:
        """True if the connections are ours: the store may create its tables and sweep on them."""

    def run(self, work: Callable[[Cursor], T], /) -> T:
        """What `work` returns, given a cursor on which each statement is its own transaction if we own it."""

    def in_transaction(self, work: Callable[[Cursor], T], /) -> T:
        """The same, in one short transaction if the connection is ours, else in the caller's."""

    def close(self) -> None: ...


class CallersDatabase:
    """Connections that the application owns: neither committed, nor rolled back, nor closed here.

    `connect` is called for each use, and gives the connection that serves the calling thread.
    """

    owned: Final = False

    def __init__(self, connect: Callable[[], Connection], dialect: Dialect) -> None:
        self._connect = connect
        self.dialect = dialect

    def run(self, work: Callable[[Cursor], T], /) -> T:
        with contextlib.closing(self._connect().cursor()) as cursor:
            return work(cursor)

    in_transaction = run

    def close(self) -> None:
        """Nothing: the connections are the caller's."""


class OwnDatabase:
    """Connections that the store opens, in autocommit: one a thread, opened anew in a child after `os.fork()`."""

    owned: Final = True

    def __init__(
        self,
        connect: Callable[[], Any],
        dialect: Dialect,
        *,
        name: str,
        begin: str,
        unavailable: tuple[type[Exception], ...],
    ) -> None:
        """`name` is the address without secrets; `unavailable` the driver's errors that mean no answer in time."""
        self.dialect = dialect
        self._connect = connect
        self._name = name
        self._begin = begin
        self._unavailable = unavailable
        self._reset()

    def run(self, work: Callable[[Cursor], T], /) -> T:
        with unforked_on(self.dialect):
            try:
                held = self._held()
                try:
                    return _with_cursor(held.connection, work)
                except self._unavailable:
                    # The server ended a connection that had lain idle. Every write of the store may be repeated.
                    if not held.is_broken():
                        raise
                    held.close()
                    return _with_cursor(self._held().connection, work)
            except self._unavailable as error:
                raise StoreUnavailable(f"the store {self._name} did not answer: {error}") from error

    def in_transaction(self, work: Callable[[Cursor], T], /) -> T:
        def transact(cursor: Cursor) -> T:
            cursor.execute(self._begin)
            try:
                result = work(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    cursor.execute("ROLLBACK")
                raise
            return result

        return self.run(transact)

    def close(self) -> None:
        for held in list(self._all):
            held.close()

    def _held(self) -> _Held:
        if self._pid != os.getpid():
            # What the parent opened is neither used nor closed here: it shares the parent's socket and locks.
            self._reset()
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or held.closed:
            held = self._local.held = _Held(self._connect())
            self._all.add(held)
        return held

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()


class _Held:
    """A connection that closes with the thread that opened it, and is left alone in any other process."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.closed = False
        self._pid = os.getpid()

    def is_broken(self) -> bool:
        return bool(getattr(self.connection, "closed", False))

    def close(self) -> None:
        self.closed = True
        if self._pid == os.getpid():
            self.connection.close()

    def __del__(self) -> None:
        if self._pid != os.getpid():
            _inherited.append(self.connection)
        elif not self.closed:
            self.close()


_inherited: Final[list[object]] = []


def _with_cursor(connection: Any, work: Callable[[Cursor], T]) -> T:
    with contextlib.closing(connection.cursor()) as cursor:
        return work(cursor)
