"""Overrides of private pieces of Huey, each alone, with its reason."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from taskbridge.store.forks import PATIENCE_SECONDS

if TYPE_CHECKING:
    from huey.storage import SqliteStorage

_storages: weakref.WeakSet[Any] = weakref.WeakSet()


def forget_connection_after_fork(storage: SqliteStorage, /) -> None:
    """Give a child of `os.fork()` its own connection and lock.

    SQLite forbids to carry a connection over a fork, and Huey closes its own only where its consumer forks. The
    inherited connection is dropped, not closed: closing would release the parent's file locks.
    """
    _storages.add(storage)


def _hold() -> None:
    """Keep other threads off the files, as `taskbridge.store.forks` does."""
    _held.extend(storage.lock for storage in list(_storages) if storage.lock.acquire(timeout=PATIENCE_SECONDS))


def _let_go() -> None:
    while _held:
        _held.pop().release()


def _forget() -> None:
    _held.clear()
    for storage in _storages:
        _inherited.append(storage._conn)
        storage._conn = None
        storage.lock = threading.Lock()


_inherited: list[Any] = []
_held: list[Any] = []
os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_forget)
