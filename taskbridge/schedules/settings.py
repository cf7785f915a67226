"""Schedules from `[tool.taskbridge.periodic]` and `configure(periodic=...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from taskbridge.errors import ConfigurationError, InvalidTask, UndecodableMessage
from taskbridge.registry import Registry, registry
from taskbridge.router import router
from taskbridge.schedules.declare import Schedules, schedules, timetable
from taskbridge.schedules.schedule import Schedule
from taskbridge.settings.suggestion import did_you_mean

KEYS: Final = ("task", "cron", "every", "zone", "args", "kwargs", "missed", "jitter", "overlap", "expires")


def known_schedules() -> Schedules:
    """All schedules of this process; the tasks must have been imported. Raises as `with_settings`."""
    return with_settings(schedules, router.settings.periodic, registry)


def with_settings(declared: Schedules, tables: Mapping[str, Any], registry: Registry, /) -> Schedules:
    """What is declared, and what the settings add; the tasks must have been imported.

    Raises:
        ConfigurationError: an unknown task or key, a value that cannot be read, or a name that is taken.
    """
    known = Schedules()
    for schedule in declared:
        known.add(schedule)
    for name, table in tables.items():
        try:
            known.add(_schedule(name, table, registry))
        except (InvalidTask, UndecodableMessage) as error:
            raise ConfigurationError(f"The setting periodic.{name}: {error}") from error
    return known


def _schedule(name: str, table: Any, registry: Registry) -> Schedule:
    if not isinstance(table, Mapping) or "task" not in table:
        raise ConfigurationError(f"The setting periodic.{name} must be a table with a task, not {table!r:.200}.")
    for key in table:
        if key not in KEYS:
            raise ConfigurationError(f"The setting periodic.{name}: unknown key {key!r}.{did_you_mean(str(key), KEYS)}")
    task = registry.get(str(table["task"]))
    if task is None:
        tasks = [task.name for task in registry]
        hint = did_you_mean(str(table["task"]), tasks) if tasks else " None is declared: name its module in `imports`."
        raise ConfigurationError(f"The setting periodic.{name}: there is no task {table['task']!r}.{hint}")
    args, kwargs = table.get("args", ()), table.get("kwargs", {})
    if isinstance(args, str) or not isinstance(args, Sequence) or not isinstance(kwargs, Mapping):
        raise ConfigurationError(f"The setting periodic.{name}: args must be a list and kwargs a table.")
    typed_args, typed_kwargs = task.codec.decode(list(args), dict(kwargs))
    every = table.get("every")
    options = {key: table[key] for key in ("missed", "overlap") if key in table}
    if "jitter" in table:
        options["jitter"] = _span(name, "jitter", table["jitter"])
    if (expires := table.get("expires", "period")) != "period":
        options["expires"] = None if expires == "never" else _span(name, "expires", expires)
    return Schedule(
        name=name,
        task=task,
        timetable=timetable(
            table.get("cron"), None if every is None else _span(name, "every", every), table.get("zone")
        ),
        args=tuple(typed_args),
        kwargs=typed_kwargs,
        **options,
    )


def _span(name: str, key: str, value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):
            pass
    words = "a number of seconds" + (", 'period' or 'never'" if key == "expires" else "")
    raise ConfigurationError(f"The setting periodic.{name}: {key}={value!r} must be {words}.")
