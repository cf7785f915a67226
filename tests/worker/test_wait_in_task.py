"""A task that waits for a job is refused, since it holds a worker that the job may need."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge.errors import ResultTimeout, WaitsInTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.testing import MemoryBackend

SOON = timedelta(milliseconds=10)


@taskbridge.task(name="wait-in-task.child", result=True)
def child() -> str:
    return "grown up"


@taskbridge.task(name="wait-in-task.parent", result=True)
def parent(job: str) -> str:
    return child.get_result(job).wait(SOON)


@taskbridge.task(name="wait-in-task.coroutine", result=True)
async def coroutine(job: str) -> str:
    return await child.get_result(job).await_(SOON)


@taskbridge.task(name="wait-in-task.without-end", result=True)
def without_end(job: str) -> str:
    return child.get_result(job).wait(in_task=True)


@taskbridge.task(name="wait-in-task.knowing", result=True)
def knowing(job: str) -> str:
    return child.get_result(job).wait(SOON, in_task=True)


@taskbridge.task(name="wait-in-task.knowing-coroutine", result=True)
async def knowing_coroutine(job: str) -> str:
    return await child.get_result(job).await_(SOON, in_task=True)


def error_of(enqueue: Callable[[str], taskbridge.TaskResult[str]], job: str, backend: MemoryBackend) -> tuple[str, str]:
    handle = enqueue(job)
    backend.run_all()
    (error,) = handle.errors
    return error.exception_class_path, error.message


@pytest.mark.parametrize("task", [parent, coroutine, without_end], ids=lambda task: task.name)
def test_waiting_in_a_task_raises_also_for_a_job_that_has_ended(
    task: taskbridge.Task[[str], str, object], taskbridge_memory: MemoryBackend
) -> None:
    ended = child.enqueue()
    taskbridge_memory.run_all()
    kind, words = error_of(task.enqueue, ended.id, taskbridge_memory)
    assert kind == f"{WaitsInTask.__module__}.{WaitsInTask.__name__}"
    assert f"the task {task.name!r} waits for job {ended.id}" in words
    assert "in_task=True" in words
    assert ended.wait(SOON) == "grown up", "outside of a task nothing is refused"


@pytest.mark.parametrize("task", [knowing, knowing_coroutine], ids=lambda task: task.name)
def test_who_says_that_other_workers_run_the_job_waits_for_a_bounded_time(
    task: taskbridge.Task[[str], str, object], taskbridge_memory: MemoryBackend
) -> None:
    ended = child.enqueue()
    taskbridge_memory.run_all()
    handle = task.enqueue(ended.id)
    taskbridge_memory.run_all()
    assert handle.return_value == "grown up"
    waits = child.using(run_after=timedelta(hours=1)).enqueue()
    assert error_of(task.enqueue, waits.id, taskbridge_memory)[0].endswith(ResultTimeout.__name__)
