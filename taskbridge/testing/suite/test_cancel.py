"""`cancel`: a job that waits for its turn, its time or its next attempt does not start any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge import Cancellation, Retry
from taskbridge.testing.suite import slow, tasks
from taskbridge.testing.suite.behaviour import behaviour
from taskbridge.testing.suite.stage import ORDERED

if TYPE_CHECKING:
    from collections.abc import Iterator

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
