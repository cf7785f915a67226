"""The leases of the workers of a database: one row each, in a table beside the queue.

No clock is compared with another: a lease is a number that its worker keeps changing. See `watch` for who reads it.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import DatabaseError, OperationalError, transaction
from django_tasks_db.utils import exclusive_transaction, is_locked_database_exception

from taskbridge.errors import ConfigurationError
from taskbridge_django_tasks.connection import thread_connection
from taskbridge_django_tasks.store import dialect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskbridge.store.dialect import Dialect

TABLE: Final = "taskbridge_django_workers"
DDL: Final = f"CREATE TABLE {TABLE} (worker_id TEXT PRIMARY KEY, beats BIGINT NOT NULL, stopping INTEGER NOT NULL)"
_RENEW: Final = f"UPDATE {TABLE} SET beats = beats + 1, stopping = %s WHERE worker_id = %s"  # noqa: S608 - constants only
_BEGIN: Final = f"INSERT INTO {TABLE} (worker_id, beats, stopping) VALUES (%s, 1, %s) ON CONFLICT DO NOTHING"  # noqa: S608 - as above
_READ: Final = f"SELECT worker_id, beats, stopping FROM {TABLE}"  # noqa: S608 - as above
_END: Final = f"DELETE FROM {TABLE} WHERE worker_id = %s"  # noqa: S608 - as above

PATIENCE_SECONDS: Final = 5.0
BETWEEN_QUESTIONS: Final = 0.002
"""In seconds, while another holds the lock of a SQLite file."""


class Lease(NamedTuple):
    """What is known of one worker."""

    beats: int
    """Changes with each renewal."""
    stopping: bool
    """It was asked to leave: that it is gone is no crash."""


class LeaseTable:
    """The statements, on the calling thread's own connection."""

    def __init__(self, using: str) -> None:
        self._using = using

    def create(self) -> None:
        """Create the table if there is none. Any number of processes may do so at once.

        Raises:
            ConfigurationError: the database does not let us; says the statement.
        """
        dialect = dialect_of(self._using).through_django()
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
        """Change the lease; False if it was gone, and was made anew."""
        with self._first_in_line() as execute:
            if execute(_RENEW, [int(stopping), worker_id]):
                return True
            execute(_BEGIN, [worker_id, int(stopping)])
            return False

    def read(self) -> Mapping[str, Lease]:
        """All leases, by worker."""
        with contextlib.closing(thread_connection(self._using).cursor()) as cursor:
            cursor.execute(_READ)
            return {worker_id: Lease(beats, bool(stopping)) for worker_id, beats, stopping in cursor.fetchall()}

    def remove(self, worker_id: str, lease: Lease) -> None:
        """Delete a lease, unless it was renewed."""
        self._execute(f"{_END} AND beats = %s", [worker_id, lease.beats])

    def end(self, worker_id: str) -> None:
        """Delete the lease of a worker that holds nothing."""
        self._execute(_END, [worker_id])

    @contextlib.contextmanager
    def _first_in_line(self) -> Iterator[Callable[[str, Sequence[object]], int]]:
        """SQLite has no line: whoever asks most often gets the lock, and its own wait asks each 100 ms.

        Beside four busy workers a renewal came seven seconds late so.
        """
        if dialect_of(self._using).name != "sqlite":
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
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)
