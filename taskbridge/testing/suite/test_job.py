"""Priority, context, queues, hooks, and jobs that nobody can run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import ConfigurationError, InvalidTask
from taskbridge.identity import new_id
from taskbridge.message import Message
from taskbridge.registry import wire_name
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("priority")
def test_a_larger_priority_runs_sooner(stage: Stage) -> Iterator[None]:
    opened = stage.folder / "gate"
    if not stage.is_in_process:  # where nothing runs before somebody waits, no job need hold the worker
        gate = stage.key()
        tasks.waits_for_file.using(queue_name=ORDERED).enqueue(gate, str(opened))
        stage.wait(gate, "start")
    keys = {priority: stage.key() for priority in (-100, 0, 100, -50, 50)}
    # One more than the worker may have fetched ahead, of the lowest priority.
    ahead = [stage.key() for _ in range(2)]
    for key in ahead:
        tasks.note.using(queue_name=ORDERED, priority=-100).enqueue(key)
    for priority, key in keys.items():
        tasks.note.using(queue_name=ORDERED, priority=priority).enqueue(key)
    opened.touch()
    yield
    started = {priority: stage.wait(key, "start")[0].at for priority, key in keys.items()}
    assert sorted(started, key=lambda priority: started[priority]) == [100, 50, 0, -50, -100]


@behaviour("context")
def test_the_context_tells_of_the_job(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.in_context.using(metadata={"tenant": 7}, queue_name=ORDERED).enqueue(key)
    yield
    (event,) = stage.wait(key, "end")
    assert event.data == {
        "id": handle.id,
        "attempt": 1,
        "queue_name": ORDERED,
        "task": tasks.in_context.name,
        "metadata": {"tenant": 7},
        "deadline": None,
    }


@behaviour()
def test_log_records_of_an_attempt_carry_the_job(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.logs.enqueue(key)
    yield
    (event,) = stage.wait(key, "end")
    assert event.data == {"job": handle.id, "task": tasks.logs.name}


@behaviour()
def test_a_job_goes_to_its_queue(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(queue_name=ORDERED).enqueue(key)
    yield
    stage.wait(key, "end")


def _raw(task: str, args: list[Any], *, headers: Any = None) -> Message:
    return Message(new_id(), task, args, {}, headers=headers)


@behaviour()
def test_what_legacy_code_enqueues_runs(stage: Stage) -> Iterator[None]:
    key = stage.key()
    stage.backend.enqueue([_raw(wire_name(tasks.note, stage.backend), [key])])
    yield
    stage.wait(key, "end")


@behaviour()
def test_an_unknown_task_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    stage.backend.enqueue([_raw("nobody.knows.this", [])])
    yield
    stage.settled()


@behaviour()
def test_arguments_that_do_not_fit_do_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    stage.backend.enqueue([_raw(wire_name(tasks.note, stage.backend), [{"not": "a key"}, 2, 3])])
    yield
    stage.settled()


@behaviour()
def test_a_failing_task_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.failing.enqueue(key)
    yield
    stage.wait(key, "start")
    stage.settled()


def test_an_unknown_queue_is_refused_with_the_nearest_name(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match="'ordered'"):
        tasks.note.using(queue_name="orderd").enqueue(stage.key())


@pytest.mark.parametrize("priority", [101, -101, 1.5, True])
def test_a_priority_outside_the_scale_is_refused(stage: Stage, priority: Any) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="priority"):
        tasks.note.using(priority=priority)


def test_an_unknown_option_is_refused_with_the_nearest_name(stage: Stage) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="'timeout'"):
        tasks.note.using(time_out=timedelta(seconds=1))
