"""What a call says otherwise than its task's declaration reaches the worker, and so does taking an option back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge import Context, Retry, task
from taskbridge.errors import InvalidTask
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.settings import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing import MemoryBackend

attempts: list[int] = []
deadlines: list[object] = []


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    attempts.clear()
    deadlines.clear()
    yield
    router.configure(None)


def fails(context: Context) -> None:
    attempts.append(context.attempt)
    raise ValueError("always")


def limited(context: Context) -> None:
    deadlines.append(context.deadline)


def test_a_call_may_take_the_retries_back(taskbridge_memory: MemoryBackend) -> None:
    declared = task(takes_context=True, retry=Retry(3, delay=timedelta(0), on=(Exception,)))(fails)
    declared.using(retry=None).enqueue()
    taskbridge_memory.run_all()
    assert attempts == [1]
    declared.enqueue()
    taskbridge_memory.run_all()
    assert attempts == [1, 1, 2, 3]


def test_a_retry_that_does_not_say_on_which_errors_is_refused_at_the_declaration() -> None:
    with pytest.raises(InvalidTask, match=r"Retry\(3\) does not say.*on=\(Exception,\)"):
        task(retry=Retry(3))(limited)


def test_a_call_takes_the_errors_of_the_declaration_unless_it_names_its_own() -> None:
    declared = task(retry=Retry(3, on=(OSError,), give_up_on=(FileNotFoundError,)))(limited)
    policy = declared.using(retry=Retry(9)).options.retry
    assert policy == Retry(9, on=(OSError,), give_up_on=(FileNotFoundError,))


def test_a_call_cannot_narrow_the_errors_of_a_task_that_declares_no_retry(taskbridge_memory: MemoryBackend) -> None:
    declared = task(takes_context=True)(fails)
    with pytest.raises(InvalidTask, match="does not say"):
        declared.using(retry=Retry(2))
    with pytest.raises(InvalidTask, match="do not travel"):
        declared.using(retry=Retry(2, on=(OSError,))).enqueue()
    declared.using(retry=Retry(2, delay=timedelta(0), on=(Exception,))).enqueue()
    taskbridge_memory.run_all()
    assert attempts == [1, 2]


def test_a_call_may_take_the_limit_back(taskbridge_memory: MemoryBackend) -> None:
    declared = task(takes_context=True, timeout=timedelta(seconds=5))(limited)
    declared.using(timeout=None).enqueue()
    declared.enqueue()
    taskbridge_memory.run_all()
    assert deadlines[0] is None
    assert deadlines[1] is not None


def test_using_leaves_the_task_as_it_is() -> None:
    declared = task(fails)
    copy = declared.using(priority=5)
    assert declared.options.priority == 0
    assert copy.options.priority == 5
    assert copy is not declared


def test_the_time_that_results_are_kept_is_a_setting() -> None:
    assert parse_url("rq+redis://h").result_ttl == timedelta(days=1)
    assert parse_url("rq+redis://h?result_ttl=60").result_ttl == timedelta(minutes=1)
