"""Imported by an application on SQLite before all else: writes down each statement that any connection runs.

Only the standard library: a copy lies beside the application, and the log beside the copy.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

LOG = Path(__file__).with_suffix(".log")


def install() -> None:
    """Watch every connection that is opened from now on."""
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    connect = sqlite3.connect

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(lambda text: os.write(log, f"{' '.join(text.split())}\n".encode()))
        return connection

    for module in (sqlite3, sqlite3.dbapi2):
        module.connect = watched  # type: ignore[attr-defined]  # every library looks it up when it connects
