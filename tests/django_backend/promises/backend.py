"""`BaseTaskBackend`: what is asked of a backend itself, and the flags of what it can do."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.django import framework
from taskbridge.router import router

if TYPE_CHECKING:
    from tests.django_backend.worker import Finish

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def test_backends_are_found_by_their_alias(backend: Any) -> None:
    package = importlib.import_module(framework.MODULE)
    assert isinstance(backend, framework.BaseTaskBackend)
    assert package.default_task_backend.alias == backend.alias == "default"
    assert package.default_task_backend.get_result(tasks.double.enqueue(1).id).args == [1]
    assert framework.task_backends["Second"].queues == {"second"}


def test_a_backend_has_the_options_of_the_settings(backend: Any) -> None:
    assert backend.options["result_ttl"] == 600
    assert router.backend_settings("default").result_ttl == timedelta(seconds=600)


def test_a_backend_enqueues_what_it_is_given(backend: Any, finish: Finish) -> None:
    assert finish(backend.enqueue(tasks.double, [3], {})).return_value == 6
    assert finish(asyncio.run(backend.aenqueue(tasks.double, [], {"number": 4}))).return_value == 8


def test_a_backend_gives_the_result_of_any_task(backend: Any) -> None:
    results = [tasks.double.enqueue(1), tasks.fail.enqueue("so")]
    assert [backend.get_result(result.id).task.name for result in results] == ["double", "fail"]
    assert [asyncio.run(backend.aget_result(result.id)).task.name for result in results] == ["double", "fail"]


def test_the_result_of_another_alias_is_not_there() -> None:
    result = tasks.double.enqueue(1)
    with pytest.raises(framework.TaskResultDoesNotExist):
        framework.task_backends["Second"].get_result(result.id)


def test_a_task_is_validated_by_the_backend_that_it_goes_to(backend: Any) -> None:
    backend.validate_task(tasks.double)
    with pytest.raises(framework.InvalidTask, match="Queue 'default' is not valid"):
        framework.task_backends["Second"].validate_task(tasks.double)
    with pytest.raises(framework.InvalidTask, match="Queue 'default' is not valid"):
        framework.task_backends["Second"].enqueue(tasks.double, [1], {})


def test_a_function_that_a_worker_could_not_find_is_refused_when_it_is_enqueued() -> None:
    hidden = tasks.task(tasks.plain)
    with pytest.raises(framework.InvalidTask, match="worker could not find it"):
        hidden.enqueue(1)


def test_the_flags_say_what_the_engine_can_do(backend: Any, finish: Finish) -> None:
    record = router.backend().capabilities
    assert backend.supports_defer is not record.run_after.is_refused
    assert backend.supports_priority is not record.priority.is_refused
    assert backend.supports_async_task is True
    assert backend.supports_get_result is True
    assert finish(tasks.later.enqueue(1)).return_value == 2
