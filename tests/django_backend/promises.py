"""Django's documentation of tasks and of `BaseTaskBackend`, promise by promise, against the backend of the settings.

Run in a process that is a Django project, by `test_promises.py`. The order is that of Django's reference:
the decorator, Task, TaskContext, TaskResultStatus, TaskResult, TaskError, BaseTaskBackend, feature flags, exceptions;
then the topic guide: JSON, transactions, results from elsewhere; then the signals.
"""

from __future__ import annotations

import asyncio
import importlib
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

import taskbridge
from taskbridge.django import Backend, framework
from taskbridge.django.keywords import NAMES
from taskbridge.identity import new_id
from taskbridge.options import TaskOptions
from taskbridge.process import Command, Process
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.schedules import Schedules, known_schedules
from taskbridge.schedules.settings import with_settings
from taskbridge.testing import MemoryBackend
from taskbridge.worker import import_tasks, served_queues
from tests.django_backend.shop import signals

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")
PATIENCE = timedelta(seconds=60)
OURS = "taskbridge.django.backend.Backend"
READY, RUNNING, FAILED, SUCCESSFUL = (
    framework.TaskResultStatus.READY,
    framework.TaskResultStatus.RUNNING,
    framework.TaskResultStatus.FAILED,
    framework.TaskResultStatus.SUCCESSFUL,
)

Until = Callable[[Any, Callable[[Any], object]], Any]
Finish = Callable[[Any], Any]


@pytest.fixture(scope="session")
def backend() -> Any:
    return framework.task_backends["default"]


@pytest.fixture(scope="session", autouse=True)
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process | None]:
    """A worker that is told nothing: the settings say where the jobs are, the applications where the tasks are."""
    if isinstance(router.backend(), MemoryBackend):
        yield None
        return
    log = tmp_path_factory.mktemp("worker") / "log"
    command = Command(argv=(sys.executable, "-m", "django", "taskbridge", "worker"), environment={})
    with Process(command, log=log) as process:
        try:
            yield process
        finally:
            print(log.read_text()[-6000:])


@pytest.fixture(scope="session")
def until(worker: Process | None) -> Until:
    """Wait until a result is as it should be, whoever runs the job, and give it as it is then."""

    def until(result: Any, holds: Callable[[Any], object]) -> Any:
        memory = router.backend()
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while not holds(result):
            assert time.monotonic() < deadline, f"not seen within {PATIENCE}: {result}"
            if isinstance(memory, MemoryBackend):
                memory.run_all()
            else:
                assert worker is not None
                assert worker.running
                time.sleep(0.01)
            result.refresh()
        return result

    return until


@pytest.fixture(scope="session")
def finish(until: Until) -> Finish:
    """Wait for the end of a job, and give its result as it is then."""
    return lambda result: until(result, lambda result: result.is_finished)


def received(job_id: str, count: int) -> list[dict[str, Any]]:
    """The signals of a job, once there are so many: the last is sent after its result is recorded.

    The sender's own comes first, although a quick worker may begin before it is sent.
    """
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while len(signals.read(job_id)) < count:
        assert time.monotonic() < deadline, signals.read(job_id)
        time.sleep(0.01)
    return sorted(signals.read(job_id), key=lambda each: each["signal"] != "enqueued")


# The decorator


def test_the_decorator_makes_a_task_of_the_backend_with_and_without_arguments() -> None:
    for made in (tasks.task(tasks.plain), tasks.task()(tasks.plain), tasks.task(queue_name="mail")(tasks.plain)):
        assert isinstance(made, framework.Task)
        assert type(made) is Backend.task_class
    assert (made.queue_name, made.priority, made.backend, made.takes_context) == ("mail", 0, "default", False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queue_name": "nowhere"}, "Queue 'nowhere' is not valid"),
        ({"priority": 101}, "priority must be a whole number between -100 and 100"),
        ({"priority": -101}, "priority must be a whole number between -100 and 100"),
        ({"takes_context": True}, "first argument of 'context'"),
    ],
)
def test_a_task_that_is_not_valid_is_refused_where_it_is_declared(options: dict[str, Any], words: str) -> None:
    if "priority" in options and not framework.task_backends["default"].supports_priority:
        words = "priority"
    with pytest.raises(framework.InvalidTask, match=words):
        tasks.task(**options)(tasks.plain)


def test_only_functions_at_module_level_are_tasks() -> None:
    def inner() -> None: ...

    for no_task in (inner, len, "text"):
        with pytest.raises((framework.InvalidTask, AttributeError)):
            tasks.task(no_task)


