"""What every store's cancellations do, whatever it stands on."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.store import Cancelled, DetailStatus, NewRecord, Started, Withdrawn, open_store

if TYPE_CHECKING:
    from taskbridge.store import Store

LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=60)
NOW = datetime.now(UTC)


@pytest.fixture
def job_id() -> str:
    return f"job %s ? {uuid.uuid4().hex}"


def test_a_cancellation_is_remembered_for_its_time(store: Store, job_id: str) -> None:
    assert not store.is_asked_to_cancel(job_id)
    for _ in range(2):
        store.ask_to_cancel(job_id, kept=LONG)
    assert store.is_asked_to_cancel(job_id)
    assert not store.is_asked_to_cancel(f"{job_id} other")
    store.ask_to_cancel(job_id, kept=SHORT)
    time.sleep(2 * SHORT.total_seconds())
    assert not store.is_asked_to_cancel(job_id)


def test_a_cancellation_is_forgotten_by_command(store: Store, job_id: str) -> None:
    store.ask_to_cancel(job_id, kept=LONG)
    store.forget_cancellation(job_id)
    store.forget_cancellation(job_id)
    assert not store.is_asked_to_cancel(job_id)


def test_only_what_is_to_be_terminated_is_and_who_asks_for_less_takes_nothing_back(store: Store, job_id: str) -> None:
    many = [f"{job_id} {number}" for number in range(2500)]
    store.ask_to_cancel(job_id, kept=LONG)
    assert store.asked_to_terminate([]) == store.asked_to_terminate([job_id]) == frozenset()
    store.ask_to_cancel(many[1234], kept=LONG, terminate=True)
    store.ask_to_cancel(many[1234], kept=LONG)
    assert store.is_asked_to_cancel(many[1234])
    assert store.asked_to_terminate([job_id, *many]) == {many[1234]}
    store.forget_cancellation(many[1234])
    assert store.asked_to_terminate(many) == frozenset()
    store.ask_to_cancel(job_id, kept=SHORT, terminate=True)
    time.sleep(2 * SHORT.total_seconds())
    assert store.asked_to_terminate([job_id]) == frozenset()


def test_a_cancellation_outlives_who_asked_for_it(durable_url: str, job_id: str) -> None:
    first = open_store(durable_url)
    first.ask_to_cancel(job_id, kept=LONG)
    first.close()
    second = open_store(durable_url)
    assert second.is_asked_to_cancel(job_id)
    second.close()


def test_of_a_cancellation_and_a_start_one_wins(store: Store, job: NewRecord) -> None:
    store.queued([job])
    assert store.record(job, Withdrawn(at=NOW))
    assert not store.record(job, Withdrawn(at=NOW))
    assert not store.record(job, Started(attempt=1, at=NOW))
    started = NewRecord(id=f"{job.id} started", task=job.task, queue_name="default", backend="default")
    assert store.record(started, Started(attempt=1, at=NOW))
    assert not store.record(started, Withdrawn(at=NOW))
    assert store.record(started, Cancelled(at=NOW))
    states = [record and record.detail_status for record in map(store.read, (job.id, started.id))]
    assert states == [DetailStatus.CANCELLED] * 2
