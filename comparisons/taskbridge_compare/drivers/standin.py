"""Stands in for TaskBridge in a native application, under its name: every decorator gives its function back.

So the functions of a workload's module run natively unchanged, and the native column measures no line of TaskBridge.
"""

from __future__ import annotations

from typing import Any


class _Inert:
    """Takes any arguments, has any attribute, does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self

    def __getattr__(self, name: str) -> _Inert:
        return self


def task(function: Any = None, /, **_: Any) -> Any:
    """`@task` and `@task(...)`: the function, unchanged."""
    return function if function is not None else (lambda decorated: decorated)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Inert