def test_an_alias_that_is_not_in_the_settings_is_refused() -> None:
    with pytest.raises(framework.InvalidTaskBackend, match="nowhere"):
        tasks.double.using(backend="nowhere")


@pytest.mark.skipif((6, 0) <= django.VERSION < (6, 1), reason="Django 6.0 forwards no further keywords")
def test_further_keywords_of_the_decorator_are_options_of_the_task_class() -> None:
    made = tasks.declare_with_keywords()
    assert (made.retry.attempts, made.expires) == (2, timedelta(hours=1))
    with pytest.raises(TypeError, match="retries"):
        tasks.task(retries=3)(tasks.plain)
    with pytest.raises(framework.InvalidTask, match="timeout"):
        tasks.task(timeout=timedelta(seconds=-1))(tasks.plain)


# Task


@pytest.mark.parametrize("attribute", [field.name for field in fields(framework.Task)])
def test_attributes_of_a_task_cannot_be_modified(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(tasks.double, attribute, None)


def test_a_task_has_the_name_of_its_function_and_the_path_of_its_module() -> None:
    assert tasks.double.name == "double"
    assert tasks.double.module_path == "tests.django_backend.shop.tasks.double"


def test_a_task_is_called_in_place_by_call_and_acall_only() -> None:
    assert tasks.double.call(2) == 4
    assert tasks.later.call(2) == 3
    assert asyncio.run(tasks.double.acall(2)) == 4
    assert asyncio.run(tasks.later.acall(2)) == 3
    with pytest.raises(TypeError, match="not callable"):
        tasks.double(2)


def test_using_makes_a_task_with_other_options_and_leaves_the_first_as_it_was(backend: Any) -> None:
    moment = timezone.now() + timedelta(days=1)
    changes: dict[str, Any] = {"queue_name": "mail", "backend": "default"}
    if backend.supports_defer:
        changes["run_after"] = moment
    if backend.supports_priority:
        changes["priority"] = 10
    other = tasks.double.using(**changes)
    assert {name: getattr(other, name) for name in changes} == changes
    assert (tasks.double.queue_name, tasks.double.run_after, tasks.double.priority) == ("default", None, 0)
    assert other.using() == other
    assert other.func is tasks.double.func


def test_a_task_goes_to_the_queue_that_it_names(finish: Finish) -> None:
    assert finish(tasks.double.using(queue_name="mail").enqueue(2)).task.queue_name == "mail"


def test_a_task_declared_for_another_backend_goes_to_ours_by_using(finish: Finish) -> None:
    result = finish(tasks.declared_elsewhere.using(backend="default").enqueue(3))
    assert (result.status, result.return_value, result.backend) == (SUCCESSFUL, 3, "default")


def test_a_run_after_is_not_early_whether_a_moment_or_a_time_from_now(backend: Any, finish: Finish) -> None:
    moment = timezone.now() + timedelta(seconds=1)
    if not backend.supports_defer:
        with pytest.raises(framework.InvalidTask, match="run_after"):
            tasks.now.using(run_after=moment)
        return
    first = tasks.now.using(run_after=moment).enqueue()
    second = tasks.now.using(run_after=timedelta(seconds=1)).enqueue()
    assert first.status == READY
    assert finish(first).return_value >= first.task.run_after.timestamp()
    assert finish(second).return_value >= second.task.run_after.timestamp()
    assert second.task.run_after >= moment


def test_a_naive_run_after_is_refused(backend: Any) -> None:
    with pytest.raises(framework.InvalidTask, match="run_after"):
        tasks.now.using(run_after=datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_priority_is_refused_or_kept(backend: Any, finish: Finish) -> None:
    if not backend.supports_priority:
        with pytest.raises(framework.InvalidTask, match="priority"):
            tasks.double.using(priority=5)
        return
    assert finish(tasks.double.using(priority=5).enqueue(2)).task.priority == 5


def test_what_is_enqueued_is_given_back_as_a_result_that_is_ready() -> None:
    before = timezone.now()
    result = tasks.echo.enqueue(1, "two", three=[4.5, None, {"five": True}])
    assert isinstance(result, framework.TaskResult)
    assert (result.task, result.backend, result.status) == (tasks.echo, "default", READY)
    assert (result.args, result.kwargs) == ([1, "two"], {"three": [4.5, None, {"five": True}]})
    assert before <= result.enqueued_at <= timezone.now()
    assert (result.started_at, result.finished_at, result.last_attempted_at) == (None, None, None)
    assert (result.errors, result.worker_ids, result.attempts, result.is_finished) == ([], [], 0, False)
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


def test_a_coroutine_enqueues_and_asks(finish: Finish) -> None:
    async def enqueue() -> Any:
        result = await tasks.double.aenqueue(4)
        assert (await tasks.double.aget_result(result.id)).args == result.args == [4]
        return result

    result = finish(asyncio.run(enqueue()))
    assert result.return_value == 8

    async def refresh() -> Any:
        fresh = await framework.task_backends["default"].aget_result(result.id)
        await fresh.arefresh()
        return fresh

    assert asyncio.run(refresh()) == result


def test_a_result_is_found_by_its_id_alone_with_all_that_it_had(finish: Finish) -> None:
    result = tasks.echo.using(queue_name="mail").enqueue(1, two="2")
    found = tasks.echo.get_result(result.id)
    assert (found.id, found.args, found.kwargs, found.enqueued_at) == (result.id, [1], {"two": "2"}, result.enqueued_at)
    assert found.task.queue_name == "mail"
    finish(result)
    assert tasks.echo.get_result(result.id) == result


def test_the_result_of_another_task_is_a_mismatch() -> None:
    result = tasks.double.enqueue(1)
    from_exceptions = importlib.import_module(f"{framework.MODULE}.exceptions")
    with pytest.raises(from_exceptions.TaskResultMismatch):
        tasks.echo.get_result(result.id)
    with pytest.raises(from_exceptions.TaskResultMismatch):
        asyncio.run(tasks.echo.aget_result(result.id))


@pytest.mark.parametrize("nobody", ["", "nobody", "0" * 63, "../é\x00'\""])
def test_a_result_that_is_not_there_does_not_exist(nobody: str) -> None:
    with pytest.raises(framework.TaskResultDoesNotExist):
        tasks.double.get_result(nobody)
    with pytest.raises(framework.TaskResultDoesNotExist):
        asyncio.run(tasks.double.aget_result(nobody))


# TaskContext


def test_the_context_has_the_attempt_and_the_result_that_is_being_run(finish: Finish) -> None:
    result = finish(tasks.tell.enqueue(word="hello"))
    assert result.status == SUCCESSFUL, result.errors
    told = result.return_value
    assert told["attempt"] == 1
    assert (told["id"], told["args"], told["kwargs"]) == (result.id, [], {"word": "hello"})
    assert told["status"] == told["kept_status"] == RUNNING
    assert told["worker_ids"] == told["kept_worker_ids"] == result.worker_ids


def test_attempts_count_from_one_and_the_context_knows_of_the_earlier(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(2))
    assert (result.status, result.return_value) == (SUCCESSFUL, [3, 3, 2])
    assert (result.attempts, len(result.worker_ids)) == (3, 3)


def test_attributes_of_a_context_cannot_be_modified() -> None:
    context = framework.TaskContext(task_result=tasks.double.enqueue(1))
    with pytest.raises(FrozenInstanceError):
        setattr(context, "task_result", None)  # noqa: B010 - what a type checker refuses


# TaskResult


def test_a_job_that_succeeds_has_its_times_its_value_and_its_worker(finish: Finish) -> None:
    result = finish(tasks.double.enqueue(21))
    assert (result.status, result.return_value, result.is_finished, result.errors) == (SUCCESSFUL, 42, True, [])
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at
    assert result.attempts == len(result.worker_ids) == 1
    assert all(isinstance(worker, str) and 0 < len(worker) < 64 for worker in result.worker_ids)


def test_an_id_is_a_string_of_less_than_64_characters() -> None:
    result = tasks.double.enqueue(1)
    assert isinstance(result.id, str)
    assert 0 < len(result.id) < 64


def test_a_job_that_fails_has_an_error_of_each_execution(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(9))
    assert (result.status, result.is_finished, result.attempts) == (FAILED, True, 3)
    assert [error.exception_class for error in result.errors] == [ValueError] * 3
    assert result.started_at < result.last_attempted_at <= result.finished_at
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_a_failed_job_that_is_to_run_again_is_ready_meanwhile(until: Until) -> None:
    result = until(tasks.patient.enqueue(), lambda result: result.errors)
    assert (result.status, result.attempts, result.is_finished, result.finished_at) == (READY, 1, False, None)


@pytest.mark.parametrize("attribute", [field.name for field in fields(framework.TaskResult)])
def test_attributes_of_a_result_cannot_be_modified(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(tasks.double.enqueue(1), attribute, None)


def test_a_result_stays_as_it_was_read_until_it_is_refreshed(backend: Any, finish: Finish) -> None:
    result = tasks.double.enqueue(1)
    early = backend.get_result(result.id)
    as_read = early.status
    finish(result)
    assert early.status == as_read
    early.refresh()
    assert (early.status, early.return_value) == (SUCCESSFUL, 2)


# TaskError


def test_an_error_has_the_class_and_the_traceback_as_text(finish: Finish) -> None:
    (error,) = finish(tasks.fail.enqueue("the shop is closed")).errors
    assert type(error) is framework.TaskError
    assert error.exception_class is ValueError
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert error.traceback.endswith("ValueError: the shop is closed\n")
    assert "taskbridge" not in error.traceback.replace(__file__.rpartition("/tests/")[0], "")


def test_a_task_that_could_not_give_its_value_has_failed_with_the_reason(finish: Finish) -> None:
    result = finish(tasks.unkeepable.enqueue())
    assert result.status == FAILED
    assert issubclass(result.errors[0].exception_class, TypeError)


# BaseTaskBackend


def test_backends_are_found_by_their_alias(backend: Any) -> None:
    package = importlib.import_module(framework.MODULE)
    assert isinstance(backend, framework.BaseTaskBackend)
    assert package.default_task_backend.alias == backend.alias == "default"
    assert package.default_task_backend.get_result(tasks.double.enqueue(1).id).args == [1]
    assert framework.task_backends["Second"].queues == {"second"}


def test_a_backend_has_the_options_of_the_settings(backend: Any) -> None:
    assert backend.options["result_ttl"] == 600
    assert router.backend_settings("default").result_ttl == timedelta(seconds=600)


def test_a_backend_enqueues_what_it_is_given(backend: Any, finish: Finish) -> None:
    assert finish(backend.enqueue(tasks.double, [3], {})).return_value == 6
    assert finish(asyncio.run(backend.aenqueue(tasks.double, [], {"number": 4}))).return_value == 8


def test_a_backend_gives_the_result_of_any_task(backend: Any) -> None:
    results = [tasks.double.enqueue(1), tasks.fail.enqueue("so")]
    assert [backend.get_result(result.id).task.name for result in results] == ["double", "fail"]
    assert [asyncio.run(backend.aget_result(result.id)).task.name for result in results] == ["double", "fail"]


def test_the_result_of_another_alias_is_not_there() -> None:
    result = tasks.double.enqueue(1)
    with pytest.raises(framework.TaskResultDoesNotExist):
        framework.task_backends["Second"].get_result(result.id)


def test_a_task_is_validated_by_the_backend_that_it_goes_to(backend: Any) -> None:
    backend.validate_task(tasks.double)
    with pytest.raises(framework.InvalidTask, match="Queue 'default' is not valid"):
        framework.task_backends["Second"].validate_task(tasks.double)
    with pytest.raises(framework.InvalidTask, match="Queue 'default' is not valid"):
        framework.task_backends["Second"].enqueue(tasks.double, [1], {})


def test_a_function_that_a_worker_could_not_find_is_refused_when_it_is_enqueued() -> None:
    hidden = tasks.task(tasks.plain)
    with pytest.raises(framework.InvalidTask, match="worker could not find it"):
        hidden.enqueue(1)


# Feature flags


def test_the_flags_say_what_the_engine_can_do(backend: Any, finish: Finish) -> None:
    record = router.backend().capabilities
    assert backend.supports_defer is not record.run_after.is_refused
    assert backend.supports_priority is not record.priority.is_refused
    assert backend.supports_async_task is True
    assert backend.supports_get_result is True
    assert finish(tasks.later.enqueue(1)).return_value == 2


# Settings and exceptions


def _tasks_setting(**params: Any) -> Any:
    from django.conf import settings

    return {**settings.TASKS, "default": {"BACKEND": "taskbridge.django.Backend", **params}}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"OPTIONS": {"url": "memory"}}, "not a backend URL"),
        ({"OPTIONS": {"url": "memory://", "colour": "red"}}, "unknown option 'colour'"),
        ({"OPTIONS": {"url": "memory://?size_limit=1", "size_limit": 2}}, "size_limit twice"),
        ({"OPTIONS": {"size_limit": 2}}, "and no url"),
        ({"OPTIONS": {"url": "memory://", "result_ttl": "soon"}}, "result_ttl=soon is not a whole number"),
        ({"OPTIONS": {"url": "django+db://default"}}, "go round in a circle"),
    ],
)
def test_settings_that_cannot_work_are_an_invalid_backend(params: dict[str, Any], words: str) -> None:
    with (
        override_settings(TASKS=_tasks_setting(**params)),
        pytest.raises(framework.InvalidTaskBackend, match=words),
    ):
        tasks.double.enqueue(1)


