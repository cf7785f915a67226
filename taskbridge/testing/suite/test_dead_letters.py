"""Dead letters: what fails for good is kept with its reason, and can be enqueued again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import EnqueueError, RedriveRefused
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.redrive import redrive
from taskbridge.registry import wire_name
from taskbridge.router import router
from taskbridge.store import DetailStatus, NewRecord, Selection, Store
from taskbridge.testing.suite import faults, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.worker.at_most_once import start_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.store import DeadLetter
    from taskbridge.task import Task
    from taskbridge.testing.suite.stage import Stage


def _store() -> Store:
    store = router.store()
    assert store is not None
    return store


def _letter(stage: Stage, job_id: str, **selection: Any) -> DeadLetter:
    """The dead letter of a job, once it is there."""

    def read() -> list[DeadLetter]:
        return list(_store().letters(Selection(ids=(job_id,), **selection)))

    stage.until(lambda: bool(read()), f"the dead letter of {job_id}")
    (letter,) = read()
    return letter


def _send(stage: Stage, task: Task[..., Any, Any] | str, args: list[Any], headers: Headers) -> str:
    name = task if isinstance(task, str) else wire_name(task, stage.backend)
    message = Message(new_id(), name, args, {}, headers=headers)
    stage.backend.enqueue([message])
    return message.id


def _redrive(stage: Stage, job_id: str) -> None:
    """Redrive a job, once its worker is through with it."""

    def is_taken() -> bool:
        try:
            redrive(job_id, _store())
        except EnqueueError as error:
            if error.maybe_accepted:
                raise
            return False
        return True

    stage.until(is_taken, f"the redrive of {job_id}")


@behaviour("dead_letters", "retry", "context")
def test_an_exhausted_job_is_kept_with_its_error_and_its_message(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.flaky.using(metadata={"tenant": "a"}).enqueue(key, 9)
    yield
    letter = _letter(stage, handle.id)
    assert (letter.reason, letter.task, letter.queue_name) == ("exhausted", tasks.flaky.name, "default")
    assert (letter.attempts, letter.crashes) == (4, 0)
    assert letter.error.exception_class_path == "builtins.ConnectionError"
    assert "attempt 4" in letter.error.message
    assert letter.message is not None
    assert (letter.message.args, letter.message.headers and letter.message.headers.metadata) == (
        [key, 9],
        {"tenant": "a"},
    )


@behaviour("dead_letters")
def test_a_job_that_succeeds_leaves_no_letter(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.note.enqueue(key)
    yield
    stage.wait(key, "end")
    stage.settled()
    assert list(_store().letters(Selection(ids=(handle.id,), state=None))) == []


@behaviour("dead_letters")
def test_a_job_whose_arguments_do_not_fit_is_kept(stage: Stage) -> Iterator[None]:
    job_id = _send(stage, tasks.note, ["a", "b", "c"], Headers())
    yield
    assert _letter(stage, job_id).reason == "wrong signature"


@behaviour("dead_letters", "context")
def test_a_redriven_job_runs_under_its_id_and_dies_again_with_its_history(stage: Stage) -> Iterator[None]:
    key, opened = stage.key(), stage.folder / f"mended-{stage.key()}"
    handle = faults.fails_without_file.using(metadata={"tenant": "a"}).enqueue(key, str(opened))
    yield
    store = _store()
    assert _letter(stage, handle.id).redrives == 0
    _redrive(stage, handle.id)
    again = _letter(stage, handle.id)
    assert (again.redrives, again.life, again.is_redriven, len(again.history)) == (1, 1, False, 3)
    opened.touch()
    _redrive(stage, handle.id)
    with pytest.raises(RedriveRefused):
        redrive(handle.id, store)
    (ended,) = stage.wait(key, "end")
    assert ended.data == {"id": handle.id, "attempt": 1, "metadata": {"tenant": "a"}}
    stage.settled()
    (letter,) = store.letters(Selection(ids=(handle.id,), state=None))
    assert (letter.is_redriven, letter.redrives) == (True, 2)
    assert len(stage.ledger.events(key, "end")) == 1


@behaviour("at_most_once", "dead_letters")
def test_a_job_that_has_been_started_is_not_started_again(stage: Stage) -> Iterator[None]:
    key = stage.key()
    message = Message(new_id(), wire_name(tasks.note, stage.backend), [key], {}, headers=Headers(at_most_once=True))
    held = _store().acquire(start_name(message.id, 0), holder="an execution that died", span=timedelta(hours=1))
    assert held is not None
    stage.backend.enqueue([message])
    yield
    assert _letter(stage, message.id).reason == "at most once"
    assert stage.ledger.events(key) == []


@behaviour("dead_letters")
def test_a_job_of_an_unknown_task_is_kept(stage: Stage) -> Iterator[None]:
    job_id = _send(stage, "nobody.knows.that", [1, "a"], Headers())
    yield
    stage.settled()
    letter = _letter(stage, job_id)
    assert (letter.reason, letter.task) == ("unknown task", "nobody.knows.that")
    assert letter.message is not None
    assert letter.message.args == [1, "a"]


@behaviour("dead_letters", "result")
def test_the_result_of_a_job_of_an_unknown_task_has_failed(stage: Stage) -> Iterator[None]:
    job_id = _send(stage, "nobody.knows.it", [], Headers(result=True))
    _store().queued([NewRecord(id=job_id, task="nobody.knows.it", queue_name="default", backend="default")])
    yield
    _letter(stage, job_id)
    record = _store().read(job_id)
    assert record is not None
    assert record.detail_status is DetailStatus.FAILED
