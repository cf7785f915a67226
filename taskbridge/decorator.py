"""`@task`: what may be declared, and what a type checker makes of it."""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

from taskbridge.codec import Codec
from taskbridge.errors import InvalidTask
from taskbridge.key import key_maker
from taskbridge.options import Delivery, TaskOptions
from taskbridge.registry import registry
from taskbridge.task import ContextTask, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime, timedelta

    from taskbridge.context import Context
    from taskbridge.retry import Retry
    from taskbridge.timing import Timing

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class _ContextDecorator(Protocol):
    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> ContextTask[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> ContextTask[P, R, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R, Coroutine[Any, Any, R]]: ...
@overload
def task(function: Callable[P, R], /) -> Task[P, R, R]: ...
@overload
def task(
    *,
    takes_context: Literal[True],
    name: str = ...,
    queue_name: str = ...,
    priority: int = ...,
    retry: Retry | None = ...,
    timeout: timedelta | None = ...,
    expires: timedelta | datetime | None = ...,
    run_after: timedelta | datetime | None = ...,
    result: bool = ...,
    delivery: Delivery | None = ...,
    cancellable: bool = ...,
    key: str | Callable[..., str] | None = ...,
    key_ttl: timedelta = ...,
    timing: Timing | None = ...,
    ordering_key: str | None = ...,
    native: Mapping[str, Mapping[str, Any]] = ...,
    backend: str = ...,
    metadata: Mapping[str, Any] = ...,
) -> _ContextDecorator: ...
@overload
def task(
    *,
    takes_context: Literal[False] = ...,
    name: str = ...,
    queue_name: str = ...,
    priority: int = ...,
    retry: Retry | None = ...,
    timeout: timedelta | None = ...,
    expires: timedelta | datetime | None = ...,
    run_after: timedelta | datetime | None = ...,
    result: bool = ...,
    delivery: Delivery | None = ...,
    cancellable: bool = ...,
    key: str | Callable[..., str] | None = ...,
    key_ttl: timedelta = ...,
    timing: Timing | None = ...,
    ordering_key: str | None = ...,
    native: Mapping[str, Mapping[str, Any]] = ...,
    backend: str = ...,
    metadata: Mapping[str, Any] = ...,
) -> _Decorator: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Declare a task, with or without options.

    It reads no settings: options are checked against a backend when the task meets one.

    Raises:
        InvalidTask: the function cannot be found again by a worker, or an option has an impossible value.
    """
    if function is None:
        return functools.partial(_declare, options=options)
    return _declare(function, options=options)


def _declare(function: Callable[..., Any], *, options: Mapping[str, Any]) -> Task[..., Any, Any]:
    if not inspect.isfunction(function):
        raise InvalidTask(f"{function!r} is no function. Put @task on a function at the top level of a module.")
    module_path = f"{function.__module__}.{function.__qualname__}"
    if "<" in function.__qualname__ or "." in function.__qualname__:
        raise InvalidTask(
            f"{module_path} cannot be a task: a worker imports its tasks. Move it to the top level of a module."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidTask(f"{module_path} is a generator, whose body would never run. Return instead of yielding.")
    checked = TaskOptions(name=module_path).changed(options)
    codec = Codec(function, name=checked.name, takes_context=checked.takes_context)
    declared: Task[..., Any, Any] = (ContextTask if checked.takes_context else Task)(
        function, checked, codec, module_path
    )
    key_maker(declared)
    registry.add(declared)
    return declared
