"""Every durable store ends in the same record as the one in memory, whatever happens in whatever order."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbridge.store import (
    Cancelled,
    Expired,
    Failed,
    NewRecord,
    Record,
    Retrying,
    Skipped,
    Started,
    Store,
    Succeeded,
    TaskError,
    Transition,
    Withdrawn,
    open_store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC)
moments = st.integers(0, 3_600_000_000).map(lambda n: NOW + timedelta(microseconds=n))
attempts = st.integers(1, 3)
errors = st.builds(
    TaskError,
    attempt=attempts,
    at=moments,
    exception_class_path=st.just("builtins.ValueError"),
    message=st.text(max_size=20),
    traceback=st.text(max_size=20),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "\\ud" not in ascii(value))
few = st.integers(0, 2)
transitions = st.one_of(
    st.builds(Started, attempt=attempts, at=moments, crashes=few, redrives=few),
    st.builds(Retrying, error=errors, run_after=moments, crashes=few, redrives=few),
    st.builds(Succeeded, attempt=attempts, at=moments, value=values, crashes=few, redrives=few),
    st.builds(Failed, error=errors, crashes=few, redrives=few),
    st.builds(Expired, at=moments),
    st.builds(Skipped, at=moments, value=st.just("theirs") | st.just(msgspec.UNSET)),
    st.builds(Withdrawn, at=moments),
    st.builds(Cancelled, at=moments),
)
jobs = st.builds(
    NewRecord,
    id=st.just(""),
    task=st.sampled_from(["shop.receipt", "späť.%s?"]),
    queue_name=st.just("default"),
    backend=st.just("default"),
    enqueued_at=st.none() | moments,
    run_after=st.none() | moments,
)
lives = st.lists(st.tuples(jobs, st.none() | transitions, st.booleans()), min_size=1, max_size=8)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def durable(durable_url: str) -> Iterator[Store]:
    opened = open_store(durable_url)
    yield opened
    opened.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives)
def test_the_same_life_leaves_the_same_record(
    durable: Store, life: list[tuple[NewRecord, Transition | None, bool]]
) -> None:
    memory = open_store("memory://")
    job_id = uuid.uuid4().hex
    for each, transition, has_key in life:
        job = msgspec.structs.replace(each, id=job_id)
        written = []
        for store in (durable, memory):
            if transition is None:
                store.queued([job])
            else:
                written.append(_with_key(store, job, transition) if has_key else store.record(job, transition))
        assert len(set(written)) < 2
        assert _timeless(durable.read(job_id)) == _timeless(memory.read(job_id))


def _with_key(store: Store, job: NewRecord, transition: Transition) -> bool:
    name = uuid.uuid4().hex
    if isinstance(transition, Started):
        return store.start_with_key(name, job=job, started=transition, holder="a", span=MINUTE, waits="none")[1]
    key = store.claim_key(name, job=job.id, holder="a", span=MINUTE, waits="none")
    is_ours, is_written = store.end_with_key(key, job=job, ended=transition, kept=MINUTE)
    assert is_ours
    return is_written


def _timeless(record: Record | None) -> Record | None:
    # The end of a queued record's life counts from the clock at its writing, which the two stores read one by one.
    return record and msgspec.structs.replace(record, expires_at=NOW)
