"""The database of the application that the suite plays: a file with an outbox, whatever the backend stands on."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Application:
    """One database in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "application.db"
        self.url = f"sqlite:///{self._path}"

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Whoever writes on it commits or rolls back."""
        with closing(sqlite3.connect(self._path)) as connection:
            yield connection
