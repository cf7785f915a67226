"""A job that kills its worker is run again a stated number of times, and then no more."""

from __future__ import annotations

import pytest

import taskbridge
from taskbridge.context import Context
from taskbridge.errors import CrashedOut
from taskbridge.identity import new_ids
from taskbridge.message import Dead, Done, Message
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.worker import Environment, Runner


@taskbridge.task(name="crash-budget.attempt", takes_context=True)
def attempt_number(context: Context) -> int:
    return context.attempt


@pytest.mark.parametrize(("crashes", "runs"), [(0, True), (2, True), (3, False)])
def test_a_job_is_dead_once_its_worker_died_more_often_than_the_budget_allows(*, crashes: int, runs: bool) -> None:
    taskbridge.configure("memory://")
    environment = Environment(alias="default", registry=registry, open_store=lambda: None, crash_budget=2)
    runner = Runner(router.backend(), environment)
    message = Message(new_ids(1)[0], "crash-budget.attempt", [], {})
    outcome = runner(message, attempt=1, crashes=crashes)
    if runs:
        assert outcome == Done(1), "a crash is no attempt of the task's own"
    else:
        assert isinstance(outcome, Dead)
        assert outcome.reason == "crashed out"
        assert isinstance(outcome.error, CrashedOut)


def test_the_budget_is_an_option_of_every_url() -> None:
    taskbridge.configure("memory://?crash_budget=7")
    assert router.backend_settings("default").crash_budget == 7
