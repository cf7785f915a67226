"""The tables of the store: one numbered list of steps, which only grows.

A released step is never edited, and a step only adds: old and new code run beside each other while a deployment rolls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskbridge.store.database import Cursor
    from taskbridge.store.dialect import Dialect

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE taskbridge_results (
            id TEXT PRIMARY KEY,
            task TEXT NOT NULL,
            queue_name TEXT NOT NULL,
            backend TEXT NOT NULL,
            detail_status TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            enqueued_at BIGINT,
            started_at BIGINT,
            last_attempted_at BIGINT,
            finished_at BIGINT,
            run_after BIGINT,
            value TEXT,
            errors TEXT NOT NULL,
            expires_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_results_expires_at ON taskbridge_results (expires_at)",
    ),
    (
        "ALTER TABLE taskbridge_results ADD COLUMN execution BIGINT NOT NULL DEFAULT 0",
        "UPDATE taskbridge_results SET execution = CAST(attempts AS BIGINT) * 1000000",
        """
        CREATE TABLE taskbridge_leases (
            name TEXT PRIMARY KEY,
            holder TEXT NOT NULL,
            token BIGINT NOT NULL,
            until BIGINT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_leases_until ON taskbridge_leases (until)",
        """
        CREATE TABLE taskbridge_counters (
            name TEXT PRIMARY KEY,
            count BIGINT NOT NULL,
            until BIGINT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_counters_until ON taskbridge_counters (until)",
        """
        CREATE TABLE taskbridge_dead_letters (
            id TEXT PRIMARY KEY,
            task TEXT NOT NULL,
            queue_name TEXT NOT NULL,
            backend TEXT NOT NULL,
            reason TEXT NOT NULL,
            buried_at BIGINT NOT NULL,
            error TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            crashes INTEGER NOT NULL,
            message TEXT,
            payload TEXT,
            life INTEGER NOT NULL,
            redrives INTEGER NOT NULL,
            history TEXT NOT NULL,
            expires_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_dead_letters_buried_at ON taskbridge_dead_letters (buried_at, id)",
        "CREATE INDEX taskbridge_dead_letters_expires_at ON taskbridge_dead_letters (expires_at)",
    ),
    (
        "ALTER TABLE taskbridge_results ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE taskbridge_results ADD COLUMN arguments TEXT",
        "ALTER TABLE taskbridge_results ADD COLUMN workers TEXT NOT NULL DEFAULT ''",
    ),
    (
        """
        CREATE TABLE taskbridge_waiting (
            id TEXT PRIMARY KEY,
            backend TEXT NOT NULL,
            due_at BIGINT NOT NULL,
            message TEXT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_waiting_due_at ON taskbridge_waiting (backend, due_at)",
    ),
    (
        """
        CREATE TABLE taskbridge_keys (
            name TEXT PRIMARY KEY,
            job TEXT NOT NULL,
            holder TEXT NOT NULL,
            token BIGINT NOT NULL,
            until BIGINT NOT NULL,
            done_at BIGINT,
            skipped INTEGER NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_keys_until ON taskbridge_keys (until)",
    ),
    (
        """
        CREATE TABLE taskbridge_schedules (
            name TEXT PRIMARY KEY,
            timetable TEXT NOT NULL,
            done_until BIGINT NOT NULL,
            is_paused INTEGER NOT NULL DEFAULT 0,
            token BIGINT NOT NULL DEFAULT 0,
            claimed_until BIGINT NOT NULL DEFAULT 0,
            last_tick BIGINT,
            last_job TEXT
        )
        """,
    ),
    (
        "CREATE TABLE taskbridge_cancellations (id TEXT PRIMARY KEY, until BIGINT NOT NULL)",
        "CREATE INDEX taskbridge_cancellations_until ON taskbridge_cancellations (until)",
    ),
    ("ALTER TABLE taskbridge_cancellations ADD COLUMN terminates INTEGER NOT NULL DEFAULT 0",),
)
"""Step 1: results. Step 2: leases, counters, dead letters, and the execution that a result was written by. Step 3: who
ran a job, and for jobs of Django's API with what. Step 4: jobs that wait for their time. Step 5: idempotency keys. Step
6: how far the schedules of periodic tasks have come. Step 7: cancellations. Step 8: which of
them end a running attempt.

All times are microseconds since 1970, UTC. A payload is in base64.
"""

APPLICATION_STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE taskbridge_outbox (
            position {serial_key},
            id TEXT NOT NULL,
            backend TEXT NOT NULL,
            task TEXT NOT NULL,
            queue_name TEXT NOT NULL,
            ordering_key TEXT,
            message TEXT NOT NULL,
            record TEXT,
            written_at BIGINT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            retry_at BIGINT NOT NULL DEFAULT 0,
            error TEXT,
            dead_at BIGINT
        )
        """,
        """
        CREATE INDEX taskbridge_outbox_ordering_key ON taskbridge_outbox (ordering_key, position)
        WHERE ordering_key IS NOT NULL
        """,
        """
        CREATE TABLE taskbridge_outbox_relay (
            name TEXT PRIMARY KEY,
            holder TEXT NOT NULL,
            until BIGINT NOT NULL
        )
        """,
        """
        CREATE TABLE taskbridge_inbox (
            key TEXT PRIMARY KEY,
            task TEXT NOT NULL,
            job_id TEXT NOT NULL,
            written_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX taskbridge_inbox_written_at ON taskbridge_inbox (written_at)",
    ),
    (
        "DROP INDEX taskbridge_outbox_ordering_key",
        "CREATE INDEX taskbridge_outbox_refused ON taskbridge_outbox (retry_at) WHERE attempts > 0",
    ),
)
"""The tables that live in the application's own database, beside what its transactions change.

Step 1: the outbox, who relays it, and the inbox. Step 2: what the broker has refused is found by an index, not by key.
"""

