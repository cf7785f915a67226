"""`enqueue_many`: many jobs, in as few round trips as the broker allows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.errors import InvalidArguments
from taskbridge.testing.suite import kinds, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour(is_bulky=True)
def test_a_thousand_jobs_at_once(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(stage.bulk)]
    handles = tasks.note.enqueue_many([(key,) for key in keys])
    assert len({handle.id for handle in handles}) == stage.bulk
    yield
    waiting = list(keys)

    def has_ended() -> bool:
        while waiting and stage.ledger.events(waiting[-1], "end"):
            waiting.pop()
        return not waiting

    stage.until(has_ended, f"{stage.bulk} ends")
    stage.settled()
    assert {key: len(stage.ledger.events(key, "end")) for key in keys} == dict.fromkeys(keys, 1)


@behaviour()
def test_calls_by_position_and_by_keyword_go_together(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    tasks.echo.enqueue_many([(keys[0], 1), {"key": keys[1], "option": 2}, {"value": "ü", "key": keys[2]}])
    yield
    data = [stage.wait(key, "end")[0].data for key in keys]
    assert data == [{"value": 1, "option": None}, {"value": None, "option": 2}, {"value": "ü", "option": None}]


@behaviour()
def test_one_bad_call_among_many_sends_none(stage: Stage) -> Iterator[None]:
    key = stage.key()
    with pytest.raises(InvalidArguments):
        tasks.note.enqueue_many([(key,), ()])
    yield
    stage.settled()
    assert stage.ledger.events(key) == []


@behaviour("run_after")
def test_many_delayed_jobs_are_not_early(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(20)]
    moment = now() + timedelta(seconds=1.2)
    tasks.note.using(run_after=moment).enqueue_many([(key,) for key in keys])
    yield
    for key in keys:
        assert stage.wait(key, "start")[0].at >= moment.timestamp()


@behaviour("expires")
def test_many_expired_jobs_are_not_started(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(20)]
    tasks.note.using(expires=now() - timedelta(seconds=1)).enqueue_many([(key,) for key in keys])
    yield
    stage.settled()
    assert [stage.ledger.events(key) for key in keys] == [[]] * 20


@behaviour("priority")
def test_many_jobs_with_a_priority_run(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(20)]
    tasks.note.using(priority=70).enqueue_many([(key,) for key in keys])
    yield
    for key in keys:
        stage.wait(key, "end")


@behaviour("result")
def test_many_results_find_their_jobs(stage: Stage) -> Iterator[None]:
    handles = kinds.gives_back.enqueue_many([(number,) for number in range(20)])
    yield
    for handle in handles:
        stage.finish(handle)
    assert [handle.return_value for handle in handles] == list(range(20))


@behaviour()
def test_ids_are_unique_and_sort_by_time(stage: Stage) -> Iterator[None]:
    handles = []
    keys = []
    for _ in range(3):
        batch = [stage.key() for _ in range(5)]
        keys += batch
        handles.append([handle.id for handle in tasks.note.enqueue_many([(key,) for key in batch])])
        moment = now()
        while now() - moment < timedelta(milliseconds=2):  # ids know milliseconds
            pass
    assert max(handles[0]) < min(handles[1])
    assert max(handles[1]) < min(handles[2])
    assert len({job for batch in handles for job in batch}) == 15
    yield
    for key in keys:
        stage.wait(key, "end")


def test_no_calls_are_no_jobs(stage: Stage) -> None:
    assert stage.backend is not None
    assert tasks.note.enqueue_many([]) == []
