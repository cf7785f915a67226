"""Django's connection of the calling thread, given back when a thread that Django does not know ends.

Django closes connections at the end of a request. A thread of the application's own, or of `aenqueue`, has no request,
and would leave its connection to the garbage collector and to the server.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connections

from taskbridge.errors import BrokerUnavailable, EnqueueError
from taskbridge.store.forks import unforked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

_held = threading.local()


def thread_connection(using: str, /) -> BaseDatabaseWrapper:
    """`connections[using]`, which is closed at the latest when this thread ends."""
    connection = connections[using]
    if connection.connection is None and threading.current_thread() is not threading.main_thread():
        _held.__dict__.setdefault(using, _Closing(connection))
    return connection


@contextlib.contextmanager
def enqueuing(label: str, using: str, /) -> Iterator[None]:
    """Turn what the database raises within the block into an `EnqueueError` that names the backend by its label."""
    connection = thread_connection(using)
    with unforked if connection.vendor == "sqlite" else contextlib.nullcontext():
        yield from _translated(connection, label, using)


def _translated(connection: BaseDatabaseWrapper, label: str, using: str) -> Iterator[None]:
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError) as error:
        raise BrokerUnavailable(
            f"{label}: no connection to DATABASES[{using!r}]: {error}", maybe_accepted=False
        ) from error
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        is_lost = isinstance(error, OperationalError | InterfaceError) and connection.vendor != "sqlite"
        hint = " Run manage.py migrate." if _is_table_missing(error) else ""
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        raise EnqueueError(
            f"{label} did not take the job: {str(error).strip()}.{hint}",
            maybe_accepted=is_lost and not connection.in_atomic_block,
        ) from error


def _is_table_missing(error: Exception) -> bool:
    return "no such table" in str(error) or (isinstance(error, ProgrammingError) and "does not exist" in str(error))


class _Closing:
    """Goes with its thread, and closes the connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._pid = os.getpid()

    def __del__(self) -> None:
        # In a child of os.fork() the parent's other threads end at once, and their connections are not the child's.
        if os.getpid() == self._pid:
            with contextlib.suppress(Exception):
                self._connection.close()
