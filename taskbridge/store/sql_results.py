"""Results in SQL: one guarded statement for each kind of write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskbridge.store import columns
from taskbridge.store.record import Page
from taskbridge.store.sql_tables import SQLTables, batches
from taskbridge.store.transition import TRANSITIONS, Failed, Retrying, Started, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.database import Database
    from taskbridge.store.record import DetailStatus, NewRecord, Record

_TABLE: Final = "taskbridge_results"
_MARKS: Final = ", ".join("?" * len(columns.NAMES))
_INSERT: Final = f"INSERT INTO {_TABLE} AS r ({', '.join(columns.NAMES)})"
_READ: Final = f"SELECT {', '.join(columns.NAMES)} FROM {_TABLE} WHERE id = ? AND expires_at > ?"  # noqa: S608 - as above
_PAGE: Final = (
    f"SELECT {', '.join(columns.NAMES)} FROM {_TABLE} "  # noqa: S608 - as above
    "WHERE expires_at > ? AND (CAST(? AS TEXT) = '' OR id < ?) ORDER BY id DESC LIMIT ?"
)
_REPLACE_EXPIRED: Final = (
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in columns.NAMES if name != "id")
    + " WHERE r.expires_at <= ?"
)


class SQLResultStore(SQLTables):
    """A `ResultStore` in the table `taskbridge_results`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._read = self._dialect.sql(_READ)
        self._page = self._dialect.sql(_PAGE)
        self._apply = {kind: self._dialect.sql(transition_statement(kind)) for kind in TRANSITIONS}

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        self._prepare()
        # In the order of the ids, and each once: two processes that insert the same ones do not deadlock.
        rows = [columns.of_new(job) for _, job in sorted({job.id: job for job in jobs}.items())]
        for batch in batches(rows):
            rows_of_marks = ", ".join([f"({_MARKS})"] * len(batch))
            statement = self._dialect.sql(f"{_INSERT} VALUES {rows_of_marks} {_REPLACE_EXPIRED}")
            parameters = [row[name] for row in batch for name in columns.NAMES]
            self._execute(statement, [*parameters, columns.now()])

    def record(self, job: NewRecord, transition: Transition, /) -> bool:
        self._prepare()
        written = self._execute(self._apply[type(transition)], [*transition_row(job, transition), columns.now()])
        if transition.rule.becomes.is_finished:
            self._sweep_if_due()
        return written > 0

    def forget(self, ids: Sequence[str], /) -> None:
        self._prepare()
        for batch in batches(sorted(ids)):
            marks = ", ".join("?" * len(batch))
            statement = f"DELETE FROM {_TABLE} WHERE id IN ({marks})"  # noqa: S608 - constants and placeholders only
            self._execute(self._dialect.sql(statement), batch)

    def page(self, *, limit: int, after: str = "") -> Page:
        self._prepare()
        rows = self._fetch(self._page, (columns.now(), after, after, limit))
        records = tuple(columns.to_record(dict(zip(columns.NAMES, row, strict=True))) for row in rows)
        return Page(records=records, after=records[-1].id if len(records) == limit else "")

    def read(self, job_id: str, /) -> Record | None:
        self._prepare()
        rows = self._fetch(self._read, (job_id, columns.now()))
        return columns.to_record(dict(zip(columns.NAMES, rows[0], strict=True))) if rows else None


def transition_statement(kind: type[Transition], /, *, source: str = "") -> str:
    """Writes a transition, for each row of the source if there is one.

    Its parameters are those of `transition_row`, of the source, and the time.
    """
    row = f"SELECT {_MARKS} {source}" if source else f"VALUES ({_MARKS})"
    return f"{_INSERT} {row} {_on_conflict(kind)}"


def transition_row(job: NewRecord, transition: Transition, /) -> list[str | int | None]:
    """The row that the transition would give to a job without a record."""
    row = columns.of_transition(job, transition)
    return [row[name] for name in columns.NAMES]


def _on_conflict(kind: type[Transition]) -> str:
    rule = kind.rule
    attempts, execution = "excluded.attempts", "excluded.execution"
    if kind is not Started:
        attempts = "CASE WHEN excluded.attempts > r.attempts THEN excluded.attempts ELSE r.attempts END"
        execution = "CASE WHEN excluded.execution > r.execution THEN excluded.execution ELSE r.execution END"
    errors = "r.errors || excluded.errors"
    if kind is not Failed:
        errors = f"CASE WHEN length(r.errors) > {columns.ERRORS_LIMIT} THEN r.errors ELSE {errors} END"
    workers = (
        f"CASE WHEN length(r.workers) > {columns.WORKERS_LIMIT} THEN r.workers ELSE r.workers || excluded.workers END"
    )
    guard = f"r.detail_status NOT IN ({_listed(rule.yields_to)})"
    if rule.newer_wins_in:
        newer = f"r.detail_status IN ({_listed(rule.newer_wins_in)}) AND r.execution > excluded.execution"
        guard = f"{guard} AND NOT ({newer})"
    return f"""
        ON CONFLICT (id) DO UPDATE SET
            detail_status = excluded.detail_status,
            attempts = {attempts},
            execution = {execution},
            enqueued_at = COALESCE(r.enqueued_at, excluded.enqueued_at),
            started_at = COALESCE(r.started_at, excluded.started_at),
            last_attempted_at = COALESCE(excluded.last_attempted_at, r.last_attempted_at),
            finished_at = excluded.finished_at,
            run_after = {"excluded.run_after" if kind is Retrying else "COALESCE(r.run_after, excluded.run_after)"},
            value = excluded.value,
            errors = {errors},
            priority = CASE WHEN r.priority <> 0 THEN r.priority ELSE excluded.priority END,
            arguments = COALESCE(r.arguments, excluded.arguments),
            workers = {workers},
            expires_at = excluded.expires_at
        WHERE ({guard}) OR r.expires_at <= ?
    """


def _listed(statuses: frozenset[DetailStatus]) -> str:
    return ", ".join(sorted(f"'{status.value}'" for status in statuses))