def test_an_empty_list_of_queues_allows_every_name(tmp_path: Path) -> None:
    assert framework.task_backends["Any"].queues == set()
    result = tasks.double.using(backend="Any", queue_name="odd").enqueue(4)
    memory = router.backend("Any")
    if isinstance(memory, MemoryBackend):
        assert [job.queue_name for job in memory.jobs] == ["odd"]
        return
    argv = (sys.executable, "-m", "django", "taskbridge", "worker", "-b", "Any", "-Q", "odd", "--no-scheduler")
    deadline = time.monotonic() + PATIENCE.total_seconds()
    with Process(Command(argv=argv, environment={}), log=tmp_path / "log") as process:
        while not (result.refresh() or result.is_finished):
            assert process.running, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
    assert (result.return_value, result.task.queue_name, result.backend) == (8, "odd", "Any")


def test_a_worker_of_every_queue_serves_those_that_tasks_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import_tasks(())
    assert served_queues("Any") == router.settings.queues
    monkeypatch.setattr(registry.get(tasks.fail.module_path), "options", TaskOptions(backend="Any", queue_name="seen"))
    assert served_queues("Any") == (*router.settings.queues, "seen")
    assert served_queues("default") == ("default", "mail")


def test_a_backend_without_a_store_supports_no_results_and_runs_all_the_same() -> None:
    options = {"url": "celery+amqp://127.0.0.1:1"}
    with override_settings(TASKS=_tasks_setting(OPTIONS=options)):
        backend = framework.task_backends["default"]
        assert backend.supports_get_result is False
        with pytest.raises(NotImplementedError):
            backend.get_result("any")
        with pytest.raises(NotImplementedError):
            asyncio.run(backend.aget_result("any"))


