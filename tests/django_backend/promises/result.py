"""`TaskResult` and `TaskError`: what is known of a job."""

from __future__ import annotations

import importlib
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from taskbridge.django import framework
from tests.django_backend.worker import FAILED, READY, SUCCESSFUL, Finish, Until

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def test_a_job_that_succeeds_has_its_times_its_value_and_its_worker(finish: Finish) -> None:
    result = finish(tasks.double.enqueue(21))
    assert (result.status, result.return_value, result.is_finished, result.errors) == (SUCCESSFUL, 42, True, [])
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at
    assert result.attempts == len(result.worker_ids) == 1
    assert all(isinstance(worker, str) and 0 < len(worker) < 64 for worker in result.worker_ids)


def test_an_id_is_a_string_of_less_than_64_characters() -> None:
    result = tasks.double.enqueue(1)
    assert isinstance(result.id, str)
    assert 0 < len(result.id) < 64


def test_a_job_that_fails_has_an_error_of_each_execution(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(9))
    assert (result.status, result.is_finished, result.attempts) == (FAILED, True, 3)
    assert [error.exception_class for error in result.errors] == [ValueError] * 3
    assert result.started_at < result.last_attempted_at <= result.finished_at
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_a_failed_job_that_is_to_run_again_is_ready_meanwhile(until: Until) -> None:
    result = until(tasks.patient.enqueue(), lambda result: result.errors)
    assert (result.status, result.attempts, result.is_finished, result.finished_at) == (READY, 1, False, None)


@pytest.mark.parametrize("attribute", [field.name for field in fields(framework.TaskResult)])
def test_attributes_of_a_result_cannot_be_modified(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(tasks.double.enqueue(1), attribute, None)


def test_a_result_stays_as_it_was_read_until_it_is_refreshed(backend: Any, finish: Finish) -> None:
    result = tasks.double.enqueue(1)
    early = backend.get_result(result.id)
    as_read = early.status
    finish(result)
    assert early.status == as_read
    early.refresh()
    assert (early.status, early.return_value) == (SUCCESSFUL, 2)


def test_an_error_has_the_class_and_the_traceback_as_text(finish: Finish) -> None:
    (error,) = finish(tasks.fail.enqueue("the shop is closed")).errors
    assert type(error) is framework.TaskError
    assert error.exception_class is ValueError
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert error.traceback.endswith("ValueError: the shop is closed\n")
    assert "taskbridge" not in error.traceback.replace(__file__.rpartition("/tests/")[0], "")


def test_a_task_that_could_not_give_its_value_has_failed_with_the_reason(finish: Finish) -> None:
    result = finish(tasks.unkeepable.enqueue())
    assert result.status == FAILED
    assert issubclass(result.errors[0].exception_class, TypeError)
