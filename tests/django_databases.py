"""Django's DATABASES for `sqlite:////path`, `sqlite:///:memory:` or `postgresql://user:password@host:port/name`."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def databases(url: str) -> dict[str, dict[str, Any]]:
    """With the alias `default` alone."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        # What Django's documentation advises for a file with many writers.
        advised = {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}
        return {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(parts.path[1:]), "OPTIONS": advised}
        }
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path[1:],
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
            "HOST": parts.hostname or "",
            "PORT": parts.port or "",
        }
    }
