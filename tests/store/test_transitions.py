"""Who may still write on the record of a job: never an execution that another has overtaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge.store import (
    DetailStatus,
    Expired,
    Failed,
    NewRecord,
    Retrying,
    Started,
    Succeeded,
)
from tests.store.records import T1, T2, T3, error, read

if TYPE_CHECKING:
    from taskbridge.store import ResultStore, Transition


LATE = [
    Started(attempt=9, at=T3),
    Retrying(error=error(9), run_after=T3),
    Failed(error=error(9)),
    Expired(at=T3),
    Succeeded(attempt=9, at=T3, value="second"),
]


@pytest.mark.parametrize("late", LATE, ids=lambda value: type(value).__name__)
def test_a_success_is_never_overwritten(store: ResultStore, job: NewRecord, late: Started) -> None:
    store.record(job, Succeeded(attempt=1, at=T1, value="first"))
    before = read(store, job)
    store.record(job, late)
    assert read(store, job) == before


def test_a_stalled_older_attempt_does_not_hide_the_newer_one(store: ResultStore, job: NewRecord) -> None:
    store.record(job, Started(attempt=2, at=T2))
    before = read(store, job)
    store.record(job, Started(attempt=1, at=T3))
    store.record(job, Retrying(error=error(1), run_after=T3))
    store.record(job, Failed(error=error(1)))
    assert read(store, job) == before


FIRST_WRITES = [
    Started(attempt=1, at=T3),
    Retrying(error=error(1), run_after=T3),
    Succeeded(attempt=1, at=T3, value="of a zombie"),
    Failed(error=error(1)),
]


@pytest.mark.parametrize("late", FIRST_WRITES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "replacement",
    [
        Started(attempt=1, crashes=1, at=T2),
        Started(attempt=2, at=T2),
        Started(attempt=1, redrives=1, at=T2),
        Retrying(error=error(1), crashes=1, run_after=T3),
    ],
    ids=["after a crash", "after a retry", "after a redrive", "and is retried"],
)
def test_a_zombie_writes_nothing_after_its_replacement_has_begun(
    store: ResultStore, job: NewRecord, replacement: Transition, late: Transition
) -> None:
    assert store.record(job, Started(attempt=1, at=T1))
    assert store.record(job, replacement)
    before = read(store, job)
    assert not store.record(job, late)
    assert read(store, job) == before


def test_a_zombie_does_not_turn_the_failure_of_its_replacement_into_a_success(
    store: ResultStore, job: NewRecord
) -> None:
    store.record(job, Started(attempt=1, at=T1))
    assert store.record(job, Failed(error=error(1), crashes=1))
    assert not store.record(job, Succeeded(attempt=1, at=T3, value="of a zombie"))
    assert read(store, job).detail_status is DetailStatus.FAILED


def test_the_replacement_of_a_zombie_writes_what_it_will(store: ResultStore, job: NewRecord) -> None:
    assert store.record(job, Started(attempt=3, at=T1))
    assert store.record(job, Started(attempt=3, crashes=1, at=T2))
    assert store.record(job, Failed(error=error(3), crashes=1))
    assert store.record(job, Started(attempt=1, redrives=1, at=T3))
    assert not store.record(job, Succeeded(attempt=3, crashes=1, at=T3, value=0))
    assert store.record(job, Succeeded(attempt=1, redrives=1, at=T3, value=1))
    assert read(store, job).value == 1


def test_a_success_after_a_failure_counts(store: ResultStore, job: NewRecord) -> None:
    store.record(job, Failed(error=error(3)))
    store.record(job, Succeeded(attempt=3, at=T3, value=7))
    assert read(store, job).value == 7


def test_a_failed_job_that_is_driven_again_starts_from_one(store: ResultStore, job: NewRecord) -> None:
    store.record(job, Failed(error=error(3)))
    store.record(job, Started(attempt=1, at=T3))
    record = read(store, job)
    assert (record.detail_status, record.attempts, record.finished_at) == (DetailStatus.RUNNING, 1, None)
    assert record.errors == (error(3),)


def test_a_repeated_transition_changes_nothing(store: ResultStore, job: NewRecord) -> None:
    for transition in (Started(attempt=1, at=T1), Retrying(error=error(1), run_after=T3), Failed(error=error(2))):
        store.record(job, transition)
        before = read(store, job)
        store.record(job, transition)
        assert read(store, job) == before
