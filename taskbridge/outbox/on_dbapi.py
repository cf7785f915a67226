"""A plain connection of sqlite3 or psycopg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import ConfigurationError, UnsupportedFeature
from taskbridge.outbox.kind import class_names
from taskbridge.store.dialect import POSTGRESQL, SQLITE, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIALECTS: Final = {"sqlite3": SQLITE, "psycopg": POSTGRESQL}


def dbapi_transaction(library: str, connection: Any, /) -> DBAPITransaction:
    """The transaction that such a connection is in, or that its next statement begins.

    Raises:
        ConfigurationError: it is one whose methods must be awaited.
    """
    if "AsyncConnection" in class_names(connection):
        raise ConfigurationError(
            f"{connection!r:.100} must be awaited: await task.using(connection=...).aenqueue(...), or "
            f"await context.aonce(...)."
        )
    return DBAPITransaction(connection, _DIALECTS[library])


class DBAPITransaction:
    """Statements on a cursor of the caller's."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self.dialect = dialect
        self._connection = connection

    @property
    def is_open(self) -> bool:
        connection = self._connection
        if self.dialect is POSTGRESQL:
            return not connection.autocommit or connection.info.transaction_status != 0
        # Python 3.12 has `autocommit`; where that is True, or isolation_level is None, nothing begins by itself.
        begins = connection.isolation_level is not None
        autocommit = getattr(connection, "autocommit", None)
        if isinstance(autocommit, bool):
            begins = not autocommit
        return begins or bool(connection.in_transaction)

    def execute(self, statement: str, parameters: Sequence[object], /) -> int:
        cursor = self._connection.cursor()
        try:
            cursor.execute(self.dialect.sql(statement), parameters)
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def after_commit(self, callback: Callable[[], None], /) -> None:  # noqa: ARG002 - there is nobody to give it to
        raise no_word_of_commits(self._connection)


def no_word_of_commits(connection: object, /) -> UnsupportedFeature:
    """The refusal of `on_commit` on a connection that tells nobody of its commit."""
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    return UnsupportedFeature(
        f"timing='on_commit' is refused on a {kind}, which tells nobody when it is committed. Choose timing='outbox', "
        f"which needs no such word, or enqueue with timing='now' after your commit."
    )
