"""Idempotency keys in SQL: one statement each, by the clock of the database's server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store.columns import moment
from taskbridge.store.database import OwnDatabase
from taskbridge.store.key import Key
from taskbridge.store.sql_tables import SQLTables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.store.database import Database

_MICROSECOND: Final = timedelta(microseconds=1)

_ANSWER: Final = """
    job, holder, token, until - {now} AS left_over, done_at, skipped,
    COALESCE((SELECT c.count FROM taskbridge_counters c WHERE c.name = ? AND c.until > {now}), 0) AS waits
"""
# The token comes from the clock, so that it rises although keys that ended long ago are swept.
CLAIM: Final = f"""
    INSERT INTO taskbridge_keys AS r (name, job, holder, token, until, done_at, skipped)
    VALUES (?, ?, ?, {{now}}, {{now}} + ?, NULL, 0)
    ON CONFLICT (name) DO UPDATE SET
        job = CASE WHEN r.until > {{now}} THEN r.job ELSE excluded.job END,
        holder = CASE WHEN r.until > {{now}} THEN r.holder ELSE excluded.holder END,
        token = CASE
            WHEN r.until > {{now}} THEN r.token
            WHEN r.token >= excluded.token THEN r.token + 1
            ELSE excluded.token
        END,
        until = CASE WHEN r.until > {{now}} THEN r.until ELSE excluded.until END,
        done_at = CASE WHEN r.until > {{now}} THEN r.done_at ELSE NULL END,
        skipped = CASE
            WHEN r.until <= {{now}} THEN 0
            WHEN r.done_at IS NULL THEN r.skipped
            ELSE r.skipped + 1
        END
    RETURNING {_ANSWER}
"""  # noqa: S608 - constants only
COMPLETE: Final = """
    UPDATE taskbridge_keys SET until = {now} + ?, done_at = COALESCE(done_at, {now}) WHERE name = ? AND token = ?
"""
RELEASE: Final = """
    UPDATE taskbridge_keys SET until = {now} WHERE name = ? AND token = ? AND done_at IS NULL
"""
_READ: Final = f"SELECT {_ANSWER} FROM taskbridge_keys WHERE name = ? AND until > {{now}}"  # noqa: S608 - as above
_FORGET: Final = "UPDATE taskbridge_keys SET until = {now} WHERE name = ? AND done_at IS NOT NULL AND until > {now}"


class SQLKeyStore(SQLTables):
    """A `KeyStore` in the table `taskbridge_keys`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ahead = database if isinstance(database, OwnDatabase) else None
        self._claim_key, self._complete_key, self._release_key, self._read_key, self._forget_key = (
            self._dialect.sql(statement.format(now=self._dialect.now))
            for statement in (CLAIM, COMPLETE, RELEASE, _READ, _FORGET)
        )

    def claim_key(self, name: str, /, *, job: str, holder: str, span: timedelta, waits: str) -> Key:
        self._prepare()
        parameters = (name, job, holder, span // _MICROSECOND, waits)
        answers = None if self._ahead is None else self._ahead.ask(self._claim_key, parameters)
        (answer,) = self._fetch(self._claim_key, parameters) if answers is None else answers
        self._sweep_if_due()
        return answered_key(name, answer)

    def renew_keys(self, keys: Sequence[Key], /, *, span: timedelta) -> frozenset[str]:
        return self._prolonged("taskbridge_keys", keys, span, only="done_at IS NULL")

    def complete_key(self, key: Key, /, *, kept: timedelta) -> bool:
        self._prepare()
        return self._execute(self._complete_key, (kept // _MICROSECOND, key.name, key.token)) > 0

    def send_completion(self, key: Key, /, *, kept: timedelta, refused: Callable[[], object]) -> bool:
        parameters = (kept // _MICROSECOND, key.name, key.token)
        return self._ahead is not None and self._ahead.send(self._complete_key, parameters, refused=refused)

    def settle(self) -> None:
        if self._ahead is not None:
            self._ahead.settle()

    def release_key(self, key: Key, /) -> bool:
        self._prepare()
        return self._execute(self._release_key, (key.name, key.token)) > 0

    def read_key(self, name: str, /) -> Key | None:
        self._prepare()
        found = self._fetch(self._read_key, ("", name))
        return answered_key(name, found[0]) if found else None

    def forget_key(self, name: str, /) -> bool:
        self._prepare()
        return self._execute(self._forget_key, (name,)) > 0


def answered_key(name: str, answer: Sequence[object], /) -> Key:
    """What the claim of the key of this name was answered."""
    job, holder, token, left, done_at, skipped, waits = answer
    return Key(
        name=name,
        job=str(job),
        holder=str(holder),
        token=int(str(token)),
        left=timedelta(microseconds=int(str(left))),
        done_at=None if done_at is None else moment(int(str(done_at))),
        skipped=int(str(skipped)),
        waits=int(str(waits)),
    )
