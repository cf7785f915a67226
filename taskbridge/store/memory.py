"""All of the store in this process, for tests; and in plain words what the others do in their own languages."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from taskbridge.store import columns, letter_columns
from taskbridge.store.lease import Lease
from taskbridge.store.memory_cancellations import MemoryCancellationStore
from taskbridge.store.memory_keys import MemoryKeyStore
from taskbridge.store.memory_schedules import MemoryScheduleStore
from taskbridge.store.memory_waiting import MemoryWaitingStore
from taskbridge.store.record import DetailStatus, Page
from taskbridge.store.transition import Failed, Retrying, Started

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from taskbridge.store.columns import Columns
    from taskbridge.store.key import Key
    from taskbridge.store.letter import DeadLetter, Selection
    from taskbridge.store.record import NewRecord, Record
    from taskbridge.store.transition import Transition


class MemoryStore(MemoryWaitingStore, MemoryKeyStore, MemoryScheduleStore, MemoryCancellationStore):
    """A `Store` that dies with the process."""

    def __init__(self) -> None:
        MemoryWaitingStore.__init__(self)
        MemoryKeyStore.__init__(self, counted=self._counted_so_far)
        MemoryScheduleStore.__init__(self)
        MemoryCancellationStore.__init__(self)
        self._rows: dict[str, Columns] = {}
        self._leases: dict[str, Lease] = {}
        self._counters: dict[str, tuple[int, datetime]] = {}
        self._letters: dict[str, Columns] = {}
        self._lock = threading.Lock()

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        with self._lock:
            for job in jobs:
                if self._live(job.id) is None:
                    self._rows[job.id] = columns.of_new(job)

    def record(self, job: NewRecord, transition: Transition, /) -> bool:
        new = columns.of_transition(job, transition)
        with self._lock:
            was = self._live(job.id)
            if was is not None and _stays(was, new, transition):
                return False
            self._rows[job.id] = new if was is None else _merged(was, new, transition)
            return True

    def forget(self, ids: Sequence[str], /) -> None:
        with self._lock:
            for job_id in ids:
                self._rows.pop(job_id, None)

    def read(self, job_id: str, /) -> Record | None:
        with self._lock:
            row = self._live(job_id)
            return None if row is None else columns.to_record(row)

    def start_with_key(
        self, name: str, /, *, job: NewRecord, started: Started, holder: str, span: timedelta, waits: str
    ) -> tuple[Key, bool]:
        key = self.claim_key(name, job=job.id, holder=holder, span=span, waits=waits)
        return key, key.holder == holder and not key.waits and self.record(job, started)

    def end_with_key(
        self, key: Key, /, *, job: NewRecord, ended: Transition, kept: timedelta | None
    ) -> tuple[bool, bool]:
        is_ours = self.release_key(key) if kept is None else self.complete_key(key, kept=kept)
        return is_ours, is_ours and self.record(job, ended)

    def page(self, *, limit: int, after: str = "") -> Page:
        with self._lock:
            ids = sorted((job_id for job_id in self._rows if not after or job_id < after), reverse=True)
            rows = [row for job_id in ids if (row := self._live(job_id)) is not None][:limit]
        records = tuple(columns.to_record(row) for row in rows)
        return Page(records=records, after=records[-1].id if len(records) == limit else "")

    def close(self) -> None:
        """Nothing: there is nothing to give back."""

    def acquire(self, name: str, /, *, holder: str, span: timedelta) -> Lease | None:
        with self._lock:
            now = datetime.now(UTC)
            was = self._leases.get(name)
            is_held = was is not None and was.until > now
            if was is not None and is_held and was.holder != holder:
                return None
            token = 0 if was is None else was.token
            if not is_held:
                # From the clock, so that tokens rise although leases that ended long ago are forgotten.
                token = max(token + 1, columns.microseconds(now))
            self._leases[name] = Lease(name=name, holder=holder, token=token, until=now + span)
            return self._leases[name]

    def renew(self, leases: Sequence[Lease], /, *, span: timedelta) -> frozenset[str]:
        with self._lock:
            held = [lease for lease in leases if self._token(lease.name) == lease.token]
            for lease in held:
                self._leases[lease.name] = msgspec.structs.replace(lease, until=datetime.now(UTC) + span)
            return frozenset(lease.name for lease in held)

    def release(self, leases: Sequence[Lease], /) -> None:
        with self._lock:
            for lease in leases:
                if self._token(lease.name) == lease.token:
                    self._leases[lease.name] = msgspec.structs.replace(lease, until=datetime.now(UTC))

    def count(self, name: str, /, *, span: timedelta) -> int:
        with self._lock:
            now = datetime.now(UTC)
            count, until = self._counters.get(name, (0, now))
            self._counters[name] = (count + 1 if until > now else 1, now + span)
            return self._counters[name][0]

    def _counted_so_far(self, name: str) -> int:
        count, until = self._counters.get(name, (0, datetime.now(UTC)))
        return count if until > datetime.now(UTC) else 0

    def bury(self, letter: DeadLetter, /) -> None:
        new = letter_columns.of_letter(letter)
        with self._lock:
            was = self._letters.get(letter.id)
            if was is None:
                self._letters[letter.id] = new
                return
            is_raw = new["payload"] is not None
            if _int(new["life"]) < _int(was["life"]) and not is_raw:
                return
            history = str(was["history"])
            if len(history) <= letter_columns.HISTORY_LIMIT:
                history += str(new["history"])
            self._letters[letter.id] = new | {
                "life": was["redrives"] if is_raw else new["life"],
                "redrives": max(_int(was["redrives"]), _int(new["redrives"])),
                "history": history,
            }

    def letters(self, selection: Selection, /) -> Iterator[DeadLetter]:
        with self._lock:
            rows = list(self._letters.values())
        found = [letter_columns.to_letter(row) for row in rows if _int(row["expires_at"]) > columns.now()]
        return iter(sorted(filter(selection.fits, found), key=lambda letter: (letter.buried_at, letter.id)))

    def redriven(self, letter_id: str, /, *, number: int, at: datetime) -> None:
        with self._lock:
            row = self._letters.get(letter_id)
            if row is not None:
                row["redrives"] = max(_int(row["redrives"]), number)
                row["history"] = f"{row['history']}{letter_columns.redrive_line(number=number, at=at)}"

    def discard(self, ids: Sequence[str], /) -> int:
        with self._lock:
            return sum(self._letters.pop(letter_id, None) is not None for letter_id in ids)

    def _token(self, name: str) -> int | None:
        lease = self._leases.get(name)
        return None if lease is None else lease.token

    def _live(self, job_id: str) -> Columns | None:
        row = self._rows.get(job_id)
        return row if row is not None and _int(row["expires_at"]) > columns.now() else None


def _stays(was: Columns, new: Columns, transition: Transition) -> bool:
    rule = transition.rule
    status = DetailStatus(str(was["detail_status"]))
    is_older = _int(new["execution"]) < _int(was["execution"])
    return status in rule.yields_to or (is_older and status in rule.newer_wins_in)


def _merged(was: Columns, new: Columns, transition: Transition) -> Columns:
    errors = str(was["errors"])
    if isinstance(transition, Failed) or len(errors) <= columns.ERRORS_LIMIT:
        errors += str(new["errors"])
    workers = str(was["workers"])
    if len(workers) <= columns.WORKERS_LIMIT:
        workers += str(new["workers"])
    counted = {name: _int(new[name]) for name in ("attempts", "execution")}
    if not isinstance(transition, Started):
        counted = {name: max(count, _int(was[name])) for name, count in counted.items()}
    return was | {
        "detail_status": new["detail_status"],
        **counted,
        "enqueued_at": _first(was["enqueued_at"], new["enqueued_at"]),
        "started_at": _first(was["started_at"], new["started_at"]),
        "last_attempted_at": _first(new["last_attempted_at"], was["last_attempted_at"]),
        "finished_at": new["finished_at"],
        "run_after": new["run_after"]
        if isinstance(transition, Retrying)
        else _first(was["run_after"], new["run_after"]),
        "value": new["value"],
        "errors": errors,
        "priority": _int(was["priority"]) or new["priority"],
        "arguments": _first(was["arguments"], new["arguments"]),
        "workers": workers,
        "expires_at": new["expires_at"],
    }


def _first(one: str | int | None, other: str | int | None) -> str | int | None:
    return other if one is None else one


def _int(value: str | int | None) -> int:
    return int(value or 0)
