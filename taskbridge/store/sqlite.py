"""A SQLite file as the store's database."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Final

from taskbridge.errors import ConfigurationError
from taskbridge.store.database import OwnDatabase
from taskbridge.store.dialect import SQLITE

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT: Final = 5.0
"""Seconds that a statement waits for another process's write."""


def sqlite_database(path: Path, /, *, enter_wal: bool = True) -> OwnDatabase:
    """The database in this file, which is created if there is none. Its folder must exist.

    Our own file is put into WAL mode, so that readers and one writer do not wait for each other, with
    `synchronous=NORMAL`: what was written survives the death of every process; a power cut may take back the last
    transactions. With `enter_wal` off the file is the application's, and stays as it is.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        raise ConfigurationError(f"sqlite store {path}: there is no folder {path.parent}; create it first")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            if enter_wal:
                _enter_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    return OwnDatabase(
        connect, SQLITE, name=f"sqlite:///{path}", begin="BEGIN IMMEDIATE", unavailable=(sqlite3.OperationalError,)
    )


def _enter_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for the lock that this change needs, although the busy timeout is set.
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