VERSIONS: Final = "taskbridge_schema"
APPLICATION_VERSIONS: Final = "taskbridge_application_schema"
"""Which steps a database has had, of either list: both may be in one database."""

_CREATE_VERSIONS: Final = "CREATE TABLE IF NOT EXISTS {table} (version INTEGER PRIMARY KEY)"


def version(cursor: Cursor, dialect: Dialect, *, table: str = VERSIONS) -> int:
    """The number of the last step that this database has had; 0 for none."""
    cursor.execute(dialect.sql(dialect.table_exists), (table,))
    if cursor.fetchone() is None:
        return 0
    cursor.execute(f"SELECT max(version) FROM {table}")  # noqa: S608 - a constant
    row = cursor.fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def upgrade_application(cursor: Cursor, dialect: Dialect) -> None:
    """`upgrade` for the tables that live in the application's own database."""
    upgrade(cursor, dialect, steps=APPLICATION_STEPS, table=APPLICATION_VERSIONS)


def script(dialect: Dialect, *, steps: tuple[tuple[str, ...], ...], table: str, after: int = 0) -> list[str]:
    """The statements of the steps after a number, for a migration tool; the table of the versions is among them."""
    found = [_CREATE_VERSIONS.format(table=table)]
    for number, statements in enumerate(steps[after:], start=after + 1):
        found += [statement.replace("{serial_key}", dialect.serial_key) for statement in statements]
        found.append(f"INSERT INTO {table} (version) VALUES ({number})")  # noqa: S608 - constants only
    return found


def upgrade(
    cursor: Cursor, dialect: Dialect, *, steps: tuple[tuple[str, ...], ...] = STEPS, table: str = VERSIONS
) -> None:
    """Run the steps that are missing, inside the transaction that the caller has begun.

    Any number of processes may do so at once. A database that is ahead of this code is left as it is.
    """
    if dialect.lock_schema is not None:
        cursor.execute(dialect.lock_schema)
    for statement in script(dialect, steps=steps, table=table, after=version(cursor, dialect, table=table)):
        cursor.execute(statement)
