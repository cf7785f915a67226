"""The decorator."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

import django
import pytest

from taskbridge.django import Backend, framework

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


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
