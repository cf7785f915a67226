"""A record as flat columns, alike in every store: text, and whole microseconds since 1970 for times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from taskbridge.store.record import UNFINISHED_TTL, DetailStatus, NewRecord, Record, TaskError
from taskbridge.store.transition import (
    Cancelled,
    Expired,
    Failed,
    Retrying,
    Skipped,
    Started,
    Succeeded,
    Transition,
    Withdrawn,
    execution_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Columns: TypeAlias = dict[str, str | int | None]

NAMES: Final = (
    "id",
    "task",
    "queue_name",
    "backend",
    "detail_status",
    "attempts",
    "enqueued_at",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "run_after",
    "value",
    "errors",
    "expires_at",
    "execution",
    "priority",
    "arguments",
    "workers",
)
MESSAGE_LIMIT: Final = 4_000
"""Characters of an error's message that are kept: its beginning."""
TRACEBACK_LIMIT: Final = 16_000
"""Characters of a traceback that are kept: its end."""
ERRORS_LIMIT: Final = 256_000
"""Characters of all errors of one job, beyond which only the last error of a job that fails for good is added."""
WORKERS_LIMIT: Final = 64_000
"""Characters of the ids of all workers of one job, beyond which no further one is added."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_errors = msgspec.json.Decoder(TaskError)


def microseconds(at: datetime) -> int:
    """Whole microseconds from 1970 to an aware datetime."""
    return (at - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The aware datetime of so many microseconds since 1970."""
    return _EPOCH + value * _MICROSECOND


def now() -> int:
    """The time, in microseconds since 1970."""
    return time.time_ns() // 1_000


def of_new(job: NewRecord) -> Columns:
    """The columns of a job that is about to be sent."""
    detail = DetailStatus.QUEUED if job.run_after is None else DetailStatus.SCHEDULED
    return _columns(job, detail, kept_from=now())


def of_transition(job: NewRecord, transition: Transition) -> Columns:
    """The columns that a transition would give to a job without a record; `errors` holds at most the newest error."""
    detail = transition.rule.becomes
    match transition:
        case Started(attempt=attempt, at=at, worker=worker):
            columns = _columns(job, detail, kept_from=microseconds(at))
            columns["attempts"] = attempt
            columns["started_at"] = columns["last_attempted_at"] = microseconds(at)
            columns["workers"] = f"{microseconds(at)} {worker}\n" if worker else ""
        case Retrying(error=error, run_after=run_after):
            columns = _columns(job, detail, kept_from=microseconds(run_after))
            columns["attempts"] = error.attempt
            columns["run_after"] = microseconds(run_after)
            columns["errors"] = _error_line(error)
        case Succeeded(attempt=attempt, at=at, value=value):
            columns = _columns(job, detail, ended=microseconds(at))
            columns["attempts"] = attempt
            columns["value"] = msgspec.json.encode(value).decode()
        case Failed(error=error):
            columns = _columns(job, detail, ended=microseconds(error.at))
            columns["attempts"] = error.attempt
            columns["errors"] = _error_line(error)
        case Expired(at=at) | Withdrawn(at=at) | Cancelled(at=at):
            return _columns(job, detail, ended=microseconds(at))
        case Skipped(at=at, value=value):
            columns = _columns(job, detail, ended=microseconds(at))
            if value is not msgspec.UNSET:
                columns["value"] = msgspec.json.encode(value).decode()
            return columns
    columns["execution"] = execution_number(
        attempt=int(columns["attempts"] or 0), crashes=transition.crashes, redrives=transition.redrives
    )
    return columns


def to_record(columns: Mapping[str, str | int | None]) -> Record:
    """The record that these columns hold."""
    value = columns["value"]
    return Record(
        id=str(columns["id"]),
        task=str(columns["task"]),
        queue_name=str(columns["queue_name"]),
        backend=str(columns["backend"]),
        detail_status=DetailStatus(str(columns["detail_status"])),
        attempts=int(columns["attempts"] or 0),
        enqueued_at=_time(columns["enqueued_at"]),
        started_at=_time(columns["started_at"]),
        last_attempted_at=_time(columns["last_attempted_at"]),
        finished_at=_time(columns["finished_at"]),
        run_after=_time(columns["run_after"]),
        value=msgspec.UNSET if value is None else msgspec.json.decode(str(value)),
        errors=_error_list(str(columns["errors"] or "")),
        workers=_worker_list(str(columns["workers"] or "")),
        priority=int(columns["priority"] or 0),
        arguments=None if columns["arguments"] is None else str(columns["arguments"]),
        expires_at=moment(int(columns["expires_at"] or 0)),
    )


def _columns(job: NewRecord, detail: DetailStatus, *, kept_from: int = 0, ended: int | None = None) -> Columns:
    run_after = None if job.run_after is None else microseconds(job.run_after)
    ttl = job.ttl // _MICROSECOND
    if ended is None:
        expires_at = max(kept_from, run_after or 0) + max(ttl, UNFINISHED_TTL // _MICROSECOND)
    else:
        expires_at = ended + ttl
    return {
        "id": job.id,
        "task": job.task,
        "queue_name": job.queue_name,
        "backend": job.backend,
        "detail_status": detail.value,
        "attempts": 0,
        "enqueued_at": None if job.enqueued_at is None else microseconds(job.enqueued_at),
        "started_at": None,
        "last_attempted_at": None,
        "finished_at": ended,
        "run_after": run_after,
        "value": None,
        "errors": "",
        "expires_at": expires_at,
        "execution": 0,
        "priority": job.priority,
        "arguments": job.arguments,
        "workers": "",
    }


def _error_line(error: TaskError) -> str:
    return msgspec.json.encode(limited(error)).decode() + "\n"


def limited(error: TaskError) -> TaskError:
    """As much of an error as is kept: the beginning of its message and the end of its traceback."""
    text, trace = storable(error.message), storable(error.traceback)
    if len(text) > MESSAGE_LIMIT:
        text = f"{text[:MESSAGE_LIMIT]}[... {len(text) - MESSAGE_LIMIT} characters left out]"
    if len(trace) > TRACEBACK_LIMIT:
        trace = f"[{len(trace) - TRACEBACK_LIMIT} characters left out ...]{trace[-TRACEBACK_LIMIT:]}"
    return msgspec.structs.replace(error, message=text, traceback=trace)


def _error_list(lines: str) -> tuple[TaskError, ...]:
    # A write whose answer was lost is repeated: the same line twice is one error, since each carries its time.
    return tuple(_errors.decode(line) for line in dict.fromkeys(lines.split("\n")) if line)


def _worker_list(lines: str) -> tuple[str, ...]:
    # As above: the same line twice is one execution.
    return tuple(line.partition(" ")[2] for line in dict.fromkeys(lines.split("\n")) if line)


def storable(text: str) -> str:
    """The text without what has no form in UTF-8: a lone surrogate, which Python allows in a message."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _time(value: str | int | None) -> datetime | None:
    return None if value is None else moment(int(value))
