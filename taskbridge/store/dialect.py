"""How the databases differ, as far as the store can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a statement must know of the database and of the driver that it is sent through."""

    name: Literal["sqlite", "postgresql"]
    placeholder: Literal["?", "%s"]
    table_exists: str
    """Gives a row if the table named by its one parameter exists."""
    lock_schema: str | None
    """Keeps other processes from changing the schema until the transaction ends."""
    skip_locked: str
    """Passes over rows that another process is deleting."""
    now: str
    """The time by the server's clock, in microseconds since 1970."""

    def sql(self, statement: str) -> str:
        """The statement, written with `?`, with the driver's own placeholders."""
        return statement if self.placeholder == "?" else statement.replace("?", self.placeholder)

    def through_django(self) -> Dialect:
        """The same database behind a Django connection, whose placeholder is `%s` on every database."""
        return replace(self, placeholder="%s")


SQLITE: Final = Dialect(
    name="sqlite",
    placeholder="?",
    table_exists="SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
    lock_schema=None,
    skip_locked="",
    now="CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
)
"""The transaction that changes the schema must be begun with BEGIN IMMEDIATE, which is the lock."""

POSTGRESQL: Final = Dialect(
    name="postgresql",
    placeholder="%s",
    # Not to_regclass(): a session that has asked before the lock was free would be told what it remembers.
    table_exists="SELECT 1 FROM pg_class WHERE relname = ? AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)",
    lock_schema="SELECT pg_advisory_xact_lock(7386251903)",
    skip_locked="FOR UPDATE SKIP LOCKED",
    # Not now(), which is the moment at which the transaction began.
    now="CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
)
