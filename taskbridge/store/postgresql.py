"""A PostgreSQL database as the store's."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from taskbridge.errors import ConfigurationError
from taskbridge.store.database import OwnDatabase
from taskbridge.store.dialect import POSTGRESQL
from taskbridge.store.postgresql_ahead import PostgreSQLAhead

CONNECT_TIMEOUT: Final = 5
"""Seconds that a connection may take to open."""
STATEMENT_TIMEOUT: Final = 10
"""Seconds that a statement may take, and that a network without answers is borne with."""


def postgresql_database(url: str, /) -> OwnDatabase:
    """The database at this URL. What its query says of timeouts, and its `options`, win over ours.

    Prepared statements are off, so that a pooler between us and the server does no harm.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # libpq quotes the part that it cannot read, which may be the password.
        raise ConfigurationError(
            "the store's PostgreSQL URL cannot be read: write postgresql://user:password@host:port/database, "
            "with special characters in user and password percent-encoded"
        ) from None
    parameters: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "tcp_user_timeout": STATEMENT_TIMEOUT * 1_000,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT}s",
        **given,
    }

    def connect() -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(autocommit=True, prepare_threshold=None, **parameters)

    name = f"postgresql://{given.get('host', '')}/{given.get('dbname', '')}"
    return OwnDatabase(
        connect,
        POSTGRESQL,
        name=name,
        begin="BEGIN",
        unavailable=(psycopg.OperationalError,),
        ahead=PostgreSQLAhead if psycopg.Pipeline.is_supported() else None,
    )