# JSON, transactions


def test_arguments_that_json_does_not_have_are_a_type_error() -> None:
    for value in (datetime.now(UTC), object(), {1, 2}, {1: 2}, tasks.Broken):
        with pytest.raises(TypeError):
            tasks.echo.enqueue(value)


def test_a_tuple_arrives_as_a_list_and_text_of_any_kind_as_text(finish: Finish) -> None:
    result = finish(tasks.echo.enqueue((1, 2, (3,)), b"bytes", word=SUCCESSFUL))
    assert result.args == [[1, 2, [3]], "bytes"]
    assert result.kwargs == {"word": "SUCCESSFUL"}
    assert result.return_value == [[[1, 2, [3]], "bytes"], {"word": "SUCCESSFUL"}]


def test_an_annotation_carries_what_json_does_not_have(finish: Finish) -> None:
    from decimal import Decimal

    result = finish(tasks.typed.enqueue(Decimal("1.10"), when=datetime(2030, 1, 2, tzinfo=UTC)))
    assert result.return_value == Decimal("2.10")
    assert result.args == ["1.10"]


def test_a_job_is_enqueued_when_a_transaction_is_committed(finish: Finish) -> None:
    results: list[Any] = []
    with transaction.atomic():
        transaction.on_commit(lambda: results.append(partial(tasks.double.enqueue, number=1)()))
        assert results == []
    assert finish(results[0]).return_value == 2


