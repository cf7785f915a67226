"""Cancellations in SQL, by the clock of the database's server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store.sql_tables import SQLTables, batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.database import Database

_MICROSECOND: Final = timedelta(microseconds=1)
_ASK: Final = """
    INSERT INTO taskbridge_cancellations AS r (id, until, terminates) VALUES (?, {now} + ?, ?)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until, terminates = r.terminates | excluded.terminates
"""
_IS_ASKED: Final = "SELECT 1 FROM taskbridge_cancellations WHERE id = ? AND until > {now}"
_TO_TERMINATE: Final = "SELECT id FROM taskbridge_cancellations WHERE terminates = 1 AND until > {now} AND id IN "
_FORGET: Final = "DELETE FROM taskbridge_cancellations WHERE id = ?"


class SQLCancellationStore(SQLTables):
    """A `CancellationStore` in the table `taskbridge_cancellations`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ask_to_cancel, self._is_asked, self._to_terminate = (
            self._dialect.sql(statement.format(now=self._dialect.now)) for statement in (_ASK, _IS_ASKED, _TO_TERMINATE)
        )
        self._forget_cancellation = self._dialect.sql(_FORGET)

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta, terminate: bool = False) -> None:
        self._prepare()
        self._execute(self._ask_to_cancel, (job_id, kept // _MICROSECOND, int(terminate)))
        self._sweep_if_due()

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        self._prepare()
        return bool(self._fetch(self._is_asked, (job_id,)))

    def asked_to_terminate(self, ids: Sequence[str], /) -> frozenset[str]:
        self._prepare()
        found: set[str] = set()
        for batch in batches(ids):
            marks = self._dialect.sql(f"({', '.join('?' * len(batch))})")
            found |= {str(job_id) for (job_id,) in self._fetch(self._to_terminate + marks, batch)}
        return frozenset(found)

    def forget_cancellation(self, job_id: str, /) -> None:
        self._prepare()
        self._execute(self._forget_cancellation, (job_id,))
