"""The databases of the application that have an outbox, by the setting `outbox`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from taskbridge.errors import BackendNotInstalled, ConfigurationError
from taskbridge.outbox import on_django
from taskbridge.outbox.table import OutboxTable

if TYPE_CHECKING:
    from taskbridge.settings import Settings
    from taskbridge.store.database import Database


def urls(settings: Settings, /) -> tuple[str, ...]:
    """Those that are set; where none is, under Django, the one that its routers choose."""
    if settings.outbox:
        return settings.outbox
    if not on_django.is_set_up() or not on_django.has_outbox():
        return ()
    return (f"django://{on_django.alias_of(None)}",)


def open_outbox(url: str, /) -> OutboxTable:
    """The outbox in the database at this URL. Nothing is connected before its first use.

    Raises:
        ConfigurationError: a URL of no such database.
    """
    return OutboxTable(_database(url))


def shown(url: str, /) -> str:
    """The URL without its password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _database(url: str) -> Database:
    parts = urlsplit(url)
    if parts.scheme == "django":
        from taskbridge.outbox.django_database import DjangoDatabase

        return DjangoDatabase(parts.netloc or "default")
    if parts.scheme == "sqlite":
        from taskbridge.store.sqlite import sqlite_database

        path = unquote(parts.path)
        if parts.netloc or parts.query or not path.strip("/") or path.endswith("/"):
            raise ConfigurationError(
                "The URL of an outbox names no SQLite file: write sqlite:///./app.db for one in the working directory, "
                "or sqlite:////absolute/app.db."
            )
        return sqlite_database(Path(path[1:]), enter_wal=False)
    if parts.scheme in ("postgres", "postgresql"):
        try:
            from taskbridge.store.postgresql import postgresql_database
        except ImportError as error:
            raise BackendNotInstalled(
                "An outbox in PostgreSQL needs its client library: pip install 'taskbridge[postgres]'"
            ) from error
        return postgresql_database(parts._replace(scheme="postgresql").geturl())
    raise ConfigurationError(
        f"No outbox has the scheme {parts.scheme!r}: write sqlite:///./app.db, postgresql://... or django://ALIAS."
    )
