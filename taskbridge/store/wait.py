"""Waiting for a job to end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from taskbridge.errors import ResultTimeout, ResultUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from taskbridge.store.record import Record


class Reads(Protocol):
    """Whatever can look up a record: a store, or the source of a result."""

    def read(self, job_id: str, /) -> Record | None: ...


def pauses(timeout: timedelta | None) -> Iterator[float]:
    """Seconds to sleep between two looks: from 2 ms growing to 100 ms, none beyond the timeout.

    The clock starts at the first pause.
    """
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    pause = 0.002
    while True:
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return
        yield min(pause, left)
        pause = min(pause * 1.5, 0.1)


def ended(job_id: str, record: Record | None, /) -> Record | None:
    """The record if its job has ended, None if it is still to be waited for.

    Raises `ResultUnavailable` if nothing is recorded: a job is recorded before it is sent, so nothing will come.
    """
    if record is None:
        raise ResultUnavailable(
            f"job {job_id}: nothing is recorded under this id, so there is nothing to wait for; the id is wrong, the "
            "record has expired, or the job was not enqueued by TaskBridge with result=True"
        )
    return record if record.is_finished else None


def timed_out(job_id: str, record: Record | None, timeout: timedelta | None, /) -> ResultTimeout:
    """The error that says how far the job had come."""
    seen = "UNKNOWN" if record is None else record.detail_status.value
    return ResultTimeout(f"job {job_id} did not end within {timeout}; it was last seen {seen}")


def wait(store: Reads, job_id: str, /, timeout: timedelta | None) -> Record:
    """The record of a job once it has ended, well or not; a timeout of None waits without end.

    Raises `ResultTimeout`, which names the id and the last status seen, and `ResultUnavailable`.
    """
    record = store.read(job_id)
    for pause in pauses(timeout):
        if (found := ended(job_id, record)) is not None:
            return found
        time.sleep(pause)
        record = store.read(job_id)
    if (found := ended(job_id, record)) is not None:
        return found
    raise timed_out(job_id, record, timeout)
