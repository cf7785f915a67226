"""What cannot be a task, said where it is declared."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge import Retry, task
from taskbridge.errors import InvalidTask
from taskbridge.hooks import Hooks
from taskbridge.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_lambda_is_refused() -> None:
    with pytest.raises(InvalidTask, match="top level of a module"):
        task(lambda: None)


def test_a_nested_function_is_refused() -> None:
    def nested() -> None: ...

    with pytest.raises(InvalidTask, match=r"nested.*top level of a module"):
        task(nested)


def test_a_method_is_refused() -> None:
    class Mailer:
        def send(self) -> None: ...

    with pytest.raises(InvalidTask, match="top level of a module"):
        task(Mailer.send)


def test_a_class_or_an_instance_is_refused() -> None:
    with pytest.raises(InvalidTask, match="no function"):
        task(Retry)


def generator() -> Iterator[int]:
    yield 1


def test_a_generator_is_refused() -> None:
    with pytest.raises(InvalidTask, match="would never run"):
        task(generator)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": 101}, "priority=101.*-100 to 100"),
        ({"priority": 1.5}, "whole number"),
        ({"timeout": 5}, "timedelta"),
        ({"timeout": timedelta(0)}, "above zero"),
        ({"retry": 3}, r"taskbridge\.Retry"),
        ({"run_after": timedelta(seconds=-1)}, "not negative"),
        ({"queue_name": ""}, "a name"),
        ({"delivery": "exactly_once"}, "at_least_once, at_most_once, effectively_once"),
        ({"delivery": "at_most_once", "retry": Retry(2, on=(Exception,))}, "contradict"),
        ({"timout": timedelta(seconds=1)}, "Did you mean 'timeout'"),
        ({"result": "yes"}, "True or False"),
        ({"backend": None}, "alias"),
    ],
)
def test_an_impossible_option_is_refused_and_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        task(**options)(generator_free)


def generator_free() -> None: ...


@pytest.mark.usefixtures("own_tasks")
@pytest.mark.parametrize("option", ["name", "takes_context", "native"])
def test_what_belongs_to_the_declaration_does_not_belong_to_a_call(option: str) -> None:
    declared = task(name=f"bad_input.{option}")(generator_free)
    with pytest.raises(InvalidTask, match="belongs to the declaration"):
        declared.using(**{option: None})


@pytest.mark.usefixtures("own_tasks")
def test_two_functions_of_one_name_are_refused() -> None:
    task(name="bad_input.same")(generator_free)
    with pytest.raises(InvalidTask) as caught:
        task(name="bad_input.same")(test_a_lambda_is_refused)
    assert "generator_free" in str(caught.value)
    assert "test_a_lambda_is_refused" in str(caught.value)


def test_a_task_declared_after_the_worker_started_is_refused() -> None:
    registry = Registry(Hooks())
    registry.freeze()
    with pytest.raises(InvalidTask, match=r"after the worker started.*`imports`"):
        registry.add(task(name="bad_input.late")(generator_free))
