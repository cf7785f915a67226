"""TaskBridge's options on a task that is declared under Django's own decorator."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from taskbridge.errors import InvalidTask
from taskbridge.options import TaskOptions
from taskbridge.settings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

OF_DJANGO: Final = frozenset({"name", "queue_name", "priority", "run_after", "takes_context", "backend"})
"""Said by Django's decorator and `using`, or not at all."""
NAMES: Final = tuple(field.name for field in fields(TaskOptions) if field.name not in OF_DJANGO)
"""The options that TaskBridge adds."""

_ATTRIBUTE: Final = "__taskbridge_options__"


def options(**said: Any) -> Callable[[F], F]:
    """Put options of TaskBridge on a function, below Django's `@task`: for code that other backends run too.

    They take no notice of it, where keywords of `@task` would be an error at import.

    Raises:
        InvalidTask: an option that Django's decorator has, an unknown one, or an impossible value.
    """
    for name in said:
        if name in OF_DJANGO:
            raise InvalidTask(f"{name!r} is an option of Django's own: @task({name}=...), or using({name}=...).")
        if name not in NAMES:
            raise InvalidTask(f"Unknown option {name!r}.{did_you_mean(name, NAMES)}")
    TaskOptions().changed(said)

    def put(function: F) -> F:
        setattr(function, _ATTRIBUTE, said)
        return function

    return put


def options_on(function: Callable[..., Any], /) -> Mapping[str, Any]:
    """What `options` has put there."""
    said: Mapping[str, Any] = getattr(function, _ATTRIBUTE, {})
    return said
