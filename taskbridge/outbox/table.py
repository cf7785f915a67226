"""The outbox as its relay sees it: a table in one of the application's databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from taskbridge.outbox.inbox import KEPT
from taskbridge.store import schema
from taskbridge.store.columns import now, storable
from taskbridge.store.sql_tables import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.database import Cursor, Database

ERROR_LIMIT: Final = 2_000
"""Characters of an error that a row keeps."""

NEVER: Final = 1 << 62
"""The `retry_at` of what was given up."""

_MICROSECOND: Final = timedelta(microseconds=1)
_COLUMNS: Final = (
    "position, id, backend, task, queue_name, ordering_key, message, record, written_at, attempts, error, dead_at"
)
_HOLD: Final = """
    INSERT INTO taskbridge_outbox_relay AS r (name, holder, until) VALUES ('relay', ?, {now} + ?)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE r.until <= {now} OR r.holder = excluded.holder
    RETURNING holder
"""
_RELEASE: Final = "UPDATE taskbridge_outbox_relay SET until = 0 WHERE name = 'relay' AND holder = ?"
_RESTING_KEYS: Final = """
    SELECT DISTINCT ordering_key FROM taskbridge_outbox
    WHERE attempts > 0 AND retry_at > {now} AND retry_at < ? AND ordering_key IS NOT NULL
"""
# As one statement with the above PostgreSQL expects so much work that it compiles it first (JIT). And no condition here
# but this: of a table that nobody has analysed it believes any other to leave a few rows, and then sorts them all.
_WAITING: Final = f"""
    SELECT {_COLUMNS} FROM taskbridge_outbox
    WHERE retry_at <= {{now}} {{others}} ORDER BY position LIMIT ?
"""  # noqa: S608 - constants only
_REFUSED: Final = """
    UPDATE taskbridge_outbox SET attempts = ?, retry_at = {now} + ?, error = ? WHERE position = ?
"""
_GIVEN_UP: Final = """
    UPDATE taskbridge_outbox SET attempts = ?, retry_at = ?, error = ?, dead_at = {now} WHERE position = ?
"""
_COUNTS: Final = """
    SELECT backend, sum(CASE WHEN dead_at IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN dead_at IS NULL THEN 0 ELSE 1 END),
    sum(CASE WHEN dead_at IS NULL AND attempts > 0 THEN 1 ELSE 0 END),
    min(CASE WHEN dead_at IS NULL THEN written_at END)
    FROM taskbridge_outbox GROUP BY backend ORDER BY backend
"""
_SWEEP: Final = """
    DELETE FROM taskbridge_inbox WHERE key IN (SELECT key FROM taskbridge_inbox WHERE written_at < ? LIMIT 1000)
