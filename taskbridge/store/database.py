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
    from contextlib import AbstractContextManager

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


class Ahead(Protocol):
    """Sends on one connection without waiting for the answer."""

    def send(self, statement: str, parameters: Sequence[str | int], /, *, refused: Callable[[], object]) -> bool: ...
    def ask(self, statement: str, parameters: Sequence[str | int], /) -> Sequence[Sequence[Any]] | None: ...
    def settle(self) -> None: ...


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
        ahead: Callable[[Any], Ahead] | None = None,
    ) -> None:
        """`name` is the address without secrets; `unavailable` the driver's errors that mean no answer in time.

        `ahead` makes of a connection what need not wait on it, where there is a server that would be waited for.
        """
        self.dialect = dialect
        self._connect = connect
        self._name = name
        self._begin = begin
        self._unavailable = unavailable
        self._ahead = ahead
        self._reset()

    def run(self, work: Callable[[Cursor], T], /) -> T:
        with unforked_on(self.dialect):
            try:
                held = self._held()
                try:
                    return held.use(work)
                except self._unavailable:
                    # The server ended a connection that had lain idle. Every write of the store may be repeated.
                    if not held.is_broken():
                        raise
                    held.close()
                    return self._held().use(work)
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

    def send(self, statement: str, parameters: Sequence[str | int], /, *, refused: Callable[[], object]) -> bool:
        """Send a statement that changes one row, and do not wait; False if it was not sent: `run` it.

        `refused` is called, by the thread that reads the answer, if it did not, or if nobody can know.
        """
        if self._ahead is None:
            return False
        try:
            held = self._held()
        except self._unavailable:
            return False
        with held.lock:
            is_sent = held.ahead is not None and held.ahead.send(statement, parameters, refused=refused)
        self._unsettled[id(held)] = held
        return is_sent

    def ask(self, statement: str, parameters: Sequence[str | int], /) -> Sequence[Sequence[Any]] | None:
        """The rows of a statement that is sent before an answer is read which this thread did not wait for.

        None if there is none, or if that went wrong: `run` it, which may be a repetition.
        """
        held: _Held | None = getattr(self._local, "held", None) if self._pid == os.getpid() else None
        if held is None or held.closed or held.ahead is None:
            return None
        with held.lock:
            return held.ahead.ask(statement, parameters)

    def settle(self) -> None:
        """Read the answers that no thread waited for."""
        for number in list(self._unsettled):
            held = self._unsettled.pop(number, None)
            if held is not None:
                held.settle()

    def close(self) -> None:
        for held in list(self._all):
            held.close()

    def _held(self) -> _Held:
        if self._pid != os.getpid():
            # What the parent opened is neither used nor closed here: it shares the parent's socket and locks.
            self._reset()
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or held.closed:
            connection = self._connect()
            ahead = None if self._ahead is None else self._ahead(connection)
            held = self._local.held = _Held(connection, ahead, unforked_on(self.dialect))
            self._all.add(held)
        return held

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._unsettled: dict[int, _Held] = {}


class _Held:
    """A connection that closes with the thread that opened it, and is left alone in any other process."""

    def __init__(self, connection: Any, ahead: Ahead | None, unforked: AbstractContextManager[None]) -> None:
        self.connection = connection
        self.ahead = ahead
        self._unforked = unforked
        self.lock = threading.RLock()
        self.closed = False
        self._pid = os.getpid()

    def use(self, work: Callable[[Cursor], T]) -> T:
        with self.lock:
            if self.ahead is not None:
                self.ahead.settle()
            with contextlib.closing(self.connection.cursor()) as cursor:
                return work(cursor)

    def settle(self) -> None:
        """Unless its thread is using it, which has settled it first."""
        if self.ahead is not None and self.lock.acquire(blocking=False):
            try:
                self.ahead.settle()
            finally:
                self.lock.release()

    def is_broken(self) -> bool:
        return bool(getattr(self.connection, "closed", False))

    def close(self) -> None:
        self.closed = True
        if self._pid == os.getpid():
            self.settle()
            with self._unforked:
                self.connection.close()

    def __del__(self) -> None:
        if self._pid != os.getpid():
            _inherited.append(self.connection)
        elif not self.closed:
            self.close()


_inherited: Final[list[object]] = []
