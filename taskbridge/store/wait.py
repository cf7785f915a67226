"""Waiting for a job to end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from taskbridge.errors import ResultTimeout, ResultUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from taskbridge.store.record import Record

_SHORTEST, _LONGEST, _GROWTH = 0.002, 0.1, 1.5


class Reads(Protocol):
    """Whatever can look up a record: a store, or the source of a result."""

    def read(self, job_id: str, /) -> Record | None: ...


def pauses(timeout: timedelta | None) -> Iterator[float]:
    """Seconds to sleep between two looks: from 2 ms growing to 100 ms, and none beyond the timeout.

    The clock starts when the first is asked for.
    """
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    pause = _SHORTEST
    while True:
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return
        yield min(pause, left)
        pause = min(pause * _GROWTH, _LONGEST)


def unrecorded(job_id: str, off_reason: str | None = None) -> ResultUnavailable:
    """The error for a job of which nothing is recorded."""
    reason = off_reason or (
        "nothing is recorded under this id. It is wrong, its record has expired, or it was enqueued without "
        "result=True; a job with results is recorded before it is sent, so there is nothing to wait for"
    )
    return ResultUnavailable(f"job {job_id}: {reason}")


def timed_out(record: Record, timeout: timedelta | None) -> ResultTimeout:
    """The error that says how far the job had come."""
    return ResultTimeout(
        f"job {record.id} of {record.task} did not end within {timeout}; it was last seen {record.detail_status.value}"
    )


def wait(store: Reads, job_id: str, /, timeout: timedelta | None) -> Record:
    """The record of a job once it has ended, well or not; a timeout of None waits without end.

    Raises:
        ResultTimeout: it has not ended in time; names the id and the last status seen.
        ResultUnavailable: nothing is recorded, so nothing will come.
    """
    waits = pauses(timeout)
    while True:
        record = store.read(job_id)
        if record is None:
            raise unrecorded(job_id)
        if record.is_finished:
            return record
        pause = next(waits, None)
        if pause is None:
            raise timed_out(record, timeout)
        time.sleep(pause)
