"""Keys and records of jobs in SQL: one statement that writes both, or a short transaction where there is none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store import columns
from taskbridge.store.sql_keys import CLAIM, COMPLETE, RELEASE, SQLKeyStore, answered_key
from taskbridge.store.sql_results import SQLResultStore, transition_row, transition_statement
from taskbridge.store.transition import TRANSITIONS, Started

if TYPE_CHECKING:
    from taskbridge.store.database import Cursor, Database
    from taskbridge.store.key import Key
    from taskbridge.store.record import NewRecord
    from taskbridge.store.transition import Transition

_MICROSECOND: Final = timedelta(microseconds=1)

_START: Final = f"""
    WITH claimed AS ({CLAIM}), recorded AS (
        {transition_statement(Started, source="FROM claimed WHERE holder = ? AND waits = 0")} RETURNING 1
    )
    SELECT claimed.*, (SELECT count(*) FROM recorded) FROM claimed
"""  # noqa: S608 - constants only


def _end(kind: type[Transition], ends: str) -> str:
    return f"""
        WITH ended AS ({ends} RETURNING 1), recorded AS (
            {transition_statement(kind, source="FROM ended")} RETURNING 1
        )
        SELECT (SELECT count(*) FROM ended), (SELECT count(*) FROM recorded)
    """  # noqa: S608 - constants only


class SQLKeyedResultStore(SQLResultStore, SQLKeyStore):
    """A `KeyedResultStore` in the tables of both."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        sql, now = self._dialect.sql, self._dialect.now
        self._start = sql(_START.format(now=now))
        self._end = {
            (kind, is_kept): sql(_end(kind, ends.format(now=now)))
            for kind in TRANSITIONS
            for is_kept, ends in ((True, COMPLETE), (False, RELEASE))
        }

    def start_with_key(
        self, name: str, /, *, job: NewRecord, started: Started, holder: str, span: timedelta, waits: str
    ) -> tuple[Key, bool]:
        self._prepare()
        claim = (name, job.id, holder, span // _MICROSECOND, waits)
        row = transition_row(job, started)

        def together(cursor: Cursor) -> tuple[Key, bool]:
            cursor.execute(self._start, [*claim, *row, holder, columns.now()])
            ((*answer, recorded),) = cursor.fetchall()
            return answered_key(name, answer), recorded > 0

        def one_after_the_other(cursor: Cursor) -> tuple[Key, bool]:
            cursor.execute(self._claim_key, claim)
            (answer,) = cursor.fetchall()
            key = answered_key(name, answer)
            if key.holder != holder or key.waits:
                return key, False
            cursor.execute(self._apply[Started], [*row, columns.now()])
            return key, cursor.rowcount > 0

        self._sweep_if_due()
        if self._dialect.writes_within:
            return self._database.run(together)
        return self._database.in_transaction(one_after_the_other)

    def end_with_key(
        self, key: Key, /, *, job: NewRecord, ended: Transition, kept: timedelta | None
    ) -> tuple[bool, bool]:
        self._prepare()
        of_key = (key.name, key.token) if kept is None else (kept // _MICROSECOND, key.name, key.token)
        row = transition_row(job, ended)

        def together(cursor: Cursor) -> tuple[bool, bool]:
            cursor.execute(self._end[type(ended), kept is not None], [*of_key, *row, columns.now()])
            ((is_ours, recorded),) = cursor.fetchall()
            return is_ours > 0, recorded > 0

        def one_after_the_other(cursor: Cursor) -> tuple[bool, bool]:
            cursor.execute(self._release_key if kept is None else self._complete_key, of_key)
            if cursor.rowcount == 0:
                return False, False
            cursor.execute(self._apply[type(ended)], [*row, columns.now()])
            return True, cursor.rowcount > 0

        if self._dialect.writes_within:
            return self._database.run(together)
        return self._database.in_transaction(one_after_the_other)
