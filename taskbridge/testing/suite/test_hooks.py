"""Hooks, logging and event loops: what stands around the attempts of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.testing.suite import hooks, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour()
def test_start_hooks_run_once_before_the_first_attempt_even_if_one_fails(stage: Stage) -> Iterator[None]:
    key = stage.key()
    hooks.sees_start.enqueue(key)
    yield
    assert stage.wait(key, "end")[0].data["started"] == ["fail_at_start", "remember_start"]


@behaviour()
def test_a_worker_that_is_asked_to_leave_finishes_its_job(stage: Stage) -> Iterator[None]:
    yield
    if not stage.is_in_process:
        held = stage.dismiss()
        assert [event.kind for event in stage.ledger.events(held)] == ["start", "end"]


@behaviour()
def test_stop_hooks_run_at_the_workers_end_even_if_one_fails(stage: Stage) -> Iterator[None]:
    yield
    if not stage.is_in_process:
        stage.dismiss()
        stage.wait(hooks.WORKER, "stop")


@behaviour("retry", "context")
def test_a_hook_stands_around_each_attempt(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.flaky.using(metadata={"around": key}).enqueue(key, 2)
    yield
    stage.wait(key, "leave", count=2)
    events = stage.ledger.events(key)
    assert [event.kind for event in events] == ["enter", "start", "leave", "enter", "start", "end", "leave"]
    entered = [event.data for event in events if event.kind == "enter"]
    assert entered == [{"attempt": 1, "id": handle.id}, {"attempt": 2, "id": handle.id}]


@behaviour("retry", "context")
def test_an_error_in_a_hook_around_an_attempt_fails_the_attempt(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.flaky.using(metadata={"around": key, "fails at": 1}).enqueue(key, 1)
    yield
    stage.wait(key, "end")
    assert [event.data["attempt"] for event in stage.ledger.events(key, "start")] == [2]


@behaviour("context")
def test_what_a_hook_sets_is_seen_in_the_task_and_not_in_the_next(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    task = hooks.sees_around.using(queue_name=ORDERED)
    for key, metadata in zip(keys, ({"around": keys[0]}, {}, {"around": keys[2]}), strict=True):
        task.using(metadata=metadata).enqueue(key)
    yield
    assert [stage.wait(key, "end")[0].data["around"] for key in keys] == [keys[0], "nothing", keys[2]]


@behaviour("context")
def test_what_a_hook_sets_is_seen_in_a_coroutine_and_not_in_the_next(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    task = hooks.sees_around_on_loop.using(queue_name=ORDERED)
    for key, metadata in zip(keys, ({"around": keys[0]}, {}, {"around": keys[2]}), strict=True):
        task.using(metadata=metadata).enqueue(key)
    yield
    assert [stage.wait(key, "end")[0].data["around"] for key in keys] == [keys[0], "nothing", keys[2]]


@behaviour()
def test_log_records_of_an_attempt_carry_the_job(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = hooks.logs.enqueue(key)
    yield
    (event,) = stage.wait(key, "end")
    assert event.data == {"job": handle.id, "task": hooks.logs.name, "attempt": 1}


@behaviour()
def test_log_records_in_a_coroutine_carry_its_job(stage: Stage) -> Iterator[None]:
    jobs = {stage.key(): hooks.logs_on_loop.using(queue_name=ORDERED) for _ in range(3)}
    handles = {key: task.enqueue(key) for key, task in jobs.items()}
    yield
    for key, handle in handles.items():
        assert stage.wait(key, "end")[0].data["job"] == handle.id


@behaviour()
def test_the_root_logger_keeps_the_applications_handlers(stage: Stage) -> Iterator[None]:
    key = stage.key()
    hooks.sees_root_logger.enqueue(key)
    yield
    assert stage.wait(key, "end")[0].data["is_kept"]


@behaviour()
def test_coroutines_share_the_one_loop_of_their_thread(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(5)]
    for key in keys:
        hooks.on_loop.using(queue_name=ORDERED).enqueue(key)
    yield
    runs: dict[tuple[int, int], list[int]] = {}
    for key in keys:
        (event,) = stage.wait(key, "end")
        runs.setdefault((event.pid, event.data["thread"]), []).append(event.data["runs"])
    for of_thread in runs.values():
        assert sorted(of_thread) == list(range(1, len(of_thread) + 1))


@behaviour()
def test_an_error_in_a_failure_hook_does_not_keep_the_others_from_running(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.failing.enqueue(key)
    yield
    stage.wait(key, "final failure")
