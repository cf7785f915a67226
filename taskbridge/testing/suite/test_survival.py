"""The worker goes on: whatever lies on the broker, and however a task ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.registry import wire_name
from taskbridge.testing.suite import faults, kinds, tasks
from taskbridge.testing.suite.behaviour import behaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.task import Task
    from taskbridge.testing.suite.stage import Stage


class HeadersOfTomorrow(Headers):
    """What a later version of TaskBridge may write."""

    colour: str = ""


def _send(stage: Stage, task: Task[..., Any, Any] | str, args: Any, *, kwargs: Any = None, headers: Any = None) -> None:
    """Enqueue what no task's `enqueue` would."""
    name = task if isinstance(task, str) else wire_name(task, stage.backend)
    stage.backend.enqueue([Message(new_id(), name, args, {} if kwargs is None else kwargs, headers=headers)])


@behaviour()
def test_what_legacy_code_enqueues_runs(stage: Stage) -> Iterator[None]:
    key = stage.key()
    _send(stage, tasks.note, [key])
    yield
    stage.wait(key, "end")


@behaviour("context")
def test_metadata_of_a_later_version_is_read_as_far_as_it_is_known(stage: Stage) -> Iterator[None]:
    key = stage.key()
    headers = HeadersOfTomorrow(version=2, metadata={"tenant": "ü"}, colour="red")
    _send(stage, tasks.in_context, [key], headers=headers)
    yield
    assert stage.wait(key, "end")[0].data["metadata"] == {"tenant": "ü"}


@behaviour("context")
def test_unreadable_metadata_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    _send(stage, tasks.note, [keys[0]], headers=Headers(metadata=[1]))  # type: ignore[arg-type]  # what is wrong
    _send(stage, tasks.note, [keys[1]], headers=Headers(timeout="soon"))  # type: ignore[arg-type]  # as above
    _send(stage, tasks.note, [keys[2]], headers=Headers(expires="never"))  # type: ignore[arg-type]  # as above
    yield
    stage.settled()
    assert [stage.ledger.events(key) for key in keys] == [[], [], []]


@behaviour("retry")
def test_an_unreadable_retry_policy_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(2)]
    policies: list[dict[str, Any]] = [{"attempts": -1}, {"attempts": 3, "when": "later"}]
    for key, policy in zip(keys, policies, strict=True):
        _send(stage, tasks.failing, [key], headers=Headers(retry=policy))
    yield
    stage.settled()
    assert [len(stage.ledger.events(key, "start")) for key in keys] == [1, 1]


@behaviour()
def test_an_unknown_task_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    _send(stage, "nobody.knows.this", [])
    yield
    stage.settled()


@behaviour()
def test_a_name_that_could_be_imported_is_not(stage: Stage) -> Iterator[None]:
    marker = stage.folder / "imported"
    _send(stage, "os.mkdir", [str(marker)])
    yield
    stage.settled()
    assert not marker.exists()


@behaviour()
def test_arguments_that_do_not_fit_do_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    key = stage.key()
    _send(stage, tasks.note, [{"not": "a key"}, 2, 3])
    _send(stage, tasks.note, [key], kwargs={"unknown": 1})
    _send(stage, tasks.note, [])
    _send(stage, kinds.carries, [key, {"moment": "yesterday"}])
    yield
    stage.settled()
    assert stage.ledger.events(key) == []


@behaviour()
def test_a_failing_task_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.failing.enqueue(key)
    yield
    stage.wait(key, "start")
    stage.settled()


@behaviour("result")
def test_an_error_without_words_is_recorded_and_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    handle = faults.raises_unspeakable.enqueue(stage.key())
    yield
    stage.finish(handle)
    (error,) = handle.errors
    assert error.exception_class_path.endswith("Unspeakable")


@behaviour("result")
def test_an_error_in_any_script_is_recorded(stage: Stage) -> Iterator[None]:
    handle = faults.raises_text.enqueue(stage.key(), "zażółć 🙂 \x00 %s {}")
    yield
    stage.finish(handle)
    (error,) = handle.errors
    assert error.message.startswith("zażółć 🙂 ")
    assert "%s {}" in error.message


@behaviour("result")
def test_an_error_because_of_another_is_recorded_with_both(stage: Stage) -> Iterator[None]:
    handle = faults.raises_chained.enqueue(stage.key())
    yield
    stage.finish(handle)
    (error,) = handle.errors
    assert error.exception_class_path == "builtins.ExceptionGroup"
    assert "THE CAUSE" in error.traceback


@behaviour()
def test_a_task_that_exits_has_failed_and_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    tasks.note.enqueue(keys[0])
    faults.exits.enqueue(keys[1])
    tasks.note.enqueue(keys[2])
    yield
    for key, kind in zip(keys, ("end", "start", "end"), strict=True):
        stage.wait(key, kind)
    stage.settled()
    assert len(stage.ledger.events(keys[1], "start")) == 1


@behaviour("result")
def test_an_exit_is_recorded_as_a_failure(stage: Stage) -> Iterator[None]:
    handle = faults.exits.using(result=True).enqueue(stage.key())
    yield
    stage.finish(handle)
    assert "asked to exit" in handle.errors[-1].message


@behaviour("result")
def test_a_coroutine_that_is_cancelled_has_failed(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = faults.cancels.enqueue(key)
    yield
    stage.finish(handle)
    assert "CancelledError" in handle.errors[-1].message
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour()
def test_a_task_that_is_interrupted_does_not_stop_the_worker(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    tasks.note.enqueue(keys[0])
    if not stage.is_in_process:  # there it is the caller who is told
        faults.interrupts.enqueue(keys[1])
    tasks.note.enqueue(keys[2])
    yield
    if not stage.is_in_process:
        stage.wait(keys[1], "start")
    stage.wait(keys[0], "end")
    stage.wait(keys[2], "end")
    stage.settled()
