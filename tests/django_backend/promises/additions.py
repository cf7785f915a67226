"""What TaskBridge adds to Django's API."""

from __future__ import annotations

import importlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import django
import pytest
from django.db import transaction

import taskbridge
from taskbridge.django import Backend, framework
from taskbridge.django.keywords import NAMES
from taskbridge.identity import new_id
from taskbridge.registry import registry
from taskbridge.schedules import Schedules, known_schedules
from taskbridge.schedules.settings import with_settings
from taskbridge.worker import import_tasks
from tests.django_backend.shop import signals
from tests.django_backend.worker import READY, SUCCESSFUL, Finish, received

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def test_every_option_of_taskbridge_is_one_of_the_task_class() -> None:
    assert {field.name for field in fields(Backend.task_class)} >= set(NAMES)


def test_what_has_been_done_once_is_successful_again_with_the_first_value(finish: Finish) -> None:
    first = finish(tasks.bill.enqueue("A-17"))
    second = finish(tasks.bill.enqueue(order="A-17"))
    assert (first.status, second.status) == (SUCCESSFUL, SUCCESSFUL)
    assert second.return_value == first.return_value
    assert (first.attempts, second.attempts) == (1, 0)
    assert [each["signal"] for each in received(second.id, 2)] == ["enqueued", "finished"]


def test_taskbridges_context_is_found_in_a_task_of_djangos_own_decorator(finish: Finish) -> None:
    result = finish(tasks.look.enqueue())
    assert result.status == SUCCESSFUL, result.errors
    assert result.return_value == {
        "id": result.id,
        "attempt": 2,
        "metadata": {"shop": "ann"},
        "queue": "default",
        "cancelled": False,
    }
    other = finish(tasks.look_from_a_coroutine.enqueue())
    assert other.return_value == [other.id, other.id]


def test_where_no_job_runs_there_is_no_context() -> None:
    with pytest.raises(taskbridge.NotInTask, match="called in place"):
        tasks.look.call()


def test_a_task_of_djangos_own_decorator_is_enqueued_by_the_clock(finish: Finish) -> None:
    import_tasks(())
    schedule = known_schedules().get("tests.django_backend.shop.tasks.greet")
    schedule.bind()
    nominal = datetime(2028, 2, 29, tzinfo=UTC)
    ticks = [schedule.enqueue(nominal, datetime.now(UTC)).id for _ in range(2)]
    assert ticks == [schedule.job_id(nominal)] * 2
    result = finish(tasks.greet.get_result(ticks[0]))
    assert (result.status, result.return_value, result.task.queue_name) == (SUCCESSFUL, ["leap day", True], "mail")
    told = [each["signal"] for each in received(ticks[0], 3)]
    assert told.count("started") == 1
    assert told.count("enqueued") >= 1


def test_the_settings_let_a_task_of_djangos_own_decorator_be_enqueued_by_the_clock(finish: Finish) -> None:
    import_tasks(())
    tables = {"often": {"task": "tests.django_backend.shop.tasks.greet", "every": 60, "args": ["hello"]}}
    schedule = with_settings(Schedules(), tables, registry).get("often")
    schedule.bind()
    job = schedule.trigger(new_id(), datetime.now(UTC))
    assert finish(tasks.greet.get_result(job.id)).return_value == ["hello", True]
    assert [each["signal"] for each in received(job.id, 3)] == ["enqueued", "started", "finished"]


@pytest.mark.parametrize(("task", "words"), [("declared_elsewhere", "is no task of TaskBridge's"), ("plain", "is no")])
def test_what_no_engine_of_ours_would_run_is_not_enqueued_by_the_clock(task: str, words: str) -> None:
    with pytest.raises(taskbridge.InvalidTask, match=words):
        taskbridge.periodic(every=timedelta(hours=1))(getattr(tasks, task))


@pytest.mark.skipif((6, 0) <= django.VERSION < (6, 1), reason="Django 6.0 has no task class of a backend's")
def test_a_job_that_waits_for_a_commit_says_so_and_is_told_of_then(finish: Finish) -> None:
    on_commit = tasks.double.using(timing="on_commit")
    with transaction.atomic():
        result = on_commit.enqueue(3)
        assert (result.timing, result.status) == ("on_commit", READY)
        assert signals.read(result.id) == []
    assert finish(result).return_value == 6
    assert received(result.id, 3)[0]["signal"] == "enqueued"
    with transaction.atomic():
        lost = on_commit.enqueue(3)
        transaction.set_rollback(True)
    assert signals.read(lost.id) == []
    with pytest.raises(framework.TaskResultDoesNotExist):
        tasks.double.get_result(lost.id)
