"""Jobs that wait for their time, in SQL: one table with one index, by the clock of the database's server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store import waiting
from taskbridge.store.columns import microseconds
from taskbridge.store.sql_tables import SQLTables, batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Message
    from taskbridge.store.database import Database
    from taskbridge.store.waiting import Claimed

_MICROSECOND: Final = timedelta(microseconds=1)
_TABLE: Final = "taskbridge_waiting"

_INSERT: Final = f"INSERT INTO {_TABLE} (id, backend, due_at, message) VALUES "  # noqa: S608 - constants only
_REPLACE: Final = """
    ON CONFLICT (id) DO UPDATE SET backend = excluded.backend, due_at = excluded.due_at, message = excluded.message
"""
# A claim puts off the job's time: one that is neither handed over nor given back comes up again by itself.
_CLAIM: Final = f"""
    UPDATE {_TABLE} SET due_at = {{now}} + ? WHERE id IN (
        SELECT id FROM {_TABLE} WHERE backend = ? AND due_at <= {{now}} ORDER BY due_at LIMIT ? {{skip_locked}}
    ) RETURNING id, message, due_at
"""  # noqa: S608 - as above
_FIRST: Final = f"SELECT min(due_at) - {{now}} FROM {_TABLE} WHERE backend = ?"  # noqa: S608 - as above


class SQLWaitingStore(SQLTables):
    """A `WaitingStore` in the table `taskbridge_waiting`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        names = {"now": self._dialect.now, "skip_locked": self._dialect.skip_locked}
        self._claim = self._dialect.sql(_CLAIM.format(**names))
        self._first = self._dialect.sql(_FIRST.format(**names))

    def hold(self, backend: str, messages: Sequence[Message], /) -> None:
        self._prepare()
        # In the order of the ids, and each once: two processes that insert the same ones do not deadlock.
        for batch in batches(message for _, message in sorted({each.id: each for each in messages}.items())):
            statement = _INSERT + ", ".join(["(?, ?, ?, ?)"] * len(batch)) + _REPLACE
            parameters: list[object] = []
            for message in batch:
                due = microseconds(message.run_after) if message.run_after is not None else 0
                parameters += (message.id, backend, due, waiting.to_text(message))
            self._execute(self._dialect.sql(statement), parameters)

    def until_due(self, backend: str, /) -> timedelta | None:
        self._prepare()
        ((left,),) = self._fetch(self._first, (backend,))
        return None if left is None else int(left) * _MICROSECOND

    def claim_due(self, backend: str, /, *, limit: int, span: timedelta) -> Claimed:
        self._prepare()
        rows = self._fetch(self._claim, (span // _MICROSECOND, backend, limit))
        return waiting.claimed(backend, [(str(job_id), text, int(token)) for job_id, text, token in rows])

    def handed_over(self, claimed: Claimed, /) -> None:
        self._settle(f"DELETE FROM {_TABLE} WHERE (id, due_at) IN ", claimed)  # noqa: S608 - as above

    def give_back(self, claimed: Claimed, /) -> None:
        self._settle(f"UPDATE {_TABLE} SET due_at = {self._dialect.now} WHERE (id, due_at) IN ", claimed)  # noqa: S608 - as above

    def withdraw(self, backend: str, ids: Sequence[str], /) -> int:
        self._prepare()
        deleted = 0
        for batch in batches(sorted(set(ids))):
            marks = ", ".join("?" * len(batch))
            statement = f"DELETE FROM {_TABLE} WHERE backend = ? AND id IN ({marks})"  # noqa: S608 - constants and placeholders only
            deleted += self._execute(self._dialect.sql(statement), [backend, *batch])
        return deleted

    def _settle(self, statement: str, claimed: Claimed) -> None:
        self._prepare()
        for batch in batches(sorted(claimed.tokens.items())):
            marks = ", ".join(["(?, ?)"] * len(batch))
            parameters = [part for pair in batch for part in pair]
            self._execute(self._dialect.sql(f"{statement}(VALUES {marks})"), parameters)
