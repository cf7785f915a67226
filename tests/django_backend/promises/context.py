"""`TaskContext`: what a task is told of its attempt."""

from __future__ import annotations

import importlib
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from taskbridge.django import framework
from tests.django_backend.worker import RUNNING, SUCCESSFUL, Finish

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def test_the_context_has_the_attempt_and_the_result_that_is_being_run(finish: Finish) -> None:
    result = finish(tasks.tell.enqueue(word="hello"))
    assert result.status == SUCCESSFUL, result.errors
    told = result.return_value
    assert told["attempt"] == 1
    assert (told["id"], told["args"], told["kwargs"]) == (result.id, [], {"word": "hello"})
    assert told["status"] == told["kept_status"] == RUNNING
    assert told["worker_ids"] == told["kept_worker_ids"] == result.worker_ids


def test_attempts_count_from_one_and_the_context_knows_of_the_earlier(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(2))
    assert (result.status, result.return_value) == (SUCCESSFUL, [3, 3, 2])
    assert (result.attempts, len(result.worker_ids)) == (3, 3)


def test_attributes_of_a_context_cannot_be_modified() -> None:
    context = framework.TaskContext(task_result=tasks.double.enqueue(1))
    with pytest.raises(FrozenInstanceError):
        setattr(context, "task_result", None)  # noqa: B010 - what a type checker refuses
