"""`timeout`, `expires` and `run_after`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from taskbridge import ResultStatus, Retry, UnsupportedFeature
from taskbridge.errors import InvalidTask
from taskbridge.testing.suite import slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour("timeout")
def test_a_blocking_call_ends_at_its_timeout_where_the_record_says_prompt(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.sleeps.enqueue(key, 5.0)
    yield
    (event,) = stage.wait(key, "left")
    assert stage.ledger.events(key, "end") == []
    if stage.expected["prompt_timeout"].is_refused:
        assert event.data["after"] >= 4.9
    else:
        assert event.data["after"] < 4.5


@behaviour("timeout")
def test_a_busy_task_ends_at_its_timeout(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.computes.enqueue(key, 10.0)
    yield
    (event,) = stage.wait(key, "left")
    assert event.data["after"] < 9


@behaviour("timeout")
def test_a_task_that_catches_exceptions_does_not_catch_its_deadline(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.swallows.enqueue(key, 10.0)
    yield
    (event,) = stage.wait(key, "left")
    assert event.data["after"] < 9
    assert stage.ledger.events(key, "swallowed") == []


@behaviour("timeout")
def test_a_coroutine_ends_at_its_next_await(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.awaits.enqueue(key, 10.0)
    yield
    (event,) = stage.wait(key, "left")
    assert event.data["after"] < 9
    assert stage.ledger.events(key, "end") == []


@behaviour("timeout")
def test_a_task_that_is_in_time_is_left_alone(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.sleeps.using(timeout=timedelta(seconds=20)).enqueue(key, 0.1)
    yield
    stage.wait(key, "end")


@behaviour("timeout")
def test_the_limit_of_one_call_counts_in_place_of_the_tasks(stage: Stage) -> Iterator[None]:
    key = stage.key()
    slow.steps.using(timeout=timedelta(seconds=2)).enqueue(key, 10.0)
    yield
    (event,) = stage.wait(key, "left")
    assert 1.9 <= event.data["after"] < 9


@behaviour("timeout")
def test_a_limit_does_not_reach_the_job_that_follows(stage: Stage) -> Iterator[None]:
    first, second = stage.key(), stage.key()
    slow.steps.using(queue_name=ORDERED).enqueue(first, 10.0)
    slow.sleeps.using(queue_name=ORDERED, timeout=timedelta(minutes=5)).enqueue(second, 1.2)
    yield
    stage.wait(first, "left")
    stage.wait(second, "end")


@behaviour("timeout", "context")
def test_the_context_knows_the_deadline(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.in_context.using(timeout=timedelta(seconds=20)).enqueue(key)
    yield
    (event,) = stage.wait(key, "end")
    left = datetime.fromisoformat(event.data["deadline"]).timestamp() - event.at
    assert 10 < left <= 20


@behaviour("expires")
def test_an_expired_job_is_not_started(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(expires=now() - timedelta(seconds=1)).enqueue(key)
    yield
    stage.settled()
    assert stage.ledger.events(key) == []


@behaviour("expires")
def test_a_job_that_is_in_time_is_started(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(expires=timedelta(minutes=5)).enqueue(key)
    yield
    stage.wait(key, "end")


@behaviour("expires", "run_after", "result")
def test_expiry_covers_the_delay(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.echo.using(expires=timedelta(seconds=1), run_after=timedelta(seconds=2), result=True).enqueue(key)
    yield
    stage.finish(handle)
    assert handle.detail_status == "EXPIRED"
    assert stage.ledger.events(key) == []


@behaviour("expires", "retry", "result", "context")
def test_expiry_covers_the_retries(stage: Stage) -> Iterator[None]:
    key = stage.key()
    policy = Retry(4, delay=timedelta(seconds=2), jitter=False, on=(Exception,))
    handle = tasks.flaky.using(expires=timedelta(seconds=1.5), retry=policy, result=True).enqueue(key, 9)
    yield
    stage.finish(handle)
    assert handle.detail_status == "EXPIRED"
    assert len(stage.ledger.events(key, "start")) <= 1


@behaviour("run_after")
def test_a_delayed_job_is_never_early(stage: Stage) -> Iterator[None]:
    keys = {stage.key(): delay for delay in (0.4, 1.3, 2.0)}
    due = {}
    for key, delay in keys.items():
        moment = now() + timedelta(seconds=delay)
        due[key] = moment.timestamp()
        tasks.note.using(run_after=moment).enqueue(key)
    yield
    for key in keys:
        (event,) = stage.wait(key, "start")
        assert event.at >= due[key], f"{due[key] - event.at} s early"


@behaviour("run_after")
def test_a_moment_in_any_zone_is_that_moment(stage: Stage) -> Iterator[None]:
    key = stage.key()
    moment = now().astimezone(timezone(timedelta(hours=-9, minutes=-30))) + timedelta(seconds=1)
    tasks.note.using(run_after=moment).enqueue(key)
    yield
    assert stage.wait(key, "start")[0].at >= moment.timestamp()


@behaviour("run_after")
def test_a_delay_counts_from_the_enqueue(stage: Stage) -> Iterator[None]:
    key = stage.key()
    before = now().timestamp()
    tasks.note.using(run_after=timedelta(seconds=1)).enqueue(key)
    yield
    assert stage.wait(key, "start")[0].at >= before + 1


@behaviour("run_after", "context")
def test_a_delayed_job_keeps_its_metadata_and_its_queue(stage: Stage) -> Iterator[None]:
    key = stage.key()
    task = tasks.in_context.using(run_after=timedelta(seconds=1), queue_name=ORDERED, metadata={"tenant": "ü"})
    handle = task.enqueue(key)
    yield
    data = stage.wait(key, "end")[0].data
    assert (data["id"], data["queue_name"], data["metadata"]) == (handle.id, ORDERED, {"tenant": "ü"})


@behaviour("run_after")
def test_a_moment_that_has_passed_means_now(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.using(run_after=now() - timedelta(hours=1)).enqueue(key)
    yield
    stage.wait(key, "end")


@behaviour("run_after")
def test_a_delay_above_the_ceiling_is_refused_and_the_ceiling_named_where_there_is_no_store(
    stage: Stage,
) -> Iterator[None]:
    support = stage.backend.capabilities.run_after
    if support.ceiling is not None and support.beyond is None:
        with pytest.raises(UnsupportedFeature, match=str(support.ceiling)):
            tasks.note.using(run_after=support.ceiling + timedelta(seconds=60)).enqueue(stage.key())
    yield


@behaviour("run_after")
def test_a_delay_above_the_ceiling_waits_in_the_store_and_is_never_early(stage: Stage) -> Iterator[None]:
    if stage.backend.capabilities.run_after.beyond is None:
        yield
        return
    keys = [stage.key() for _ in range(3)]
    moment = now() + timedelta(seconds=3)
    with stage.ceiling(timedelta(seconds=1)):
        tasks.note.using(run_after=moment).enqueue_many([(key,) for key in keys])
    assert stage.waiting() is not None
    yield
    for key in keys:
        assert stage.wait(key, "start")[0].at >= moment.timestamp()


@behaviour("run_after", "expires", "result")
def test_expiry_covers_a_delay_above_the_ceiling(stage: Stage) -> Iterator[None]:
    if stage.backend.capabilities.run_after.beyond is None:
        yield
        return
    key = stage.key()
    options = {"expires": timedelta(seconds=1), "run_after": timedelta(seconds=2), "result": True}
    with stage.ceiling(timedelta(seconds=1)):
        handle = tasks.echo.using(**options).enqueue(key)
    assert handle.status is ResultStatus.READY
    yield
    stage.finish(handle)
    assert handle.detail_status == "EXPIRED"
    assert stage.ledger.events(key) == []


@pytest.mark.parametrize("option", ["run_after", "expires"])
def test_a_naive_datetime_is_refused(stage: Stage, option: str) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="naive"):
        tasks.note.using(**{option: datetime(2030, 1, 1)})  # noqa: DTZ001 - what is refused
