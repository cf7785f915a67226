"""Options that several verbs have."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from taskbridge.registry import registry
from taskbridge.settings import did_you_mean
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from taskbridge.task import Task

modules = click.option(
    "-A", "--module", "modules", multiple=True, metavar="MODULE", help="Import the tasks of this module; repeatable."
)
backend = click.option("-b", "--backend", "alias", default="default", show_default=True, help="Alias of the backend.")
as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")


class Seconds(click.ParamType[timedelta]):
    """A time in seconds, as a timedelta."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            seconds = timedelta(seconds=float(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        if seconds < timedelta(0):
            self.fail(f"{value!r} is negative.", param, ctx)
        return seconds


def find_task(name: str, modules: tuple[str, ...], /) -> Task[..., Any, Any]:
    """The task under this name or module path, after importing the modules and those of the settings."""
    import_tasks(modules)
    for task in registry:
        if name in (task.name, task.module_path):
            return task
    known = [task.name for task in registry]
    hint = did_you_mean(name, known) if known else " No task is declared: name a module with -A."
    raise click.UsageError(f"There is no task {name!r}.{hint}")
