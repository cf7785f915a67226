"""Django's connection of this thread, by its alias in `DATABASES`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import ConfigurationError
from taskbridge.outbox.kind import kind_of
from taskbridge.store.dialect import POSTGRESQL, SQLITE, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIALECTS: Final = {"sqlite": SQLITE.through_django(), "postgresql": POSTGRESQL.through_django()}


def is_set_up() -> bool:
    """True in a process of a Django project, once its applications are loaded."""
    loaded: Any = sys.modules.get("django.apps")
    return loaded is not None and bool(loaded.apps.ready)


def has_application() -> bool:
    """True where the project has TaskBridge's tables among its own."""
    return is_set_up() and bool(sys.modules["django.apps"].apps.is_installed("taskbridge.django"))


def is_meant(connection: object, /) -> bool:
    """True for an alias, for one of Django's own connections, and for none at all in a process that is set up."""
    return (connection is None and is_set_up()) or isinstance(connection, str) or kind_of(connection) == "django"


def alias_of(connection: object, /) -> str:
    """The alias that is meant; where none is said, the one that Django's routers choose for writing an outbox row."""
    if connection is None:
        from django.apps import apps
        from django.db import DEFAULT_DB_ALIAS, router

        if not apps.is_installed("taskbridge.django"):
            return str(DEFAULT_DB_ALIAS)
        return str(router.db_for_write(apps.get_model("taskbridge", "OutboxRow")))
    return connection if isinstance(connection, str) else str(connection.alias)  # type: ignore[attr-defined]  # Django's connections have one


def has_outbox() -> bool:
    """Whether the database that Django's routers choose for an outbox is of a kind that can have one."""
    from django.db import connections

    return connections[alias_of(None)].vendor in _DIALECTS


def dialect_of(alias: str, /) -> Dialect:
    """How statements are written for the database under this alias.

    Raises:
        ConfigurationError: there is none, or it is of a kind that TaskBridge does not support.
    """
    from django.db import connections
    from django.utils.connection import ConnectionDoesNotExist

    try:
        vendor = connections[alias].vendor
    except ConnectionDoesNotExist as error:
        raise ConfigurationError(f"DATABASES has no {alias!r}.") from error
    if vendor not in _DIALECTS:
        raise ConfigurationError(
            f"DATABASES[{alias!r}] is {vendor}; an outbox or inbox is kept on SQLite and PostgreSQL."
        )
    return _DIALECTS[vendor]


class DjangoTransaction:
    """Statements on `connections[alias]`; savepoints and `on_commit` are Django's own."""

    def __init__(self, connection: object, /) -> None:
        self.alias = alias_of(connection)
        self.dialect = dialect_of(self.alias)

    @property
    def is_open(self) -> bool:
        from django.db import connections

        connection = connections[self.alias]
        return bool(connection.in_atomic_block or not connection.get_autocommit())

    def execute(self, statement: str, parameters: Sequence[object], /) -> int:
        from django.db import connections

        with contextlib.closing(connections[self.alias].cursor()) as cursor:
            cursor.execute(self.dialect.sql(statement), parameters)
            return int(cursor.rowcount)

    def after_commit(self, callback: Callable[[], None], /) -> None:
        from django.db import transaction

        # Robust: one job that cannot be enqueued takes no other callback of the same commit with it.
        transaction.on_commit(callback, using=self.alias, robust=True)
