"""Jobs that reach the backend by way of an outbox: as they were enqueued, after the commit, and never without one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge.testing.suite import kinds, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour()
def test_jobs_in_the_outbox_run_once_they_are_committed(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(20)]
    values = {"value": "ü\x00", "option": {"deep": [None, 2**70]}}
    with stage.application.connection() as connection:
        echo = tasks.echo.using(timing="outbox", connection=connection)
        handles = echo.enqueue_many(
            [{"key": key, "value": "ü\x00", "option": {"deep": [None, 2**70]}} for key in keys[1:]]
        )
        handles.append(echo.enqueue(keys[0], 1.5, option=False))
        connection.commit()
    assert {handle.timing for handle in handles} == {"outbox"}
    yield
    assert stage.wait(keys[0], "end")[0].data == {"value": 1.5, "option": False}
    for key in keys[1:]:
        assert stage.wait(key, "end")[0].data == values
    stage.settled()
    assert {key: len(stage.ledger.events(key, "end")) for key in keys} == dict.fromkeys(keys, 1)


@behaviour()
def test_jobs_of_a_transaction_that_is_rolled_back_do_not_run(stage: Stage) -> Iterator[None]:
    key = stage.key()
    with stage.application.connection() as connection:
        tasks.note.using(timing="outbox", connection=connection).enqueue(key)
        connection.rollback()
    yield
    stage.settled()
    assert stage.ledger.events(key) == []


@behaviour("run_after", "result")
def test_a_delay_and_a_result_go_through_the_outbox(stage: Stage) -> Iterator[None]:
    key, moment = stage.key(), now() + timedelta(seconds=2)
    with stage.application.connection() as connection:
        tasks.note.using(timing="outbox", connection=connection, run_after=moment).enqueue(key)
        handle = kinds.gives_back.using(timing="outbox", connection=connection).enqueue(7)
        connection.commit()
    yield
    stage.finish(handle)
    assert handle.return_value == 7
    assert stage.wait(key, "start")[0].at >= moment.timestamp()
