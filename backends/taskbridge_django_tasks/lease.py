"""The leases of the workers of a database: one row each, in a table beside the queue.

A lease says when it was changed last, by its worker or by one who looked in vain for a change, and how often such looks
there were: so observers that are short-lived themselves add up. See `watch` for what they conclude.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError, OperationalError, transaction
from django_tasks_db.utils import exclusive_transaction, is_locked_database_exception

from taskbridge.errors import ConfigurationError
from taskbridge_django_tasks.connection import thread_connection
from taskbridge_django_tasks.store import dialect_of
from taskbridge_django_tasks.watch import LOOKS, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskbridge.store.dialect import Dialect

TABLE: Final = "taskbridge_django_leases"
DDL: Final = (
    f"CREATE TABLE {TABLE} (worker_id TEXT PRIMARY KEY, changed_at BIGINT NOT NULL, looks INTEGER NOT NULL, "
    "stopping INTEGER NOT NULL)"
)
_WORKER: Final = " WHERE worker_id = ?"
_UNCHANGED: Final = f"{_WORKER} AND changed_at = ? AND looks = ?"
_RENEW: Final = f"UPDATE {TABLE} SET changed_at = {{now}}, looks = 0, stopping = ?{_WORKER} AND looks < ?"  # noqa: S608 - constants only
_BEGIN: Final = f"INSERT INTO {TABLE} (worker_id, stopping, changed_at, looks) VALUES (?, ?, {{now}}, 0)"  # noqa: S608 - as above
_UNLESS_THERE: Final = " ON CONFLICT DO NOTHING"
_OR_ANEW: Final = (
    " ON CONFLICT (worker_id) DO UPDATE SET changed_at = excluded.changed_at, looks = 0, stopping = excluded.stopping"
)
_READ: Final = f"SELECT worker_id, changed_at, looks, stopping, {{now}} FROM {TABLE}"  # noqa: S608 - as above
_LOOK: Final = f"UPDATE {TABLE} SET changed_at = {{now}}, looks = looks + ?"  # noqa: S608 - as above
_END: Final = f"DELETE FROM {TABLE}"  # noqa: S608 - as above

PATIENCE_SECONDS: Final = 5.0
BETWEEN_QUESTIONS: Final = 0.002
"""In seconds, while another holds the lock of a SQLite file."""


class LeaseTable:
    """The statements, on the calling thread's own connection."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._dialect = dialect_of(using).through_django()

    def create(self) -> None:
        """Create the table if there is none. Any number of processes may do so at once.

        Raises:
            ConfigurationError: the database does not let us; says the statement.
        """
        dialect = self._dialect
        if self._exists(dialect):
            return
        apart = exclusive_transaction if dialect.name == "sqlite" else transaction.atomic
        try:
            with apart(self._using):
                if dialect.lock_schema is not None:
                    self._execute(dialect.lock_schema)
                if not self._exists(dialect):
                    self._execute(DDL)
        except DatabaseError as error:
            raise ConfigurationError(
                f"The table of the workers' leases could not be created in DATABASES[{self._using!r}]: "
                f"{str(error).strip()}. Let this user create tables, or run as another: {DDL}"
            ) from error

    def renew(self, worker_id: str, *, stopping: bool) -> bool:
        """Renew the lease; False if the worker had none, or counted as dead by it."""
        with self._first_in_line() as execute:
            if execute(_RENEW, [int(stopping), worker_id, LOOKS]):
                return True
            execute(_BEGIN + _OR_ANEW, [worker_id, int(stopping)])
            return False

    def begin(self, worker_id: str) -> None:
        """Make a lease for a worker that should have one, unless it has."""
        self._execute(_BEGIN + _UNLESS_THERE, [worker_id, 0])

    def read(self) -> Mapping[str, Lease]:
        """All leases, by worker."""
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            cursor.execute(self._sql(_READ))
            return {
                worker_id: Lease(changed_at, looks, bool(stopping), (now - changed_at) / 1_000_000)
                for worker_id, changed_at, looks, stopping, now in cursor.fetchall()
            }

    def look(self, worker_id: str, lease: Lease, looks: int) -> bool:
        """Count so many more looks in vain; False if the lease was changed by somebody since it was read."""
        return bool(self._execute(_LOOK + _UNCHANGED, [looks, worker_id, lease.changed_at, lease.looks]))

    def remove(self, worker_id: str, lease: Lease) -> None:
        """Delete a lease, unless it was changed."""
        self._execute(_END + _UNCHANGED, [worker_id, lease.changed_at, lease.looks])

    def end(self, worker_id: str) -> None:
        """Delete the lease of a worker that holds nothing."""
        self._execute(_END + _WORKER, [worker_id])

    @contextlib.contextmanager
    def _first_in_line(self) -> Iterator[Callable[[str, Sequence[object]], int]]:
        """SQLite has no line: whoever asks most often gets the lock, and its own wait asks each 100 ms.

        Beside four busy workers a renewal came seven seconds late so.
        """
        if self._dialect.name != "sqlite":
            yield self._execute
            return
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            cursor.execute("PRAGMA busy_timeout")
            (patience,) = cursor.fetchone()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                yield self._ask_often
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {patience}")

    def _ask_often(self, statement: str, parameters: Sequence[object]) -> int:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._execute(statement, parameters)
            except OperationalError as error:
                if not is_locked_database_exception(error) or time.monotonic() > end:
                    raise
            time.sleep(BETWEEN_QUESTIONS)

    def _exists(self, dialect: Dialect) -> bool:
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            cursor.execute(dialect.sql(dialect.table_exists), [TABLE])
            return cursor.fetchone() is not None

    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> int:
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            cursor.execute(self._sql(statement), parameters)
            return int(cursor.rowcount)

    def _sql(self, statement: str) -> str:
        return self._dialect.sql(statement.replace("{now}", self._dialect.now))
