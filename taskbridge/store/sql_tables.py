"""What all parts of a store on SQL share: the tables, how a statement is sent, and the sweep."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from taskbridge.store import columns, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskbridge.store.database import Cursor, Database
    from taskbridge.store.key import Key
    from taskbridge.store.lease import Lease

T = TypeVar("T")

SWEEP_EVERY: Final = timedelta(minutes=5)
"""How often at most one process deletes what has expired, beside its writes of jobs that have ended."""
SWEEP_BATCH: Final = 1_000
"""Rows that one sweep deletes at most in one statement."""
BATCH: Final = 1_000
"""Rows that one statement touches at most: 18 parameters each, below the limits of both databases."""
FORGET_AFTER: Final = timedelta(days=1)
"""How long a lease or counter that has ended is kept, for clocks that differ."""

_SWEPT: Final = (
    ("taskbridge_results", "id", "expires_at", timedelta(0)),
    ("taskbridge_dead_letters", "id", "expires_at", timedelta(0)),
    ("taskbridge_leases", "name", "until", FORGET_AFTER),
    ("taskbridge_counters", "name", "until", FORGET_AFTER),
    ("taskbridge_keys", "name", "until", FORGET_AFTER),
    ("taskbridge_cancellations", "id", "until", timedelta(0)),
)


class SQLTables:
    """On our own connections the tables are created at the first use, and expired rows are deleted now and then.

    On the caller's connections both are the caller's: `create_tables` and `sweep`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect = dialect = database.dialect
        self._ready = not database.owned
        self._swept = time.monotonic()
        self._sweeps = [
            (
                dialect.sql(
                    f"DELETE FROM {table} WHERE {key} IN "  # noqa: S608 - constants only
                    f"(SELECT {key} FROM {table} WHERE {until} <= ? LIMIT {SWEEP_BATCH} {dialect.skip_locked})"
                ),
                kept // timedelta(microseconds=1),
            )
            for table, key, until, kept in _SWEPT
        ]

    def close(self) -> None:
        self._database.close()

    def create_tables(self) -> None:
        """Create the store's tables or bring them up to date. Safe to call from many processes at once."""
        self._database.in_transaction(lambda cursor: schema.upgrade(cursor, self._dialect))

    def sweep(self) -> int:
        """Delete all that has expired, in batches; how many rows there were."""
        self._prepare()
        total = 0
        for statement, kept in self._sweeps:
            deleted = SWEEP_BATCH
            while deleted >= SWEEP_BATCH:
                deleted = self._execute(statement, (columns.now() - kept,))
                total += deleted
        return total

    def _prepare(self) -> None:
        if not self._ready:
            if self._database.run(lambda cursor: schema.version(cursor, self._dialect)) < len(schema.STEPS):
                self.create_tables()
            self._ready = True

    def _sweep_if_due(self) -> None:
        if self._database.owned and time.monotonic() - self._swept >= SWEEP_EVERY.total_seconds():
            self._swept = time.monotonic()
            for statement, kept in self._sweeps:
                self._execute(statement, (columns.now() - kept,))

    def _prolonged(
        self, table: str, held: Sequence[Lease | Key], span: timedelta, *, only: str = "1 = 1"
    ) -> frozenset[str]:
        """Prolong those whose tokens are still in the table; their names."""
        self._prepare()
        found: set[str] = set()
        for batch in batches(sorted(held, key=lambda each: each.name)):
            marks = ", ".join(["(?, ?)"] * len(batch))
            statement = (
                f"UPDATE {table} SET until = {self._dialect.now} + ? "  # noqa: S608 - constants and placeholders only
                f"WHERE {only} AND (name, token) IN (VALUES {marks}) RETURNING name"
            )
            parameters = [part for each in batch for part in (each.name, each.token)]
            rows = self._fetch(self._dialect.sql(statement), [span // timedelta(microseconds=1), *parameters])
            found |= {str(name) for (name,) in rows}
        return frozenset(found)

    def _execute(self, statement: str, parameters: Sequence[object]) -> int:
        def execute(cursor: Cursor) -> int:
            cursor.execute(statement, parameters)
            return cursor.rowcount

        return self._database.run(execute)

    def _fetch(self, statement: str, parameters: Sequence[object]) -> Sequence[Sequence[Any]]:
        def fetch(cursor: Cursor) -> Sequence[Sequence[Any]]:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

        return self._database.run(fetch)


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most this size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
