"""What becomes of a key and of the record of its job in one write, whatever the store stands on."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from taskbridge.errors import StoreUnavailable
from taskbridge.store import DetailStatus, Key, NewRecord, Retrying, Started, Succeeded, TaskError, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.store import Record, Store, Transition

LONG = timedelta(seconds=60)
NOW = datetime.now(UTC)
ERROR = TaskError(attempt=1, at=NOW, exception_class_path="builtins.OSError", message="100 % ? %s", traceback="no")
STARTED = Started(attempt=1, at=NOW, worker="w")
SUCCEEDED = Succeeded(attempt=1, at=NOW, value={"as": "100 % ? %s"})


@pytest.fixture
def name() -> str:
    return f"shop.receipt:%s ? {uuid.uuid4().hex}"


def start(
    store: Store, name: str, job: NewRecord, holder: str, *, started: Started = STARTED, waits: str = "none"
) -> tuple[Key, bool]:
    return store.start_with_key(name, job=job, started=started, holder=holder, span=LONG, waits=waits)


def end(store: Store, key: Key, job: NewRecord, ended: Transition = SUCCEEDED) -> tuple[bool, bool]:
    return store.end_with_key(key, job=job, ended=ended, kept=LONG if isinstance(ended, Succeeded) else None)


def read(store: Store, job: NewRecord) -> Record:
    record = store.read(job.id)
    assert record is not None
    return record


def test_a_job_that_takes_its_key_has_started(store: Store, name: str, job: NewRecord) -> None:
    store.queued([msgspec.structs.replace(job, enqueued_at=NOW)])
    key, is_recorded = start(store, name, job, "a")
    assert is_recorded
    assert (key.name, key.job, key.holder, key.done_at, key.waits) == (name, job.id, "a", None, 0)
    assert timedelta(seconds=50) < key.left <= LONG
    record = read(store, job)
    assert (record.detail_status, record.attempts, record.workers) == (DetailStatus.RUNNING, 1, ("w",))
    assert (record.enqueued_at, record.started_at) == (NOW, NOW)


def test_a_job_that_finds_its_key_held_or_done_has_not_started(store: Store, name: str, job: NewRecord) -> None:
    key, _ = start(store, name, job, "a")
    other = msgspec.structs.replace(job, id=uuid.uuid4().hex)
    held, is_recorded = start(store, name, other, "b")
    assert (held.holder, held.job, is_recorded) == ("a", job.id, False)
    assert end(store, key, job) == (True, True)
    done, is_recorded = start(store, name, other, "b")
    assert (done.job, done.skipped, is_recorded) == (job.id, 1, False)
    assert done.done_at is not None
    assert store.read(other.id) is None


def test_a_job_that_takes_its_key_and_is_not_to_start_has_the_key(store: Store, name: str, job: NewRecord) -> None:
    assert store.record(job, SUCCEEDED)
    key, is_recorded = start(store, name, job, "a")
    assert (key.holder, is_recorded) == ("a", False)
    assert read(store, job).detail_status is DetailStatus.SUCCESSFUL


def test_a_job_that_has_waited_is_told_so_and_not_recorded(store: Store, name: str, job: NewRecord) -> None:
    store.count(f"waits {name}", span=LONG)
    key, is_recorded = start(store, name, job, "a", started=Started(attempt=2, at=NOW), waits=f"waits {name}")
    assert (key.holder, key.waits, is_recorded) == ("a", 1, False)
    assert store.read(job.id) is None


def test_a_success_completes_the_key_and_may_be_repeated(store: Store, name: str, job: NewRecord) -> None:
    key, _ = start(store, name, job, "a")
    assert end(store, key, job) == (True, True)
    assert end(store, key, job) == (True, False), "whose answer was lost"
    record, done = read(store, job), store.read_key(name)
    assert (record.detail_status, record.value) == (DetailStatus.SUCCESSFUL, SUCCEEDED.value)
    assert done is not None
    assert (done.job, done.done_at is None) == (job.id, False)


def test_a_failure_gives_the_key_back(store: Store, name: str, job: NewRecord) -> None:
    key, _ = start(store, name, job, "a")
    assert end(store, key, job, Retrying(error=ERROR, run_after=NOW + LONG)) == (True, True)
    record = read(store, job)
    assert (record.detail_status, record.run_after) == (DetailStatus.RETRYING, NOW + LONG)
    assert record.errors == (ERROR,)
    assert store.read_key(name) is None
    again, is_recorded = start(store, name, job, "b", started=Started(attempt=2, at=NOW))
    assert (again.holder, again.token > key.token, is_recorded) == ("b", True, True)


@pytest.mark.parametrize("ended", [SUCCEEDED, Retrying(error=ERROR, run_after=NOW)], ids=["success", "failure"])
def test_who_has_lost_the_key_records_nothing(store: Store, name: str, job: NewRecord, ended: Transition) -> None:
    lost, _ = start(store, name, job, "a")
    assert store.release_key(lost)
    held, _ = start(store, name, job, "b", started=Started(attempt=2, at=NOW))
    assert end(store, lost, job, ended) == (False, False)
    record, now = read(store, job), store.read_key(name)
    assert (record.detail_status, record.attempts) == (DetailStatus.RUNNING, 2)
    assert now is not None
    assert (now.holder, now.token, now.done_at) == ("b", held.token, None)
    assert not store.release_key(lost)


def test_a_record_that_is_final_hinders_no_completion(store: Store, name: str, job: NewRecord) -> None:
    key, _ = start(store, name, job, "a")
    assert store.record(job, Succeeded(attempt=1, at=NOW, value="of another execution"))
    assert end(store, key, job) == (True, False)
    done = store.read_key(name)
    assert done is not None
    assert done.done_at is not None
    assert not store.release_key(key)


def test_in_a_file_both_are_written_or_neither(tmp_path: Path, job: NewRecord) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    key, _ = start(store, "held", job, "a")
    with closing(sqlite3.connect(tmp_path / "store.db")) as own:
        own.execute("DROP TABLE taskbridge_results")
    with pytest.raises(StoreUnavailable, match="taskbridge_results"):
        end(store, key, job)
    held = store.read_key("held")
    assert held is not None
    assert held.done_at is None
    store.close()
