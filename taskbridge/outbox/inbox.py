"""`context.once(connection)`: a row in the caller's own transaction says that a job's effect has happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import NoTransaction
from taskbridge.outbox import on_django
from taskbridge.outbox.kind import class_names, kind_of
from taskbridge.outbox.row import refuse_missing_table
from taskbridge.outbox.transaction import on
from taskbridge.store.columns import microseconds, storable
from taskbridge.store.dialect import POSTGRESQL

if TYPE_CHECKING:
    from taskbridge.outbox.transaction import Transaction

KEPT: Final = timedelta(days=90)
"""How long it is remembered that something has happened; the relay deletes what is older."""

_TABLE: Final = "taskbridge_inbox"
_INSERT: Final = (
    f"INSERT INTO {_TABLE} (key, task, job_id, written_at) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"  # noqa: S608 - a constant
)


def once(connection: object, /, *, task: str, job_id: str, key: str | None) -> bool:
    """Whether this is the first time: of the job, or of the key among the jobs of the task.

    Raises:
        NoTransaction: nothing is open on the connection, so that the row would be kept although the effect failed.
        ConfigurationError: the connection is of no known kind, or its database has no inbox.
    """
    return _write(on(connection), _row(task, job_id, key))


async def aonce(connection: Any, /, *, task: str, job_id: str, key: str | None) -> bool:
    """`once` on an event loop."""
    from taskbridge.outbox.asynchronous import run_on

    row = _row(task, job_id, key)
    if kind_of(connection) == "psycopg" and "AsyncConnection" in class_names(connection):
        if connection.autocommit and connection.info.transaction_status == 0:
            raise _nothing_open(connection)
        try:
            cursor = await connection.execute(POSTGRESQL.sql(_INSERT), row)
        except Exception as error:
            refuse_missing_table(error, _TABLE)
            raise
        return bool(cursor.rowcount == 1)
    return await run_on(connection, lambda transaction: _write(transaction, row))


def _row(task: str, job_id: str, key: str | None) -> tuple[object, ...]:
    name = job_id if key is None else storable(f"{task}:{key}")
    return (name, storable(task), job_id, microseconds(datetime.now(UTC)))


def _write(transaction: Transaction, row: tuple[object, ...]) -> bool:
    if not transaction.is_open:
        raise _nothing_open(transaction)
    try:
        return transaction.execute(_INSERT, row) == 1
    except Exception as error:
        refuse_missing_table(error, _TABLE)
        raise


def _nothing_open(where: object) -> NoTransaction:
    begin = "with transaction.atomic()" if isinstance(where, on_django.DjangoTransaction) else "BEGIN"
    return NoTransaction(
        f"context.once() was called outside of a transaction, where its row would be kept although the effect that "
        f"follows may fail. Open one first ({begin}), and change the data in it."
    )
