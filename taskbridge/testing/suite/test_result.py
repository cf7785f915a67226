"""`result`: what a job gave, in the task's own types."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from taskbridge.errors import JobFailed, ResultNotReady, ResultTimeout, ResultUnavailable
from taskbridge.testing.suite import slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import PATIENCE, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("result")
def test_a_result_arrives_in_its_type(stage: Stage) -> Iterator[None]:
    handle = tasks.add.enqueue(1, Decimal("2.50"))
    yield
    stage.finish(handle)
    assert handle.wait(timeout=PATIENCE) == Decimal("3.50")
    assert handle.status == "SUCCESSFUL"
    assert handle.attempts == 1


@behaviour("result")
def test_none_is_a_value(stage: Stage) -> Iterator[None]:
    handle = tasks.returns_nothing.enqueue()
    yield
    stage.finish(handle)
    assert handle.wait(timeout=PATIENCE) is None


@behaviour("result")
def test_a_failure_tells_type_message_and_traceback(stage: Stage) -> Iterator[None]:
    handle = tasks.raises.enqueue(stage.key())
    yield
    stage.finish(handle)
    with pytest.raises(JobFailed, match="asked to fail"):
        handle.wait(timeout=PATIENCE)
    (error,) = handle.errors
    assert error.exception_class_path == "builtins.ValueError"
    assert "in raises" in error.traceback


@behaviour("result")
def test_a_task_that_waits_for_a_job_is_refused_and_its_caller_is_not(stage: Stage) -> Iterator[None]:
    handle = tasks.add.enqueue(1, Decimal(1))
    keys = [stage.key(), stage.key()]
    tasks.waits.enqueue(keys[0], handle.id)
    tasks.awaits_result.enqueue(keys[1], handle.id)
    yield
    for key in keys:
        (event,) = stage.wait(key, "end")
        assert f"waits for job {handle.id}" in event.data["refusal"]
    stage.finish(handle)
    assert handle.wait(timeout=PATIENCE) == Decimal(2)


@behaviour("result")
def test_a_value_that_cannot_be_kept_fails_the_job(stage: Stage) -> Iterator[None]:
    handle = tasks.returns_unserialisable.enqueue()
    yield
    stage.finish(handle)
    assert handle.status == "FAILED"


@behaviour("result")
def test_a_job_that_waits_is_queued_and_not_unknown(stage: Stage) -> Iterator[None]:
    handle = tasks.add.enqueue(1, Decimal(1))
    assert handle.detail_status in ("QUEUED", "RUNNING", "SUCCESSFUL")
    yield
    stage.finish(handle)
    assert handle.started_at is not None
    assert handle.enqueued_at is not None
    assert handle.finished_at is not None
    assert handle.enqueued_at <= handle.started_at <= handle.finished_at


@behaviour("result")
def test_a_result_is_found_again_by_its_id(stage: Stage) -> Iterator[None]:
    handle = tasks.add.enqueue(20, Decimal(1))
    yield
    stage.finish(handle)
    assert tasks.add.get_result(handle.id).wait(timeout=timedelta(seconds=5)) == 21


@behaviour("result")
def test_a_result_is_found_from_an_event_loop(stage: Stage) -> Iterator[None]:
    handle = tasks.add.enqueue(2, Decimal("0.5"))
    yield
    stage.finish(handle)

    async def find() -> Decimal:
        found = await tasks.add.aget_result(handle.id)
        assert found == handle
        return await found.await_(timeout=timedelta(seconds=5))

    assert asyncio.run(find()) == Decimal("2.5")


@behaviour("result", "retry", "context")
def test_a_retried_job_tells_of_each_attempt(stage: Stage) -> Iterator[None]:
    handle = tasks.flaky_with_result.enqueue()
    yield
    stage.finish(handle)
    assert handle.return_value == handle.attempts == 3
    assert [(error.attempt, error.message) for error in handle.errors] == [(1, "attempt 1"), (2, "attempt 2")]
    assert handle.started_at is not None
    assert handle.last_attempted_at is not None
    assert handle.started_at < handle.last_attempted_at


@behaviour("result", "run_after")
def test_a_job_that_has_not_run_has_no_result_yet(stage: Stage) -> Iterator[None]:
    handle = tasks.add.using(run_after=timedelta(seconds=4)).enqueue(1, Decimal(1))
    assert handle.detail_status == "SCHEDULED"
    assert handle.run_after is not None
    with pytest.raises(ResultNotReady):
        _ = handle.return_value
    with pytest.raises(ResultTimeout):
        handle.wait(timeout=timedelta(seconds=0.1))
    yield
    stage.finish(handle)
    assert handle.return_value == 2


@behaviour("result", "timeout")
def test_a_job_that_outlives_its_limit_has_failed(stage: Stage) -> Iterator[None]:
    handle = slow.steps.using(result=True).enqueue(stage.key(), 10.0)
    yield
    stage.finish(handle)
    assert handle.status == "FAILED"
    assert "timeout" in handle.errors[-1].message


@behaviour("result", "expires")
def test_an_expired_job_says_so(stage: Stage) -> Iterator[None]:
    handle = tasks.add.using(expires=now() - timedelta(seconds=1)).enqueue(1, Decimal(1))
    yield
    stage.finish(handle)
    assert handle.detail_status == "EXPIRED"
    with pytest.raises(JobFailed, match="expired"):
        handle.wait(timeout=PATIENCE)


@behaviour("result")
def test_an_unknown_id_is_unknown(stage: Stage) -> Iterator[None]:
    assert tasks.add.get_result("01999999-0000-7000-8000-000000000000").detail_status == "UNKNOWN"
    assert stage.backend is not None
    yield


@behaviour()
def test_a_result_that_nobody_asked_for_is_not_kept(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.note.enqueue(key)
    yield
    stage.wait(key, "end")
    with pytest.raises(ResultUnavailable, match="result=True"):
        handle.wait(timeout=timedelta(seconds=1))
