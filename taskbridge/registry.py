"""Names to tasks. Tasks register at import; a worker freezes the registry when it starts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from taskbridge.errors import ConfigurationError, InvalidTask
from taskbridge.hooks import Hooks, hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taskbridge.backend import Backend
    from taskbridge.task import Task


class Registry:
    """The tasks of one application."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self._tasks: dict[str, Task[..., Any, Any]] = {}
        self._is_frozen = False

    def add(self, task: Task[..., Any, Any], /) -> None:
        """Make a task known under its name.

        Raises:
            InvalidTask: another function has the name already, or the worker has started.
        """
        if self._is_frozen:
            raise InvalidTask(
                f"The task {task.name!r} is declared after the worker started, so that engines which were told their "
                f"tasks at the start would not know it. Declare it at import, in a module named in `imports`."
            )
        other = self._tasks.get(task.name)
        if other is not None and other.module_path != task.module_path:
            raise InvalidTask(
                f"The name {task.name!r} stands for {other.module_path} already and cannot stand for "
                f"{task.module_path} too. Give one of them another: @task(name=...)."
            )
        self._tasks[task.name] = task

    def __iter__(self) -> Iterator[Task[..., Any, Any]]:
        return iter(self._tasks.values())

    def get(self, name: str) -> Task[..., Any, Any] | None:
        return self._tasks.get(name)

    def discover(self, modules: Iterable[str], /) -> None:
        """Import the modules that declare tasks.

        Raises:
            ConfigurationError: there is no such module. What fails inside a module is raised as it is.
        """
        for name in modules:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                    raise
                raise ConfigurationError(
                    f"The module {name!r} in `imports` (or -A) is not found. Run from the project's folder, or "
                    f"install the project."
                ) from error

    def freeze(self) -> None:
        """From here on no task may be declared."""
        self._is_frozen = True

    def by_wire_name(self, backend: Backend, /) -> Mapping[str, Task[..., Any, Any]]:
        """The tasks under the names that lie on this backend's broker.

        Raises:
            InvalidTask: two tasks share one wire name.
        """
        names: dict[str, Task[..., Any, Any]] = {}
        for task in self:
            name = wire_name(task, backend)
            if (other := names.get(name)) is not None:
                raise InvalidTask(
                    f"On {backend.engine} both {other.name!r} and {task.name!r} are called {name!r}. Pin another name "
                    f"to one of them: native={{{backend.engine!r}: {{'name': ...}}}}."
                )
            names[name] = task
        return names


def wire_name(task: Task[..., Any, Any], backend: Backend, /) -> str:
    """What the task is called on this backend's broker."""
    pinned = task.options.native.get(backend.engine, {}).get("name")
    if pinned is not None:
        return str(pinned)
    return task.name if backend.wire_names == "name" else task.module_path


registry = Registry(hooks)
"""The process's own: `@taskbridge.task` adds to it."""
