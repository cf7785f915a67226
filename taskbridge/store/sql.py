"""Results in a SQL database: plain statements, alike on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from taskbridge.store import columns, schema
from taskbridge.store.transition import TRANSITIONS, Failed, Retrying, Started, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.store.database import Cursor, Database
    from taskbridge.store.record import DetailStatus, NewRecord, Record

T = TypeVar("T")

SWEEP_EVERY: Final = timedelta(minutes=5)
"""How often at most one process deletes expired records, beside its writes of finished jobs."""
SWEEP_BATCH: Final = 1_000
"""Rows that one sweep deletes at most in one statement."""
INSERT_BATCH: Final = 1_000
"""Rows that one statement inserts at most: 14 parameters each, below the limits of both databases."""

_TABLE: Final = "taskbridge_results"
_ROW: Final = f"({', '.join('?' * len(columns.NAMES))})"
_INSERT: Final = f"INSERT INTO {_TABLE} AS r ({', '.join(columns.NAMES)}) VALUES "  # noqa: S608 - constants only
_READ: Final = f"SELECT {', '.join(columns.NAMES)} FROM {_TABLE} WHERE id = ? AND expires_at > ?"  # noqa: S608 - as above
_REPLACE_EXPIRED: Final = (
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in columns.NAMES if name != "id")
    + " WHERE r.expires_at <= ?"
)


class SQLResultStore:
    """A `ResultStore` in the table `taskbridge_results`.

    On our own connections the tables are created at the first use, and expired rows are deleted now and then.
    On the caller's connections both are the caller's: `create_tables` and `sweep`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ready = not database.owned
        self._swept = time.monotonic()
        dialect = database.dialect
        self._read = dialect.sql(_READ)
        self._apply = {kind: dialect.sql(_INSERT + _ROW + _on_conflict(kind)) for kind in TRANSITIONS}
        self._sweep = dialect.sql(
            f"DELETE FROM {_TABLE} WHERE id IN "  # noqa: S608 - constants only
            f"(SELECT id FROM {_TABLE} WHERE expires_at <= ? LIMIT {SWEEP_BATCH} {dialect.skip_locked})"
        )

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        self._prepare()
        # In the order of the ids, and each once: two processes that insert the same ones do not deadlock.
        rows = [columns.of_new(job) for _, job in sorted({job.id: job for job in jobs}.items())]
        for batch in _batches(rows, INSERT_BATCH):
            statement = self._database.dialect.sql(_INSERT + ", ".join([_ROW] * len(batch)) + _REPLACE_EXPIRED)
            parameters = [row[name] for row in batch for name in columns.NAMES]
            self._execute(statement, [*parameters, columns.now()])

    def record(self, job: NewRecord, transition: Transition, /) -> None:
        self._prepare()
        row = columns.of_transition(job, transition)
        parameters = [row[name] for name in columns.NAMES]
        self._execute(self._apply[type(transition)], [*parameters, columns.now()])
        if transition.rule.becomes.is_finished and self._database.owned:
            self._sweep_if_due()

    def forget(self, ids: Sequence[str], /) -> None:
        self._prepare()
        for batch in _batches(sorted(ids), INSERT_BATCH):
            marks = ", ".join("?" * len(batch))
            statement = f"DELETE FROM {_TABLE} WHERE id IN ({marks})"  # noqa: S608 - constants and placeholders only
            self._execute(self._database.dialect.sql(statement), batch)

    def read(self, job_id: str, /) -> Record | None:
        self._prepare()

        def fetch(cursor: Cursor) -> Sequence[str | int | None] | None:
            cursor.execute(self._read, (job_id, columns.now()))
            return cursor.fetchone()

        row = self._database.run(fetch)
        return None if row is None else columns.to_record(dict(zip(columns.NAMES, row, strict=True)))

    def close(self) -> None:
        self._database.close()

    def create_tables(self) -> None:
        """Create the store's tables or bring them up to date. Safe to call from many processes at once."""
        self._database.in_transaction(lambda cursor: schema.upgrade(cursor, self._database.dialect))

    def sweep(self) -> int:
        """Delete all expired records, in batches; how many there were."""
        self._prepare()
        total = 0
        while True:
            deleted = self._execute(self._sweep, (columns.now(),))
            total += deleted
            if deleted < SWEEP_BATCH:
                return total

    def _prepare(self) -> None:
        if not self._ready:
            dialect = self._database.dialect
            if self._database.run(lambda cursor: schema.version(cursor, dialect)) < len(schema.STEPS):
                self.create_tables()
            self._ready = True

    def _sweep_if_due(self) -> None:
        elapsed = time.monotonic() - self._swept
        if elapsed >= SWEEP_EVERY.total_seconds():
            self._swept = time.monotonic()
            self._execute(self._sweep, (columns.now(),))

    def _execute(self, statement: str, parameters: Sequence[object]) -> int:
        def execute(cursor: Cursor) -> int:
            cursor.execute(statement, parameters)
            return cursor.rowcount

        return self._database.run(execute)


def _on_conflict(kind: type[Transition]) -> str:
    rule = kind.rule
    attempts = "excluded.attempts"
    if kind is not Started:
        attempts = "CASE WHEN excluded.attempts > r.attempts THEN excluded.attempts ELSE r.attempts END"
    errors = "r.errors || excluded.errors"
    if kind is not Failed:
        errors = f"CASE WHEN length(r.errors) > {columns.ERRORS_LIMIT} THEN r.errors ELSE {errors} END"
    guard = f"r.detail_status NOT IN ({_listed(rule.yields_to)})"
    if rule.newer_wins_in:
        newer = f"r.detail_status IN ({_listed(rule.newer_wins_in)}) AND r.attempts > excluded.attempts"
        guard = f"{guard} AND NOT ({newer})"
    return f"""
        ON CONFLICT (id) DO UPDATE SET
            detail_status = excluded.detail_status,
            attempts = {attempts},
            enqueued_at = COALESCE(r.enqueued_at, excluded.enqueued_at),
            started_at = COALESCE(r.started_at, excluded.started_at),
            last_attempted_at = COALESCE(excluded.last_attempted_at, r.last_attempted_at),
            finished_at = excluded.finished_at,
            run_after = {"excluded.run_after" if kind is Retrying else "COALESCE(r.run_after, excluded.run_after)"},
            value = excluded.value,
            errors = {errors},
            expires_at = excluded.expires_at
        WHERE ({guard}) OR r.expires_at <= ?
    """


def _listed(statuses: frozenset[DetailStatus]) -> str:
    return ", ".join(sorted(f"'{status.value}'" for status in statuses))


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
