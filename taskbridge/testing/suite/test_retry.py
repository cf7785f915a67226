"""`retry`: another attempt after an error."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge import Retry
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("retry", "context")
def test_attempts_are_counted_from_one_until_one_succeeds(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.flaky.enqueue(key, 3)
    yield
    stage.wait(key, "end")
    stage.settled()
    assert [event.data["attempt"] for event in stage.ledger.events(key, "start")] == [1, 2, 3]


@behaviour("retry", "context")
def test_a_retry_keeps_the_id_and_the_metadata(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.flaky.using(metadata={"tenant": "ü", "n": 1}).enqueue(key, 2)
    yield
    stage.wait(key, "end")
    for event in stage.ledger.events(key, "start"):
        assert event.data["id"] == handle.id
        assert event.data["metadata"] == {"tenant": "ü", "n": 1}


@behaviour("retry")
def test_attempts_end_where_the_policy_ends(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.failing.using(retry=Retry(3, delay=timedelta(milliseconds=100))).enqueue(key)
    yield
    stage.wait(key, "final failure")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 3


@behaviour("retry")
def test_an_error_that_is_given_up_on_is_not_retried(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.gives_up.enqueue(key)
    yield
    stage.wait(key, "start")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour("retry", "context")
def test_a_retry_is_never_early(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.flaky.using(retry=Retry(2, delay=timedelta(seconds=1.5), jitter=False)).enqueue(key, 2)
    yield
    first, second = stage.wait(key, "start", count=2)
    assert second.at - first.at >= 1.5


@behaviour("retry", "context")
def test_a_task_asks_for_another_attempt_itself(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.asks_again.enqueue(key)
    yield
    stage.wait(key, "end")
    assert [event.data["attempt"] for event in stage.ledger.events(key, "start")] == [1, 2]


@behaviour()
def test_without_retry_one_attempt_is_all(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.failing.enqueue(key)
    yield
    stage.wait(key, "final failure")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour()
def test_the_final_failure_is_told_once(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.failing.enqueue(key)
    yield
    (event,) = stage.wait(key, "final failure")
    stage.settled()
    assert event.data["id"] == handle.id
    assert len(stage.ledger.events(key, "final failure")) == 1
