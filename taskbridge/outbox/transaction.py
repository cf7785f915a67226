"""The caller's connection, whatever its kind: what is written on it is committed or rolled back with the caller's."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from taskbridge.errors import ConfigurationError
from taskbridge.outbox.kind import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.store.dialect import Dialect


class Transaction(Protocol):
    """One of the caller's connections."""

    @property
    def dialect(self) -> Dialect: ...
    @property
    def is_open(self) -> bool:
        """Whether what is written now waits for a commit by the caller; False where it is committed at once."""

    def execute(self, statement: str, parameters: Sequence[object], /) -> int:
        """Run a statement that was written with `?`; how many rows it touched."""

    def after_commit(self, callback: Callable[[], None], /) -> None:
        """Call this once the caller's transaction has been committed, and never if it is rolled back.

        Raises:
            UnsupportedFeature: this kind of connection tells nobody of its commit.
        """


def on(connection: object, /) -> Transaction:
    """What `using(connection=...)` was given. None, or an alias of `DATABASES`, means Django's connection.

    Nothing is imported for kinds that the application does not use: an object is known by the module of its class.

    Raises:
        ConfigurationError: there is no such kind, or no connection at all.
    """
    opener = _opener(kind_of(connection))
    if opener is not None:
        return opener(connection)
    from taskbridge.outbox import on_django

    if on_django.is_meant(connection):
        return on_django.DjangoTransaction(connection)
    if connection is None:
        raise ConfigurationError(
            "No connection is given, and this is no Django project. Say whose transaction is meant: "
            "using(connection=...) with a SQLAlchemy session or connection, or one of sqlite3 or psycopg."
        )
    raise ConfigurationError(
        f"A connection of the type {type(connection).__module__}.{type(connection).__qualname__} is not known. Give an "
        f"alias of Django's DATABASES, a SQLAlchemy Session or Connection, or a connection of sqlite3 or psycopg."
    )


@cache
def _opener(library: str) -> Callable[[object], Transaction] | None:
    """For a connection of this library; None for Django's, which may be an alias."""
    if library in ("sqlite3", "psycopg"):
        from taskbridge.outbox.on_dbapi import dbapi_transaction

        return partial(dbapi_transaction, library)
    if library == "sqlalchemy":
        from taskbridge.outbox.on_sqlalchemy import sqlalchemy_transaction

        return sqlalchemy_transaction
    return None