"""


class Row(Struct, frozen=True, gc=False):
    """A job in the outbox."""

    position: int
    id: str
    backend: str
    task: str
    queue_name: str
    ordering_key: str | None
    message: str
    record: str | None
    """What is recorded of the job before it is sent, where results are on."""
    written_at: int
    """Microseconds since 1970."""
    attempts: int
    """How often the broker has refused it."""
    error: str | None
    dead_at: int | None
    """When it was given up."""

    @property
    def was_given_up(self) -> bool:
        """True if somebody has let it wait again since: the error is kept, and the attempts begin anew."""
        return self.attempts == 0 and self.error is not None


class Count(Struct, frozen=True):
    """What waits for one backend."""

    backend: str
    waiting: int
    dead: int
    refused: int
    """Of those that wait: which the broker has refused before."""
    oldest: int | None
    """When the oldest of those that wait was written: microseconds since 1970."""


class OutboxTable:
    """Every method is one short transaction, unless the connection is in one of the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect = database.dialect

    def exists(self) -> bool:
        """Whether the database has an outbox."""
        return self.version() > 0

    def version(self) -> int:
        """The number of the last step of the application's tables that the database has had; 0 for none."""
        return self._database.run(self._version)

    def create(self) -> None:
        """Create the application's tables or bring them up to date. Safe to call from many processes at once."""
        if self.version() < len(schema.APPLICATION_STEPS):
            self._database.in_transaction(lambda cursor: schema.upgrade_application(cursor, self._dialect))

    def hold(self, holder: str, span: timedelta) -> bool:
        """Become, or stay for this span from now on, the one who relays; False if somebody else is."""
        return bool(self._fetch(_HOLD.format(now=self._dialect.now), (holder, span // _MICROSECOND)))

    def release(self, holder: str) -> None:
        """Let another relay at once."""
        self._execute(_RELEASE, (holder,))

    def waiting(self, limit: int, *, without: Sequence[str] = ()) -> list[Row]:
        """The oldest rows that may be sent now, in their order, but none for the backends `without`."""
        keys = [key for (key,) in self._fetch(_RESTING_KEYS.format(now=self._dialect.now), (NEVER,))]
        others = f"AND backend NOT IN ({_marks(without)})" if without else ""
        if keys:
            # Nothing is given out beside what was written under the same key and waits to be tried again.
            others += f" AND (ordering_key IS NULL OR ordering_key NOT IN ({_marks(keys)}))"
        statement = _WAITING.format(now=self._dialect.now, others=others)
        return [Row(*columns) for columns in self._fetch(statement, (*without, *keys, limit))]

    def delete(self, positions: Sequence[int]) -> None:
        """The broker has these."""
        for batch in batches(positions):
            self._execute(f"DELETE FROM taskbridge_outbox WHERE position IN ({_marks(batch)})", batch)  # noqa: S608 - placeholders only

    def refused(self, row: Row, error: BaseException, *, pause: timedelta) -> None:
        """The broker did not take this one; it is tried again after the pause."""
        statement = _REFUSED.format(now=self._dialect.now)
        self._execute(statement, (row.attempts + 1, pause // _MICROSECOND, _words(error), row.position))

    def give_up(self, row: Row, error: BaseException) -> None:
        """Keep this one, but do not try it again unless somebody asks for it."""
        statement = _GIVEN_UP.format(now=self._dialect.now)
        self._execute(statement, (row.attempts + 1, NEVER, _words(error), row.position))

    def dead(self, limit: int) -> list[Row]:
        """Rows that were given up, oldest first."""
        statement = f"SELECT {_COLUMNS} FROM taskbridge_outbox WHERE dead_at IS NOT NULL ORDER BY position LIMIT ?"  # noqa: S608 - a constant
        return [Row(*columns) for columns in self._fetch(statement, (limit,))]

    def rows(self, limit: int, *, after: int = 0) -> list[Row]:
        """The oldest rows behind this position, whatever has become of them, for somebody who looks."""
        statement = f"SELECT {_COLUMNS} FROM taskbridge_outbox WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608 - a constant
        return [Row(*columns) for columns in self._fetch(statement, (after, limit))]

    def retry(self, ids: Sequence[str] | None = None) -> int:
        """Let what was given up wait again: all of it, or the jobs of these ids; how many there were."""
        statement = "UPDATE taskbridge_outbox SET attempts = 0, retry_at = 0, dead_at = NULL WHERE dead_at IS NOT NULL"
        if ids is None:
            return self._execute(statement, ())
        return sum(self._execute(f"{statement} AND id = ?", (job_id,)) for job_id in ids)

    def counts(self) -> list[Count]:
        """What waits, by backend."""
        return [Count(*columns) for columns in self._fetch(_COUNTS, ())]

    def sweep(self) -> None:
        """Forget a portion of what happened longer ago than the inbox remembers."""
        self._execute(_SWEEP, (now() - KEPT // _MICROSECOND,))

    def close(self) -> None:
        self._database.close()

    def _version(self, cursor: Cursor) -> int:
        return schema.version(cursor, self._dialect, table=schema.APPLICATION_VERSIONS)

    def _execute(self, statement: str, parameters: Sequence[object]) -> int:
        def execute(cursor: Cursor) -> int:
            cursor.execute(self._dialect.sql(statement), parameters)
            return cursor.rowcount

        return self._database.run(execute)

    def _fetch(self, statement: str, parameters: Sequence[object]) -> Sequence[Sequence[Any]]:
        def fetch(cursor: Cursor) -> Sequence[Sequence[Any]]:
            cursor.execute(self._dialect.sql(statement), parameters)
            return cursor.fetchall()

        return self._database.run(fetch)


def _words(error: BaseException) -> str:
    return storable(f"{type(error).__name__}: {error}"[:ERROR_LIMIT]).replace("\x00", "\\x00")


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