@pytest.mark.skipif(django.VERSION < (6, 1), reason="tasks can be pickled from Django 6.1 on")
def test_a_task_survives_a_pickle_with_its_options() -> None:
    import taskbridge

    task = tasks.double.using(queue_name="mail", retry=taskbridge.Retry(4, on=(ValueError,)))
    assert pickle.loads(pickle.dumps(task)) == task


# Signals


def test_the_signals_tell_of_a_job_that_succeeds(finish: Finish) -> None:
    result = finish(tasks.double.enqueue(number=4))
    enqueued, started, finished = received(result.id, 3)
    assert [each["signal"] for each in (enqueued, started, finished)] == ["enqueued", "started", "finished"]
    assert {each["sender"] for each in (enqueued, started, finished)} == {OURS}
    assert [each["status"] for each in (enqueued, started, finished)] == ["READY", "RUNNING", "SUCCESSFUL"]
    assert [each["attempts"] for each in (enqueued, started, finished)] == [0, 1, 1]
    assert {str(each["kwargs"]) for each in (enqueued, started, finished)} == {"{'number': 4}"}
    assert {each["backend"] for each in (enqueued, started, finished)} == {"default"}
    assert finished["value"] == 8
    assert finished["times"] == [result.enqueued_at.isoformat(), result.started_at.isoformat()]


def test_the_end_of_a_job_is_told_once_after_its_last_attempt(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(9))
    told = received(result.id, 5)
    assert [each["signal"] for each in told] == ["enqueued", "started", "started", "started", "finished"]
    assert [each["attempts"] for each in told] == [0, 1, 2, 3, 3]
    assert told[-1]["errors"] == ["builtins.ValueError"] * 3


# What TaskBridge adds


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
