"""`retry`: another attempt after an error."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from taskbridge import Retry
from taskbridge.message import Again, Headers
from taskbridge.testing.suite import faults, slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import SECOND, THIRD, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage

LATE = 3.0
"""Seconds that an attempt may come late on a worker with little else to do: a backend may know whole seconds only, and
look once a second. In process there is no such worker."""


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
    tasks.failing.using(retry=Retry(3, delay=timedelta(milliseconds=100), on=(Exception,))).enqueue(key)
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
    tasks.flaky.using(retry=Retry(2, delay=timedelta(seconds=1.5), jitter=False, on=(Exception,))).enqueue(key, 2)
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


@behaviour("retry", "context")
def test_the_delays_between_attempts_follow_the_policy(stage: Stage) -> Iterator[None]:
    key = stage.key_elsewhere()
    policy = Retry(4, delay=timedelta(seconds=0.5), factor=3, jitter=False, on=(Exception,))
    tasks.flaky.using(retry=policy, backend=SECOND, queue_name=THIRD).enqueue(key, 4)
    yield
    starts = [event.at for event in stage.wait(key, "start", count=4)]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    for gap, least in zip(gaps, (0.5, 1.5, 4.5), strict=True):
        assert least <= gap, gaps
        assert stage.is_in_process or gap < least + LATE, gaps


@behaviour("retry", "context")
def test_jitter_stays_below_the_policys_delay(stage: Stage) -> Iterator[None]:
    key = stage.key_elsewhere()
    policy = Retry(2, delay=timedelta(seconds=1), on=(Exception,))
    tasks.flaky.using(retry=policy, backend=SECOND, queue_name=THIRD).enqueue(key, 2)
    yield
    first, second = stage.wait(key, "start", count=2)
    assert stage.is_in_process or second.at - first.at < 1 + LATE


@behaviour("retry")
def test_an_error_that_says_when_to_come_back_is_heard(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.throttled.enqueue(key)
    yield
    first, second = stage.wait(key, "start", count=2)
    assert second.at - first.at >= tasks.TooManyRequests.retry_after


@behaviour("retry", "context")
def test_an_error_that_the_policy_does_not_name_is_not_retried(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.fails_otherwise.enqueue(key)
    yield
    stage.wait(key, "final failure")
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 2


@behaviour("retry", "timeout")
def test_an_attempt_that_outlives_its_limit_is_retried_where_the_policy_says_so(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.too_slow.enqueue(key)
    yield
    stage.wait(key, "start", count=2)
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 2


@behaviour("retry", "context")
def test_a_coroutine_is_retried(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.flaky_on_loop.enqueue(key)
    yield
    assert stage.wait(key, "end")[0].data["attempt"] == 2


@behaviour("retry", "context")
def test_many_jobs_are_each_retried(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(10)]
    tasks.flaky.enqueue_many([(key, 2) for key in keys])
    yield
    for key in keys:
        stage.wait(key, "end")
    stage.settled()
    assert [len(stage.ledger.events(key, "start")) for key in keys] == [2] * 10


@behaviour("retry", "context")
def test_a_task_that_always_asks_for_another_attempt_gets_those_of_its_policy(stage: Stage) -> Iterator[None]:
    key = stage.key()
    faults.asks_for_ever.enqueue(key)
    yield
    stage.wait(key, "start", count=2)
    stage.settled()
    assert len(stage.ledger.events(key, "start")) == 2


@behaviour("context", "result")
def test_a_task_without_a_policy_may_not_ask_for_another_attempt(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = faults.asks_without_policy.using(result=True).enqueue(key)
    yield
    stage.finish(handle)
    assert "retry=Retry" in handle.errors[-1].message
    assert len(stage.ledger.events(key, "start")) == 1


@behaviour("retry", "context")
def test_a_next_attempt_above_the_ceiling_waits_in_the_store_and_keeps_its_number(stage: Stage) -> Iterator[None]:
    if stage.backend.capabilities.retry.beyond is None:
        yield
        return
    key, delay = stage.key(), timedelta(seconds=2)
    policy = Retry(2, delay=delay, jitter=False, on=(Exception,))
    headers = Headers(enqueued_at=now(), metadata={"tenant": "ü"}, retry=policy.to_wire())
    # The first attempt is made here, under a ceiling that needs no long wait, the second by a worker.
    job_id, outcome = stage.attempt_here(tasks.flaky, key, 2, headers=headers, retry_ceiling=delay / 2)
    assert isinstance(outcome, Again)
    assert outcome.is_held
    yield
    first, second = stage.wait(key, "start", count=2)
    stage.wait(key, "end")
    assert [event.data["attempt"] for event in (first, second)] == [1, 2]
    assert second.data["id"] == job_id
    assert second.data["metadata"] == {"tenant": "ü"}
    assert second.at - first.at >= delay.total_seconds()


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
