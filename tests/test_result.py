"""The handle that `enqueue` gives back, over a real store."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
import timeit
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_type

import pytest

from taskbridge.cancellation import Cancellation
from taskbridge.errors import JobFailed, ResultNotReady, ResultTimeout, ResultUnavailable
from taskbridge.result import DetailStatus, ResultSource, ResultStatus, TaskResult
from taskbridge.store import (
    Expired,
    Failed,
    NewRecord,
    Record,
    ResultStore,
    Retrying,
    Started,
    Succeeded,
    TaskError,
    Withdrawn,
    open_store,
    wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)
JOB = NewRecord(id="j1", task="shop.total", queue_name="default", backend="default", enqueued_at=NOW)
SHORT, LONG = timedelta(milliseconds=60), timedelta(seconds=10)


class Source:
    """A task that returns an int, recorded as its decimal digits."""

    alias = "default"

    def __init__(self, store: ResultStore, off_reason: str | None = None) -> None:
        self.store = store
        self.off_reason = off_reason
        self.reads = 0

    def cancel(self, job_id: str, /, *, terminate: bool = False) -> Cancellation:
        if terminate:
            return Cancellation.TERMINATING
        taken = self.store.record(JOB, Withdrawn(at=NOW))
        return Cancellation.WILL_NOT_START if taken and job_id == JOB.id else Cancellation.UNKNOWN

    def read(self, job_id: str, /) -> Record | None:
        self.reads += 1
        return self.store.read(job_id)

    def decode(self, record: Record, /) -> int:
        return int(str(record.value))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultStore]:
    opened = open_store(f"sqlite:///{tmp_path}/results.db")
    yield opened
    opened.close()


@pytest.fixture
def source(store: ResultStore) -> Source:
    return Source(store)


def raised() -> TaskError:
    prices: dict[str, int] = {}
    try:
        prices["sku"]
    except KeyError as error:
        return TaskError.of(error, attempt=2, at=NOW)
    raise AssertionError


def test_the_types_say_what_the_task_returns(source: Source, store: ResultStore) -> None:
    store.record(JOB, Succeeded(attempt=1, at=NOW, value="42"))
    typed: ResultSource[int] = source
    result = TaskResult("j1", typed)
    assert_type(result.wait(LONG), int)
    assert_type(result.return_value, int)
    assert result.wait(LONG) == 42


def test_a_handle_reads_nothing_until_asked_and_then_shows_one_moment(source: Source, store: ResultStore) -> None:
    store.queued([JOB])
    result = TaskResult("j1", source)
    assert (result.id, result.backend, repr(result)) == ("j1", "default", "<TaskResult j1 on default: not read>")
    assert source.reads == 0
    assert (result.status, result.enqueued_at, result.is_finished) == (ResultStatus.READY, NOW, False)
    store.record(JOB, Succeeded(attempt=1, at=NOW, value="1"))
    assert result.status is ResultStatus.READY
    assert source.reads == 1
    result.refresh()
    assert (result.status, result.finished_at, result.attempts, result.return_value) == (
        ResultStatus.SUCCESSFUL,
        NOW,
        1,
        1,
    )
    assert repr(result) == "<TaskResult j1 on default: SUCCESSFUL>"


def test_django_and_ours_agree_on_the_four_states() -> None:
    enums = pytest.importorskip("django_tasks.base")
    assert [each.value for each in ResultStatus] == list(enums.TaskResultStatus.values)
    assert ResultStatus("READY") == "READY" == str(ResultStatus.READY)


def test_django_and_ours_agree_on_the_names() -> None:
    base = pytest.importorskip("django_tasks.base")
    theirs = {name for name in dir(base.TaskResult) if not name.startswith("_")}
    # What is not kept: the arguments, the task object and the names of workers.
    assert theirs - {"task", "args", "kwargs", "worker_ids"} <= set(dir(TaskResult))
    errors = {name for name in dir(base.TaskError) if not name.startswith("_")} | {"exception_class_path", "traceback"}
    assert errors <= set(dir(TaskError))


def test_an_unknown_id_is_unknown_and_not_queued(source: Source) -> None:
    result = TaskResult("j1", source)
    assert result.detail_status is DetailStatus.UNKNOWN
    assert DetailStatus.UNKNOWN.status is None
    with pytest.raises(ResultUnavailable, match="job j1: nothing is recorded under this id"):
        _ = result.status
    with pytest.raises(ResultUnavailable):
        _ = result.is_finished


def test_waiting_for_an_unknown_id_ends_at_once(source: Source, store: ResultStore) -> None:
    with pytest.raises(ResultUnavailable):
        TaskResult("j1", source).wait(None)
    with pytest.raises(ResultUnavailable):
        wait(store, "j1", timeout=None)


def test_a_task_without_results_says_what_to_do(store: ResultStore) -> None:
    source = Source(store, "results are off for the task 'shop.total': declare it with @task(result=True)")
    result = TaskResult("j1", source)
    assert result.detail_status is DetailStatus.UNKNOWN
    with pytest.raises(ResultUnavailable, match=r"job j1: results are off .* declare it with @task\(result=True\)"):
        result.wait(None)


def test_a_value_that_is_not_there_yet_is_a_value_error(source: Source, store: ResultStore) -> None:
    store.queued([JOB])
    store.record(JOB, Started(attempt=1, at=NOW))
    with pytest.raises(ResultNotReady, match=r"job j1 of shop.total is RUNNING") as caught:
        _ = TaskResult("j1", source).return_value
    assert isinstance(caught.value, ValueError)


def test_a_failed_job_raises_with_the_tasks_own_error(source: Source, store: ResultStore) -> None:
    error = raised()
    store.record(JOB, Retrying(error=TaskError.of(OSError("first"), attempt=1, at=NOW), run_after=NOW))
    store.record(JOB, Failed(error=error))
    result = TaskResult("j1", source)
    with pytest.raises(
        JobFailed, match=r"job j1 of shop.total has failed at attempt 2: builtins.KeyError: 'sku'"
    ) as caught:
        result.wait(LONG)
    assert isinstance(caught.value, ValueError)
    assert caught.value.error == error
    assert 'prices["sku"]' in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).error == error
    with pytest.raises(JobFailed):
        _ = result.return_value
    assert [each.exception_class for each in result.errors] == [OSError, KeyError]


def test_the_class_of_an_error_is_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "this", raising=False)
    error = TaskError(attempt=1, at=NOW, exception_class_path="this.Error", message="", traceback="")
    with pytest.raises(ValueError, match=r"'this\.Error' is not an exception class of a module that is loaded"):
        _ = error.exception_class
    assert "this" not in sys.modules


def test_an_exception_whose_text_cannot_be_made_is_recorded_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    error = TaskError.of(Broken(), attempt=1, at=NOW)
    assert error.message == "<str() of this exception raised RuntimeError>"
    assert error.exception_class_path.endswith("Broken")


def test_an_expired_job_says_so(source: Source, store: ResultStore) -> None:
    store.record(JOB, Expired(at=NOW))
    with pytest.raises(JobFailed, match=r"job j1 of shop.total has expired") as caught:
        TaskResult("j1", source).wait(LONG)
    assert caught.value.error is None


def test_waiting_too_short_names_the_job_and_its_last_status(source: Source, store: ResultStore) -> None:
    store.queued([JOB])
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match=r"job j1 of shop.total did not end within 0:00:00.06.*last seen QUEUED"):
        TaskResult("j1", source).wait(SHORT)
    assert time.monotonic() - began >= SHORT.total_seconds()
    with pytest.raises(TimeoutError):
        wait(store, "j1", timeout=timedelta(0))


def test_waiting_ends_when_the_job_does(source: Source, store: ResultStore) -> None:
    store.queued([JOB])
    finisher = threading.Timer(0.15, lambda: store.record(JOB, Succeeded(attempt=1, at=NOW, value="7")))
    finisher.start()
    assert TaskResult("j1", source).wait(LONG) == 7
    finisher.join()
    assert wait(store, "j1", timeout=None).value == "7"
    # From 2 ms to 100 ms: about 11 looks in 150 ms; a busy loop would have looked thousands of times.
    assert source.reads < 30


def test_awaiting_leaves_the_event_loop_free(source: Source, store: ResultStore) -> None:
    store.queued([JOB])

    async def main() -> tuple[int, int]:
        result = TaskResult("j1", source)
        waiting = asyncio.create_task(result.await_(LONG))
        turns = 0
        while not waiting.done():
            await asyncio.sleep(0.005)
            turns += 1
            if turns == 10:
                store.record(JOB, Succeeded(attempt=1, at=NOW, value="7"))
        with pytest.raises(ResultUnavailable):
            await TaskResult("nobody", source).await_(LONG)
        store.queued([NewRecord(id="j2", task="t", queue_name="q", backend="default")])
        with pytest.raises(ResultTimeout):
            await TaskResult("j2", source).await_(SHORT)
        return waiting.result(), turns

    value, turns = asyncio.run(main())
    assert value == 7
    assert turns >= 10


def test_a_handle_costs_less_than_a_microsecond(source: Source) -> None:
    best = min(timeit.repeat(lambda: TaskResult("j1", source), number=10_000, repeat=5)) / 10_000
    assert best < 1e-6


def test_handles_of_the_same_job_are_equal(source: Source) -> None:
    assert TaskResult("j1", source) == TaskResult("j1", source)
    assert len({TaskResult("j1", source), TaskResult("j1", source), TaskResult("j2", source)}) == 2
    assert TaskResult("j1", source) != "j1"


def test_a_cancelled_job_says_so(source: Source, store: ResultStore) -> None:
    store.queued([JOB])
    result = TaskResult("j1", source)
    assert result.detail_status is DetailStatus.QUEUED
    assert result.cancel() is Cancellation.WILL_NOT_START
    assert (result.detail_status, result.status) == (DetailStatus.CANCELLED, ResultStatus.FAILED)
    with pytest.raises(JobFailed, match="was cancelled"):
        result.wait(LONG)
    assert asyncio.run(result.acancel()) is Cancellation.UNKNOWN
