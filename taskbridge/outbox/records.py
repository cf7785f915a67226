"""What the relay records of jobs whose results are on: before they are sent, and when they are given up."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.errors import StoreUnavailable
from taskbridge.outbox.row import to_record
from taskbridge.router import router
from taskbridge.store.record import DetailStatus, TaskError
from taskbridge.store.transition import Failed, Withdrawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Message
    from taskbridge.outbox.table import Row
    from taskbridge.store import Store

logger = logging.getLogger("taskbridge.outbox")


def record_queued(alias: str, batch: Sequence[tuple[Row, Message]], /) -> None:
    """Record jobs that are about to be sent; one that was cancelled meanwhile is recorded as such.

    Raises:
        StoreUnavailable: the store does not answer, and the jobs may not be sent.
    """
    records = {row.id: to_record(row.record) for row, _ in batch if row.record is not None}
    store = router.store(alias) if records else None
    if store is None:
        return
    _forget_failures(store, [row for row, _ in batch if row.was_given_up and row.id in records])
    store.queued(list(records.values()))
    for row, message in batch:
        # It could be cancelled before it had a record; a worker looks at the record alone.
        is_cancellable = message.headers is not None and message.headers.cancellable
        if is_cancellable and row.id in records and store.is_asked_to_cancel(row.id):
            store.record(records[row.id], Withdrawn(at=datetime.now(UTC)))


def record_given_up(row: Row, error: BaseException, /) -> None:
    """Record a job as failed that nobody will send; its result is not waited for any more.

    Raises:
        StoreUnavailable: the store does not answer, and the job may not be given up yet.
    """
    if row.record is None:
        return
    try:
        record, store = to_record(row.record), router.store(row.backend)
        if store is not None:
            store.record(record, Failed(error=TaskError.of(error, attempt=0, at=datetime.now(UTC))))
    except StoreUnavailable:
        raise
    except Exception:
        logger.exception("The job %s is given up, and its result could not be recorded as failed.", row.id)


def _forget_failures(store: Store, rows: Sequence[Row]) -> None:
    """Of jobs that are tried once more; not of one that has run, which a relay sent before it died."""
    for row in rows:
        found = store.read(row.id)
        if found is not None and found.detail_status is DetailStatus.FAILED and found.attempts == 0:
            store.forget([row.id])
