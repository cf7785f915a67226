"""A SQLAlchemy session or connection."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import ConfigurationError
from taskbridge.outbox.kind import class_names
from taskbridge.outbox.on_dbapi import no_word_of_commits
from taskbridge.store.dialect import POSTGRESQL, SQLITE, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIALECTS: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


def sqlalchemy_transaction(connection: Any, /) -> ConnectionTransaction:
    """The transaction of a session, scoped session or connection.

    Raises:
        ConfigurationError: it is none of these, or its methods must be awaited.
    """
    names = class_names(connection)
    if "scoped_session" in names:
        connection = connection()
        names = class_names(connection)
    if names & {"AsyncSession", "AsyncConnection", "async_scoped_session"}:
        raise ConfigurationError(
            f"{connection!r:.100} must be awaited: await task.using(connection=...).aenqueue(...), or "
            f"await context.aonce(...)."
        )
    if "Session" in names:
        return SessionTransaction(connection)
    if "Connection" in names:
        return ConnectionTransaction(connection)
    raise ConfigurationError(f"{connection!r:.100} is neither a Session nor a Connection of SQLAlchemy.")


class ConnectionTransaction:
    """Statements on a `Connection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        name = connection.dialect.name
        if name not in _DIALECTS:
            raise ConfigurationError(f"An outbox or inbox is kept on SQLite and PostgreSQL, not on {name}.")
        self.dialect: Dialect = _DIALECTS[name]

    @property
    def is_open(self) -> bool:
        return bool(self._connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT")

    def execute(self, statement: str, parameters: Sequence[object], /) -> int:
        style = self._connection.dialect.paramstyle
        if style == "numeric_dollar":
            numbers = count(1)
            statement = re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
        elif style != "qmark":
            statement = statement.replace("?", "%s")
        return int(self._connection.exec_driver_sql(statement, tuple(parameters)).rowcount)

    def after_commit(self, callback: Callable[[], None], /) -> None:  # noqa: ARG002 - SQLAlchemy tells before it only
        raise no_word_of_commits(self._connection)


class SessionTransaction(ConnectionTransaction):
    """Statements on the connection of a `Session`; its events tell of its commit."""

    def __init__(self, session: Any) -> None:
        super().__init__(session.connection())
        self._session = session

    def after_commit(self, callback: Callable[[], None], /) -> None:
        from taskbridge.outbox.session_events import call_after_commit

        call_after_commit(self._session, callback)
