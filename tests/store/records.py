"""What tests of the records of jobs write and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from taskbridge.store import (
    NewRecord,
    TaskError,
)

if TYPE_CHECKING:
    from taskbridge.store import Record, ResultStore


# Times far enough in the future that nothing expires during a test, with a microsecond that must survive.
T0 = datetime.now(UTC).replace(microsecond=123_457)
T1, T2, T3 = (T0 + timedelta(seconds=n) for n in (1, 2, 3))


def error(attempt: int = 1, at: datetime = T2, message: str = "no", traceback: str = "Traceback: no") -> TaskError:
    return TaskError(
        attempt=attempt, at=at, exception_class_path="builtins.ValueError", message=message, traceback=traceback
    )


def read(store: ResultStore, job: NewRecord) -> Record:
    record = store.read(job.id)
    assert record is not None
    return record
