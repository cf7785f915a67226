"""Priority, context and queues: which job runs when and where, and what it knows of itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.backend import WorkerOptions
from taskbridge.errors import ConfigurationError, InvalidTask
from taskbridge.testing.suite import slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED, SECOND, THIRD, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("priority")
def test_a_larger_priority_runs_sooner(stage: Stage) -> Iterator[None]:
    opened = stage.folder / "gate"
    if not stage.is_in_process:  # where nothing runs before somebody waits, no job need hold the worker
        gate = stage.key()
        slow.waits_for_file.using(queue_name=ORDERED).enqueue(gate, str(opened))
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
def test_a_job_goes_to_its_queue(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(queue_name=ORDERED).enqueue(key)
    yield
    stage.wait(key, "end")


@behaviour()
def test_one_worker_serves_several_queues(stage: Stage) -> Iterator[None]:
    keys = {queue: stage.key_elsewhere() for queue in (SECOND, THIRD)}
    for queue, key in keys.items():
        tasks.note.using(backend=SECOND, queue_name=queue).enqueue(key)
    yield
    for key in keys.values():
        stage.wait(key, "end")


@behaviour()
def test_one_call_goes_to_another_backend(stage: Stage) -> Iterator[None]:
    key, here = stage.key_elsewhere(), stage.key()
    handle = tasks.note.using(backend=SECOND, queue_name=SECOND).enqueue(key)
    assert handle.backend == SECOND
    assert tasks.note.enqueue(here).backend == "default"
    yield
    stage.wait(key, "end")
    stage.wait(here, "end")


@behaviour()
def test_a_task_belongs_to_another_backend(stage: Stage) -> Iterator[None]:
    key = stage.key_elsewhere()
    assert tasks.elsewhere.enqueue(key).backend == SECOND
    yield
    stage.wait(key, "end")


@behaviour("context")
def test_metadata_arrives_as_it_was_sent(stage: Stage) -> Iterator[None]:
    key = stage.key()
    metadata = {"zażółć": ["🙂", None, 1.5, {"": True}], "id": "mine", "attempt": 7, "\u2028": "\x00"}
    tasks.in_context.using(metadata=metadata).enqueue(key)
    yield
    assert stage.wait(key, "end")[0].data["metadata"] == metadata


@pytest.mark.parametrize(
    "value",
    [object(), (1,), {1}, {2: ""}, now(), float("nan"), "\ud800"],
    ids=lambda value: type(value).__name__,
)
def test_metadata_that_would_not_arrive_is_refused(stage: Stage, value: Any) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="metadata"):
        tasks.in_context.using(metadata={"tenant": [value]})


@behaviour()
def test_a_task_enqueues_another(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.enqueues.enqueue(key, {"from": "a task"})
    yield
    assert stage.wait(key, "end")[0].data["value"] == {"from": "a task"}


@behaviour()
def test_a_coroutine_enqueues_another(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.enqueues_from_loop.enqueue(key, "ü")
    yield
    assert stage.wait(key, "end")[0].data["value"] == "ü"


@behaviour()
def test_attempts_run_at_one_time_where_the_worker_was_asked_for_it(stage: Stage) -> Iterator[None]:
    places = [stage.folder / "one", stage.folder / "other"]
    keys = [stage.key() for _ in places]
    if stage.is_in_process:  # there is one worker, the caller
        places[1].touch()
    for key, mine, others in zip(keys, places, reversed(places), strict=True):
        slow.meets.enqueue(key, str(mine), str(others))
    yield
    for key in keys:
        stage.wait(key, "end")


def test_words_for_the_engine_stand_in_its_own_command_line(stage: Stage) -> None:
    if stage.is_in_process:
        with pytest.raises(ConfigurationError):
            stage.backend.worker_commands(WorkerOptions())
        return
    commands = stage.backend.worker_commands(WorkerOptions(native_arguments=("--of-its-own", "7")))
    assert commands
    for command in commands:
        assert "--of-its-own 7" in " ".join(command.argv)
    assert len({command.label for command in commands}) == len(commands)


@behaviour()
def test_a_backend_that_was_closed_may_be_used_again(stage: Stage) -> Iterator[None]:
    key = stage.key()
    if not stage.is_in_process:  # there its jobs would be forgotten
        stage.backend.close()
    tasks.note.enqueue(key)
    yield
    stage.wait(key, "end")


def test_a_queue_of_another_backend_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match=SECOND):
        tasks.note.using(queue_name=SECOND).enqueue(stage.key())


def test_an_unknown_backend_is_refused_with_the_nearest_name(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match=f"'{SECOND}'"):
        tasks.note.using(backend="secnd").enqueue(stage.key())


def test_using_gives_a_copy_and_changes_nothing(stage: Stage) -> None:
    assert stage.backend is not None
    before = tasks.note.options
    one = tasks.note.using(queue_name=ORDERED)
    other = one.using(timeout=timedelta(seconds=5))
    assert tasks.note.options is before
    assert (one.options.queue_name, one.options.timeout) == (ORDERED, None)
    assert (other.options.queue_name, other.options.timeout) == (ORDERED, timedelta(seconds=5))
    with pytest.raises((AttributeError, TypeError)):
        one.options.queue_name = "default"  # type: ignore[misc]  # what is refused


@pytest.mark.parametrize("option", ["name", "takes_context", "native"])
def test_what_belongs_to_the_declaration_is_not_changed_for_a_call(stage: Stage, option: str) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match=option):
        tasks.note.using(**{option: "x"})


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
