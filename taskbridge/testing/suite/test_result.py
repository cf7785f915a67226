"""`result`: what a job gave, in the task's own types."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from taskbridge.errors import JobFailed, ResultUnavailable
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import PATIENCE

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
