"""Django's connection of the calling thread, given back when a thread that Django does not know ends.

Django closes connections at the end of a request. A thread of the application's own, or of `aenqueue`, has no request,
and would leave its connection to the garbage collector and to the server.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_held = threading.local()


def thread_connection(using: str, /) -> BaseDatabaseWrapper:
    """`connections[using]`, which is closed at the latest when this thread ends."""
    connection = connections[using]
    if connection.connection is None and threading.current_thread() is not threading.main_thread():
        _held.__dict__.setdefault(using, _Closing(connection))
    return connection


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
