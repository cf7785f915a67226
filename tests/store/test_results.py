"""What every store of results does, whatever it stands on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from taskbridge.store import (
    DetailStatus,
    Expired,
    Failed,
    NewRecord,
    ResultStatus,
    Retrying,
    Started,
    Succeeded,
)
from taskbridge.store.columns import MESSAGE_LIMIT, TRACEBACK_LIMIT
from tests.store.records import T0, T1, T2, T3, error, read

if TYPE_CHECKING:
    from taskbridge.store import ResultStore


def test_a_queued_job_is_read_back_as_it_was_recorded(store: ResultStore, job: NewRecord) -> None:
    store.queued([msgspec.structs.replace(job, enqueued_at=T0)])
    record = read(store, job)
    assert (record.id, record.task, record.queue_name, record.backend) == (
        job.id,
        "shop.tasks.receipt",
        "default",
        "default",
    )
    assert record.detail_status is DetailStatus.QUEUED
    assert record.status is ResultStatus.READY
    assert record.enqueued_at == T0
    assert record.enqueued_at.tzinfo is UTC
    assert (record.attempts, record.errors, record.value) == (0, (), msgspec.UNSET)
    assert record.started_at is record.last_attempted_at is record.finished_at is record.run_after is None


def test_a_job_for_later_is_scheduled(store: ResultStore, job: NewRecord) -> None:
    store.queued([msgspec.structs.replace(job, run_after=T3)])
    record = read(store, job)
    assert (record.detail_status, record.status, record.run_after) == (
        DetailStatus.SCHEDULED,
        ResultStatus.READY,
        T3,
    )


def test_a_time_in_another_zone_is_the_same_instant(store: ResultStore, job: NewRecord) -> None:
    east = T0.astimezone(datetime.strptime("+0545", "%z").tzinfo)
    store.queued([msgspec.structs.replace(job, enqueued_at=east)])
    assert read(store, job).enqueued_at == T0


def test_a_record_keeps_who_ran_the_job_and_with_what(store: ResultStore, job: NewRecord) -> None:
    called = msgspec.structs.replace(job, priority=-7, arguments='[[1,"\\u00e9"],{}]')
    store.queued([called])
    assert (read(store, job).priority, read(store, job).arguments, read(store, job).workers) == (
        -7,
        called.arguments,
        (),
    )
    first = Started(attempt=1, at=T1, worker="ann-1")
    store.record(job, first)
    store.record(job, first)
    store.record(job, Retrying(error=error(1, T2), run_after=T3))
    store.record(job, Started(attempt=2, at=T3, worker="ann-1"))
    store.record(job, Succeeded(attempt=2, at=T3, value=1))
    record = read(store, job)
    assert (record.workers, record.priority, record.arguments) == (("ann-1", "ann-1"), -7, called.arguments)


def test_a_worker_that_finds_no_record_tells_what_the_job_was_called_with(store: ResultStore, job: NewRecord) -> None:
    called = msgspec.structs.replace(job, priority=5, arguments="[[],{}]")
    store.record(called, Started(attempt=1, at=T1, worker="ann-1"))
    store.queued([called])
    record = read(store, job)
    assert (record.workers, record.priority, record.arguments) == (("ann-1",), 5, "[[],{}]")


def test_all_records_are_seen_page_by_page(store: ResultStore, job: NewRecord) -> None:
    jobs = [msgspec.structs.replace(job, id=f"{job.id}-{n}") for n in range(25)]
    store.queued(jobs)
    seen: list[str] = []
    page = store.page(limit=10)
    seen += [record.id for record in page.records]
    while page.after:
        page = store.page(limit=10, after=page.after)
        seen += [record.id for record in page.records]
    assert {each.id for each in jobs} <= set(seen)


def test_no_record_is_none(store: ResultStore) -> None:
    assert store.read("nobody") is None


def test_a_thousand_jobs_are_recorded_together(store: ResultStore, job: NewRecord) -> None:
    jobs = [msgspec.structs.replace(job, id=f"{job.id}-{n}") for n in range(2_345)]
    store.queued(jobs)
    assert all(read(store, each).detail_status is DetailStatus.QUEUED for each in jobs[::200])
    assert read(store, jobs[-1]).id == jobs[-1].id


def test_no_jobs_are_no_error(store: ResultStore) -> None:
    store.queued([])
    store.forget([])


def test_the_same_id_twice_in_one_batch_is_one_record(store: ResultStore, job: NewRecord) -> None:
    store.queued([job, job])
    assert read(store, job).detail_status is DetailStatus.QUEUED


def test_enqueuing_an_id_again_does_not_reset_a_finished_record(store: ResultStore, job: NewRecord) -> None:
    store.queued([job])
    store.record(job, Succeeded(attempt=1, at=T1, value=42))
    before = read(store, job)
    store.queued([msgspec.structs.replace(job, task="another")])
    assert read(store, job) == before


def test_the_whole_life_of_a_job_that_succeeds_at_its_second_attempt(store: ResultStore, job: NewRecord) -> None:
    store.queued([msgspec.structs.replace(job, enqueued_at=T0)])
    store.record(job, Started(attempt=1, at=T1))
    running = read(store, job)
    assert (running.detail_status, running.status, running.attempts) == (
        DetailStatus.RUNNING,
        ResultStatus.RUNNING,
        1,
    )
    store.record(job, Retrying(error=error(1, T2), run_after=T3))
    retrying = read(store, job)
    assert (retrying.detail_status, retrying.status, retrying.run_after) == (
        DetailStatus.RETRYING,
        ResultStatus.READY,
        T3,
    )
    assert retrying.errors == (error(1, T2),)
    store.record(job, Started(attempt=2, at=T3))
    end = T3 + timedelta(seconds=1)
    store.record(job, Succeeded(attempt=2, at=end, value={"paid": [1, 2.5, None]}))
    record = read(store, job)
    assert record.detail_status is DetailStatus.SUCCESSFUL
    assert record.status is ResultStatus.SUCCESSFUL
    assert record.is_finished
    assert record.value == {"paid": [1, 2.5, None]}
    assert (record.attempts, record.enqueued_at, record.started_at) == (2, T0, T1)
    assert (record.last_attempted_at, record.finished_at) == (T3, end)
    assert record.errors == (error(1, T2),)


@pytest.mark.parametrize(
    "value", [None, False, 0, "", [], {}, 2**70, -(2**53) - 1, 0.1, "nul \x00 \u2028 %s ? ' 😀", [[]], {"": {}}]
)
def test_a_value_comes_back_as_it_is(store: ResultStore, job: NewRecord, value: object) -> None:
    store.record(job, Succeeded(attempt=1, at=T1, value=value))
    found = read(store, job).value
    assert found == value
    assert type(found) is type(value)


def test_a_failure_keeps_every_attempts_error(store: ResultStore, job: NewRecord) -> None:
    store.queued([job])
    store.record(job, Retrying(error=error(1, T1, "first \x00 \u2028"), run_after=T2))
    store.record(job, Failed(error=error(2, T2, "last\n%s ? '")))
    record = read(store, job)
    assert (record.detail_status, record.status, record.is_finished) == (
        DetailStatus.FAILED,
        ResultStatus.FAILED,
        True,
    )
    assert record.errors == (error(1, T1, "first \x00 \u2028"), error(2, T2, "last\n%s ? '"))
    assert (record.attempts, record.finished_at, record.value) == (2, T2, msgspec.UNSET)


def test_an_expired_job_has_failed_in_djangos_terms(store: ResultStore, job: NewRecord) -> None:
    store.queued([job])
    store.record(job, Expired(at=T1))
    record = read(store, job)
    assert (record.detail_status, record.status, record.finished_at) == (
        DetailStatus.EXPIRED,
        ResultStatus.FAILED,
        T1,
    )


@pytest.mark.parametrize(
    ("transition", "status"),
    [
        (Started(attempt=1, at=T1), DetailStatus.RUNNING),
        (Retrying(error=error(), run_after=T3), DetailStatus.RETRYING),
        (Succeeded(attempt=1, at=T1, value=1), DetailStatus.SUCCESSFUL),
        (Failed(error=error()), DetailStatus.FAILED),
        (Expired(at=T1), DetailStatus.EXPIRED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_job_that_nobody_recorded_gets_its_record_from_the_worker(
    store: ResultStore, job: NewRecord, transition: Started, status: DetailStatus
) -> None:
    store.record(job, transition)
    record = read(store, job)
    assert (record.detail_status, record.task, record.backend) == (status, job.task, job.backend)


def test_forgotten_jobs_are_gone_and_others_stay(store: ResultStore, job: NewRecord) -> None:
    other = msgspec.structs.replace(job, id=f"{job.id}-other")
    store.queued([job, other])
    store.forget([job.id, "nobody"])
    assert store.read(job.id) is None
    assert read(store, other).id == other.id


def test_long_messages_and_tracebacks_are_cut_where_they_matter_least(store: ResultStore, job: NewRecord) -> None:
    store.record(job, Failed(error=error(message="m" * 10_000 + "END", traceback="START" + "t" * 30_000 + "END")))
    (kept,) = read(store, job).errors
    assert kept.message.startswith("m" * MESSAGE_LIMIT)
    assert kept.message.endswith("[... 6003 characters left out]")
    assert kept.traceback.endswith("END")
    assert kept.traceback.startswith("[14008 characters left out ...]t")
    assert len(kept.traceback) < TRACEBACK_LIMIT + 50


def test_a_lone_surrogate_in_an_error_is_kept_readable(store: ResultStore, job: NewRecord) -> None:
    store.record(job, Failed(error=error(message="bad \ud800")))
    assert read(store, job).errors[0].message == "bad \\ud800"


def test_the_errors_of_one_job_do_not_grow_for_ever(store: ResultStore, job: NewRecord) -> None:
    for attempt in range(1, 41):
        store.record(job, Retrying(error=error(attempt, traceback="t" * 15_000), run_after=T3))
    store.record(job, Failed(error=error(41)))
    record = read(store, job)
    assert record.attempts == 41
    assert len(record.errors) < 25
    assert record.errors[0].attempt == 1
    assert record.errors[-1] == error(41)


def test_an_unfinished_record_is_kept_for_seven_days_and_a_finished_one_for_its_ttl(
    store: ResultStore, job: NewRecord
) -> None:
    job = msgspec.structs.replace(job, ttl=timedelta(hours=1))
    store.queued([job])
    assert timedelta(days=6.9) < read(store, job).expires_at - T0 < timedelta(days=7.1)
    store.record(job, Retrying(error=error(), run_after=T0 + timedelta(days=30)))
    assert read(store, job).expires_at == T0 + timedelta(days=37)
    store.record(job, Succeeded(attempt=2, at=T1, value=1))
    assert read(store, job).expires_at == T1 + timedelta(hours=1)


def test_a_record_is_gone_when_its_ttl_has_passed(store: ResultStore, job: NewRecord) -> None:
    job = msgspec.structs.replace(job, ttl=timedelta(milliseconds=50))
    store.record(job, Succeeded(attempt=1, at=datetime.now(UTC), value=1))
    deadline = time.monotonic() + 30
    while store.read(job.id) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_id_may_be_used_again_after_its_record_has_expired(store: ResultStore, job: NewRecord) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    store.record(job, Succeeded(attempt=1, at=long_ago, value=1))
    assert store.read(job.id) is None
    store.queued([job])
    record = read(store, job)
    assert (record.detail_status, record.value, record.attempts) == (DetailStatus.QUEUED, msgspec.UNSET, 0)
