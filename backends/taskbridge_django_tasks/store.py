"""Results on Django's own connection: what is recorded belongs to the caller's transaction, as the job's row does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django_tasks_db.utils import exclusive_transaction

from taskbridge.errors import ConfigurationError, StoreUnavailable
from taskbridge.store import schema
from taskbridge.store.dialect import POSTGRESQL, SQLITE
from taskbridge.store.forks import unforked_on
from taskbridge.store.sql import SQLStore
from taskbridge_django_tasks.connection import thread_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.store import Store
    from taskbridge.store.database import Cursor
    from taskbridge.store.dialect import Dialect

T = TypeVar("T")

_DIALECTS: Final[dict[str, Dialect]] = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


def dialect_of(using: str, /) -> Dialect:
    """The dialect of the database under this alias of DATABASES.

    Raises:
        ConfigurationError: it is of a kind that TaskBridge does not support.
    """
    vendor = connections[using].vendor
    if vendor not in _DIALECTS:
        raise ConfigurationError(
            f"DATABASES[{using!r}] is {vendor}; TaskBridge keeps Django tasks on SQLite and PostgreSQL."
        )
    return _DIALECTS[vendor]


def open_django_store(using: str, /) -> Store:
    """The result store in the database under this alias; its tables are created at the first use."""
    return SQLStore(DjangoDatabase(using))


class DjangoDatabase:
    """Statements on `connections[using]` of the calling thread, in the caller's transaction if there is one."""

    owned: Final = False

    def __init__(self, using: str) -> None:
        self.dialect = dialect_of(using).through_django()
        self._using = using
        self._is_ready = False

    def run(self, work: Callable[[Cursor], T], /) -> T:
        with unforked_on(self.dialect):
            try:
                try:
                    return self._attempt(work)
                except (OperationalError, InterfaceError):
                    # Ended by the server, or left amid a query by a task's timeout. A write may be repeated.
                    if not self._has_dropped_connection():
                        raise
                    return self._attempt(work)
            except (DatabaseError, InterfaceError) as error:
                raise StoreUnavailable(f"the store in DATABASES[{self._using!r}] did not answer: {error}") from error

    def in_transaction(self, work: Callable[[Cursor], T], /) -> T:
        def transact(cursor: Cursor) -> T:
            with exclusive_transaction(self._using):
                return work(cursor)

        return self.run(transact)

    def close(self) -> None:
        """Nothing: the connections are Django's."""

    def _attempt(self, work: Callable[[Cursor], T]) -> T:
        self._prepare()
        return self._run(work)

    def _has_dropped_connection(self) -> bool:
        connection = connections[self._using]
        if connection.in_atomic_block:
            return False
        connection.close_if_unusable_or_obsolete()
        return connection.connection is None

    def _run(self, work: Callable[[Cursor], T]) -> T:
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            return work(cursor)

    def _prepare(self) -> None:
        if self._is_ready:
            return
        connection = thread_connection(self._using)
        is_inside = connection.in_atomic_block
        if self._run(lambda cursor: schema.version(cursor, self.dialect)) < len(schema.STEPS):
            if self.dialect.name == "postgresql":
                self._create_apart(connection)
            elif is_inside:
                self._run(lambda cursor: schema.upgrade(cursor, self.dialect))
            else:
                with exclusive_transaction(self._using):
                    self._run(lambda cursor: schema.upgrade(cursor, self.dialect))
        # On SQLite what was created, or seen, inside a transaction goes away with it.
        self._is_ready = self.dialect.name == "postgresql" or not is_inside

    def _create_apart(self, connection: Any) -> None:
        # Not in the caller's transaction, which may be long: it would hold the schema's lock to its end.
        apart = connection.copy()
        try:
            apart.set_autocommit(False)
            with contextlib.closing(apart.cursor()) as cursor:
                schema.upgrade(cursor, self.dialect)
            apart.commit()
        finally:
            apart.close()
