"""`cancel`: a job that waits for its turn, its time or its next attempt does not start any more; one that runs is ended
where that is asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskbridge import Cancellation, Retry
from taskbridge.testing.suite import slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.result import TaskResult
    from taskbridge.task import Task
    from taskbridge.testing.suite.stage import Stage

SOON = timedelta(seconds=4)
"""Long enough that a job is cancelled meanwhile, however busy the machine is: nothing is asserted if it is not."""
NEVER_BEGUN = (Cancellation.REMOVED, Cancellation.WILL_NOT_START)


@behaviour("cancel", "result", "run_after")
def test_a_delayed_job_that_is_cancelled_does_not_start(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.note.using(run_after=timedelta(hours=1), result=True).enqueue(key)
    assert handle.cancel() in NEVER_BEGUN
    soon = tasks.note.using(run_after=SOON, cancellable=True).enqueue(stage.key())
    answer = soon.cancel()
    later = stage.key()
    tasks.note.using(run_after=SOON + timedelta(seconds=1)).enqueue(later)
    yield
    assert handle.detail_status == "CANCELLED"
    assert answer in (Cancellation.ASKED, Cancellation.REMOVED)
    stage.wait(later, "end")
    assert stage.ledger.events(key) == []


@behaviour("cancel", "result")
def test_a_queued_job_that_is_cancelled_does_not_start(stage: Stage) -> Iterator[None]:
    key, opened = stage.key(), stage.folder / f"cancel-{stage.key()}"
    held = stage.key()
    if not stage.is_in_process:
        slow.waits_for_file.using(queue_name=ORDERED).enqueue(held, str(opened))
    handle = tasks.note.using(queue_name=ORDERED, result=True).enqueue(key)
    answer = handle.cancel()
    opened.touch()
    yield
    assert answer in (*NEVER_BEGUN, Cancellation.ASKED, Cancellation.ALREADY_FINISHED)
    stage.settled()
    if answer in NEVER_BEGUN:
        assert handle.detail_status == "CANCELLED"
        assert stage.ledger.events(key) == []


@behaviour("cancel", "result", "retry", "context")
def test_a_retrying_job_that_is_cancelled_does_not_start_again(stage: Stage) -> Iterator[None]:
    key = stage.key()
    handle = tasks.flaky.using(retry=Retry(9, delay=timedelta(minutes=5), on=(Exception,)), result=True).enqueue(key, 9)
    yield
    stage.wait(key, "start")

    def is_retrying() -> bool:
        handle.refresh()
        return handle.detail_status == "RETRYING"

    stage.until(is_retrying, f"the failure of the first attempt of {handle.id}")
    assert handle.cancel() in NEVER_BEGUN
    assert handle.detail_status == "CANCELLED"


@behaviour("cancel", "context")
def test_a_running_job_can_see_that_it_is_cancelled(stage: Stage) -> Iterator[None]:
    if stage.is_in_process:
        return  # nobody could cancel it meanwhile
    yield
    # Not among the others: it would keep one of two processes from them, and from the attempts that have to meet.
    key = stage.key()
    handle = tasks.runs_until_cancelled.enqueue(key)
    stage.wait(key, "start")
    assert handle.cancel() is Cancellation.ASKED
    stage.wait(key, "cancelled")
    stage.settled()
    assert stage.ledger.events(key, "end") == []


@behaviour("terminate", "result")
def test_a_busy_job_is_terminated_and_its_neighbour_is_not(stage: Stage) -> Iterator[None]:
    yield
    neighbour, opened = stage.key(), stage.folder / f"terminated-{stage.key()}"
    if not stage.is_in_process:
        slow.waits_for_file.using(cancellable=True).enqueue(neighbour, str(opened))
        stage.wait(neighbour, "start")
    key = _terminated(stage, slow.computes_on)
    assert stage.ledger.events(key, "end") == []
    opened.touch()
    if not stage.is_in_process:
        stage.wait(neighbour, "end")
        assert len(stage.ledger.events(neighbour, "start")) == 1


@behaviour("terminate", "result")
def test_a_blocking_call_is_terminated_where_the_record_says_that_timeouts_are_prompt(stage: Stage) -> Iterator[None]:
    yield
    if not stage.expected["prompt_timeout"].is_refused:
        key = _terminated(stage, slow.sleeps_on)
        assert stage.ledger.events(key, "end") == []


@behaviour("terminate", "result")
def test_a_coroutine_is_terminated(stage: Stage) -> Iterator[None]:
    yield
    key = _terminated(stage, slow.awaits_on)
    assert stage.ledger.events(key, "end") == []


@behaviour("terminate", "result")
def test_a_job_that_has_ended_is_not_terminated(stage: Stage) -> Iterator[None]:
    handle = tasks.note.using(cancellable=True, result=True).enqueue(stage.key())
    yield
    stage.finish(handle)
    assert handle.cancel(terminate=True) is Cancellation.ALREADY_FINISHED
    assert handle.detail_status == "SUCCESSFUL"


def _terminated(stage: Stage, task: Task[[str, float], Any, Any]) -> str:
    """The key of a job that was terminated while it ran, and whose record says so."""
    key = stage.key()
    # Far longer than a look at the store takes; in this process no longer than a planted bug may hold it up.
    seconds = 5.0 if stage.is_in_process else 45.0
    handle = task.using(cancellable=True, retry=Retry(3, on=(Exception,))).enqueue(key, seconds)
    if stage.is_in_process:
        with ThreadPoolExecutor(1) as other:  # in this thread the job runs
            answer = other.submit(_terminate, stage, handle, key)
            stage.wait(key, "left")
            assert answer.result() is Cancellation.TERMINATING
    else:
        assert _terminate(stage, handle, key) is Cancellation.TERMINATING
        stage.wait(key, "left")
    stage.finish(handle)
    assert handle.detail_status == "CANCELLED"
    assert len(stage.ledger.events(key, "start")) == 1
    return key


def _terminate(stage: Stage, handle: TaskResult[Any], key: str) -> Cancellation:
    deadline = time.monotonic() + 60
    while not stage.ledger.events(key, "start") and time.monotonic() < deadline:
        time.sleep(0.01)
    return handle.cancel(terminate=True)
