"""`delivery`: written on a task it is checked, and unset it is the best that the backend holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge import Retry
from taskbridge.errors import InvalidTask, UnsupportedFeature
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour

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


def test_exactly_once_is_not_promised(stage: Stage) -> None:
    with pytest.raises(UnsupportedFeature, match="effectively_once"):
        tasks.note.using(delivery="effectively_once").enqueue(stage.key())


def test_at_most_once_and_a_retry_contradict_each_other(stage: Stage) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidTask, match="contradict"):
        tasks.note.using(delivery="at_most_once", retry=Retry(2))
