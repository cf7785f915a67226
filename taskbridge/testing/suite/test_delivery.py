"""`delivery`: written on a task it is checked, and unset it is the best that the backend holds."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from taskbridge import Retry
from taskbridge.errors import EnqueueError, InvalidTask
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.registry import wire_name
from taskbridge.router import router
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.worker.effectively_once import key_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("at_least_once")
def test_a_job_that_is_to_run_at_least_once_runs(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(delivery="at_least_once").enqueue(key)
    yield
    stage.wait(key, "end")


@behaviour("at_most_once")
def test_a_job_that_is_to_run_at_most_once_runs_once(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(delivery="at_most_once").enqueue(key)
    yield
    stage.wait(key, "end")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour("effectively_once")
def test_of_two_jobs_with_one_key_one_is_done_and_the_other_skipped_and_counted(stage: Stage) -> Iterator[None]:
    key = stage.key()
    once = tasks.note.using(delivery="effectively_once", key="note:{key}")
    jobs = {once.enqueue(key).id, once.enqueue(key=key).id}
    yield
    stage.wait(key, "end")
    store = router.store()
    assert store is not None

    def is_skipped() -> bool:
        found = store.read_key(key_name(tasks.note.name, f"note:{key}"))
        return found is not None and found.done_at is not None and found.job in jobs and found.skipped > 0

    stage.until(is_skipped, f"a delivery that finds {key} done")
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour("effectively_once")
def test_a_message_that_is_sent_twice_is_done_once(stage: Stage) -> Iterator[None]:
    key = stage.key()
    message = Message(new_id(), wire_name(tasks.note, stage.backend), [key], {}, headers=Headers(key=key))
    stage.backend.enqueue([message])
    with contextlib.suppress(EnqueueError):  # a backend that keeps a row for each id refuses the second
        stage.backend.enqueue([message])
    yield
    stage.wait(key, "end")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour("effectively_once", "retry", "context")
def test_a_failed_attempt_gives_its_key_back_for_the_next(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.flaky.using(delivery="effectively_once", key="{key}").enqueue(key, 2)
    yield
    (ended,) = stage.wait(key, "end")
    assert ended.data["attempt"] == 2


def test_what_is_done_once_needs_a_key(stage: Stage) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="needs a key"):
        tasks.note.using(delivery="effectively_once")


def test_at_most_once_and_a_retry_contradict_each_other(stage: Stage) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="contradict"):
        tasks.note.using(delivery="at_most_once", retry=Retry(2, on=(Exception,)))
