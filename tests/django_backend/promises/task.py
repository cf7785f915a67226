"""`Task`: its attributes, options, enqueuing, and the results that are found by it."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import FrozenInstanceError, fields
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from taskbridge.django import framework
from tests.django_backend.worker import READY, SUCCESSFUL, Finish

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


@pytest.mark.parametrize("attribute", [field.name for field in fields(framework.Task)])
def test_attributes_of_a_task_cannot_be_modified(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(tasks.double, attribute, None)


def test_a_task_has_the_name_of_its_function_and_the_path_of_its_module() -> None:
    assert tasks.double.name == "double"
    assert tasks.double.module_path == "tests.django_backend.shop.tasks.double"


def test_a_task_is_called_in_place_by_call_and_acall_only() -> None:
    assert tasks.double.call(2) == 4
    assert tasks.later.call(2) == 3
    assert asyncio.run(tasks.double.acall(2)) == 4
    assert asyncio.run(tasks.later.acall(2)) == 3
    with pytest.raises(TypeError, match="not callable"):
        tasks.double(2)


def test_using_makes_a_task_with_other_options_and_leaves_the_first_as_it_was(backend: Any) -> None:
    moment = timezone.now() + timedelta(days=1)
    changes: dict[str, Any] = {"queue_name": "mail", "backend": "default"}
    if backend.supports_defer:
        changes["run_after"] = moment
    if backend.supports_priority:
        changes["priority"] = 10
    other = tasks.double.using(**changes)
    assert {name: getattr(other, name) for name in changes} == changes
    assert (tasks.double.queue_name, tasks.double.run_after, tasks.double.priority) == ("default", None, 0)
    assert other.using() == other
    assert other.func is tasks.double.func


def test_a_task_goes_to_the_queue_that_it_names(finish: Finish) -> None:
    assert finish(tasks.double.using(queue_name="mail").enqueue(2)).task.queue_name == "mail"


def test_a_task_declared_for_another_backend_goes_to_ours_by_using(finish: Finish) -> None:
    result = finish(tasks.declared_elsewhere.using(backend="default").enqueue(3))
    assert (result.status, result.return_value, result.backend) == (SUCCESSFUL, 3, "default")


def test_a_run_after_is_not_early_whether_a_moment_or_a_time_from_now(backend: Any, finish: Finish) -> None:
    moment = timezone.now() + timedelta(seconds=1)
    if not backend.supports_defer:
        with pytest.raises(framework.InvalidTask, match="run_after"):
            tasks.now.using(run_after=moment)
        return
    first = tasks.now.using(run_after=moment).enqueue()
    second = tasks.now.using(run_after=timedelta(seconds=1)).enqueue()
    assert first.status == READY
    assert finish(first).return_value >= first.task.run_after.timestamp()
    assert finish(second).return_value >= second.task.run_after.timestamp()
    assert second.task.run_after >= moment


def test_a_naive_run_after_is_refused(backend: Any) -> None:
    with pytest.raises(framework.InvalidTask, match="run_after"):
        tasks.now.using(run_after=datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_priority_is_refused_or_kept(backend: Any, finish: Finish) -> None:
    if not backend.supports_priority:
        with pytest.raises(framework.InvalidTask, match="priority"):
            tasks.double.using(priority=5)
        return
    assert finish(tasks.double.using(priority=5).enqueue(2)).task.priority == 5


def test_what_is_enqueued_is_given_back_as_a_result_that_is_ready() -> None:
    before = timezone.now()
    result = tasks.echo.enqueue(1, "two", three=[4.5, None, {"five": True}])
    assert isinstance(result, framework.TaskResult)
    assert (result.task, result.backend, result.status) == (tasks.echo, "default", READY)
    assert (result.args, result.kwargs) == ([1, "two"], {"three": [4.5, None, {"five": True}]})
    assert before <= result.enqueued_at <= timezone.now()
    assert (result.started_at, result.finished_at, result.last_attempted_at) == (None, None, None)
    assert (result.errors, result.worker_ids, result.attempts, result.is_finished) == ([], [], 0, False)
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


def test_a_coroutine_enqueues_and_asks(finish: Finish) -> None:
    async def enqueue() -> Any:
        result = await tasks.double.aenqueue(4)
        assert (await tasks.double.aget_result(result.id)).args == result.args == [4]
        return result

    result = finish(asyncio.run(enqueue()))
    assert result.return_value == 8

    async def refresh() -> Any:
        fresh = await framework.task_backends["default"].aget_result(result.id)
        await fresh.arefresh()
        return fresh

    assert asyncio.run(refresh()) == result


def test_a_result_is_found_by_its_id_alone_with_all_that_it_had(finish: Finish) -> None:
    result = tasks.echo.using(queue_name="mail").enqueue(1, two="2")
    found = tasks.echo.get_result(result.id)
    assert (found.id, found.args, found.kwargs, found.enqueued_at) == (result.id, [1], {"two": "2"}, result.enqueued_at)
    assert found.task.queue_name == "mail"
    finish(result)
    assert tasks.echo.get_result(result.id) == result


def test_the_result_of_another_task_is_a_mismatch() -> None:
    result = tasks.double.enqueue(1)
    from_exceptions = importlib.import_module(f"{framework.MODULE}.exceptions")
    with pytest.raises(from_exceptions.TaskResultMismatch):
        tasks.echo.get_result(result.id)
    with pytest.raises(from_exceptions.TaskResultMismatch):
        asyncio.run(tasks.echo.aget_result(result.id))


@pytest.mark.parametrize("nobody", ["", "nobody", "0" * 63, "../é\x00'\""])
def test_a_result_that_is_not_there_does_not_exist(nobody: str) -> None:
    with pytest.raises(framework.TaskResultDoesNotExist):
        tasks.double.get_result(nobody)
    with pytest.raises(framework.TaskResultDoesNotExist):
        asyncio.run(tasks.double.aget_result(nobody))
