"""Results in this process, for tests; and in plain words what the other stores do in their own languages."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from taskbridge.store import columns
from taskbridge.store.record import DetailStatus
from taskbridge.store.transition import Failed, Retrying, Started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.columns import Columns
    from taskbridge.store.record import NewRecord, Record
    from taskbridge.store.transition import Transition


class MemoryResultStore:
    """A `ResultStore` that dies with the process."""

    def __init__(self) -> None:
        self._rows: dict[str, Columns] = {}
        self._lock = threading.Lock()

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        with self._lock:
            for job in jobs:
                if self._live(job.id) is None:
                    self._rows[job.id] = columns.of_new(job)

    def record(self, job: NewRecord, transition: Transition, /) -> None:
        new = columns.of_transition(job, transition)
        with self._lock:
            was = self._live(job.id)
            if was is None:
                self._rows[job.id] = new
            elif not _stays(was, new, transition):
                self._rows[job.id] = _merged(was, new, transition)

    def forget(self, ids: Sequence[str], /) -> None:
        with self._lock:
            for job_id in ids:
                self._rows.pop(job_id, None)

    def read(self, job_id: str, /) -> Record | None:
        with self._lock:
            row = self._live(job_id)
            return None if row is None else columns.to_record(row)

    def close(self) -> None:
        """Nothing: there is nothing to give back."""

    def _live(self, job_id: str) -> Columns | None:
        row = self._rows.get(job_id)
        return row if row is not None and _int(row["expires_at"]) > columns.now() else None


def _stays(was: Columns, new: Columns, transition: Transition) -> bool:
    rule = transition.rule
    status = DetailStatus(str(was["detail_status"]))
    is_older = _int(new["attempts"]) < _int(was["attempts"])
    return status in rule.yields_to or (is_older and status in rule.newer_wins_in)


def _merged(was: Columns, new: Columns, transition: Transition) -> Columns:
    errors = str(was["errors"])
    if isinstance(transition, Failed) or len(errors) <= columns.ERRORS_LIMIT:
        errors += str(new["errors"])
    attempts = _int(new["attempts"])
    return was | {
        "detail_status": new["detail_status"],
        "attempts": attempts if isinstance(transition, Started) else max(attempts, _int(was["attempts"])),
        "enqueued_at": _first(was["enqueued_at"], new["enqueued_at"]),
        "started_at": _first(was["started_at"], new["started_at"]),
        "last_attempted_at": _first(new["last_attempted_at"], was["last_attempted_at"]),
        "finished_at": new["finished_at"],
        "run_after": new["run_after"]
        if isinstance(transition, Retrying)
        else _first(was["run_after"], new["run_after"]),
        "value": new["value"],
        "errors": errors,
        "expires_at": new["expires_at"],
    }


def _first(one: str | int | None, other: str | int | None) -> str | int | None:
    return other if one is None else one


def _int(value: str | int | None) -> int:
    return int(value or 0)
