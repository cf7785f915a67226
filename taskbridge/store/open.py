"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from taskbridge.store.protocol import ResultStore


def open_store(url: str, /) -> ResultStore:
    """The store at this URL. Nothing is connected before its first use.

    `sqlite:///./file.db` (relative), `sqlite:////absolute/file.db`. Raises `ConfigurationError`.
    """
    scheme = urlsplit(url).scheme
    match scheme:
        case "sqlite":
            return _sqlite(url)
        case _:
            raise ConfigurationError(f"no store has the scheme {scheme!r}; known are: sqlite")


def _sqlite(url: str) -> ResultStore:
    from taskbridge.store.sql import SQLResultStore
    from taskbridge.store.sqlite import sqlite_database

    parts = urlsplit(url)
    if parts.netloc or parts.query or not parts.path.strip("/") or parts.path == "/:memory:":
        raise ConfigurationError(
            f"store {url!r}: write sqlite:///./file.db for a file in the working directory, or "
            "sqlite:////absolute/file.db; three or four slashes, no host and no options"
        )
    return SQLResultStore(sqlite_database(Path(parts.path[1:])))
