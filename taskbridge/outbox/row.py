"""A job as a row of the outbox, written on the caller's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import ConfigurationError
from taskbridge.message import Message
from taskbridge.portable import portable
from taskbridge.store import NewRecord
from taskbridge.store.columns import now, storable
from taskbridge.store.sql_tables import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.outbox.transaction import Transaction

_COLUMNS: Final = "id, backend, task, queue_name, ordering_key, message, record, written_at"
_INSERT: Final = f"INSERT INTO taskbridge_outbox ({_COLUMNS}) VALUES "  # noqa: S608 - constants only
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ONE: Final = _INSERT + _ROW

to_message: Final = msgspec.json.Decoder(Message).decode
to_record: Final = msgspec.json.Decoder(NewRecord).decode
_encode: Final = msgspec.json.Encoder().encode


def write(
    transaction: Transaction,
    messages: Sequence[Message],
    records: Sequence[NewRecord | None],
    /,
    *,
    backend: str,
    task: str,
    ordering_key: str | None,
) -> None:
    """Write the jobs down, in their order, in one statement for up to a thousand.

    `records` is what the relay will record of them before it sends them; None where results are off.

    Raises:
        ConfigurationError: the caller's database has no outbox; the message names the command that creates it.
    """
    written_at = now()
    name = storable(task)
    rows = [
        (
            message.id,
            backend,
            name,
            message.queue_name,
            ordering_key,
            _text(portable(message)),
            record and _text(record),
            written_at,
        )
        for message, record in zip(messages, records, strict=True)
    ]
    try:
        if len(rows) == 1:
            transaction.execute(_INSERT_ONE, rows[0])
            return
        for batch in batches(rows):
            transaction.execute(_INSERT + ", ".join([_ROW] * len(batch)), [value for row in batch for value in row])
    except Exception as error:
        refuse_missing_table(error, "taskbridge_outbox")
        raise


def _text(value: Message | NewRecord) -> str:
    return _encode(value).decode()


def refuse_missing_table(error: Exception, table: str, /) -> None:
    """Raise in our own words what a driver says of a table that was never created.

    Raises:
        ConfigurationError: that was it.
    """
    words = str(error)
    if table in words and ("no such table" in words or "does not exist" in words):
        raise ConfigurationError(
            f"The database of this connection has no table {table}. Create it by taskbridge outbox create, by "
            f"manage.py migrate with taskbridge.django in INSTALLED_APPS, or by a migration of your own with what "
            f"taskbridge outbox sql prints."
        ) from error
