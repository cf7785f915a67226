"""System checks: what can be seen from a project's settings and tasks. `taskbridge check` looks at the servers too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import Error
from django.core.checks import Warning as CheckWarning

from taskbridge.django import framework
from taskbridge.django.adoption import find
from taskbridge.django.discovery import set_up
from taskbridge.django.keywords import options_on
from taskbridge.errors import ConfigurationError
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage


def backend_findings(backend: Any, /) -> Iterator[CheckMessage]:
    """Of one alias: its engine, then its tasks."""
    alias = backend.alias
    set_up()
    try:
        engine = router.backend(alias).engine
    except ConfigurationError as problem:
        yield Error(f"TASKS[{alias!r}] cannot be used: {problem}", id="taskbridge.E001")
        return
    timing = router.backend_settings(alias).timing
    if engine == "memory" and not settings.DEBUG:
        yield CheckWarning(
            f"TASKS[{alias!r}] keeps its jobs in the process that enqueues them: they end with it.",
            hint="memory:// is for tests. Say in OPTIONS['url'] where the jobs shall lie.",
            id="taskbridge.W001",
        )
    atomic = [name for name, database in settings.DATABASES.items() if database.get("ATOMIC_REQUESTS")]
    if atomic and timing == "now":
        yield CheckWarning(
            f"Requests are transactions on DATABASES {', '.join(atomic)}, and jobs of TASKS[{alias!r}] go to their "
            f"broker at once: they start before the commit, and are there after a rollback.",
            hint="OPTIONS: 'timing': 'on_commit' or 'outbox'.",
            id="taskbridge.W002",
        )
    yield from _task_findings(backend)


def project_findings() -> Iterator[CheckMessage]:
    """Of the project as a whole."""
    for name, database in settings.DATABASES.items():
        keeps = database.get("CONN_MAX_AGE", 0) != 0
        if keeps and not database.get("CONN_HEALTH_CHECKS") and "sqlite" not in str(database.get("ENGINE")):
            yield CheckWarning(
                f"DATABASES[{name!r}] keeps connections and does not look whether they still work: after a restart of "
                f"the server the first job of each worker fails.",
                hint="CONN_HEALTH_CHECKS = True, beside CONN_MAX_AGE.",
                id="taskbridge.W003",
            )
    if not settings.USE_TZ:
        yield CheckWarning(
            "Times of jobs are naive, in TIME_ZONE: an hour a year a run_after names two moments.",
            hint="USE_TZ = True.",
            id="taskbridge.W004",
        )
    for task in _loaded_tasks():
        if options_on(task.func) and not task.get_backend().__module__.startswith("taskbridge."):
            yield CheckWarning(
                f"{task.module_path} has options of TaskBridge, of which the backend of TASKS[{task.backend!r}] takes "
                f"no notice.",
                hint="Name an alias whose BACKEND is taskbridge.django.Backend, or take the options off.",
                id="taskbridge.W005",
            )


def _task_findings(backend: Any) -> Iterator[CheckMessage]:
    for task in _loaded_tasks():
        if task.backend != backend.alias:
            continue
        if find(task.module_path) is None:
            yield Error(
                f"{task.module_path} leads to no task, so that no worker could find it.",
                hint="Put @task on the function itself, at the top level of its module.",
                id="taskbridge.E002",
            )
            continue
        try:
            backend.validate_task(task)
        except framework.InvalidTask as refusal:
            yield Error(f"TASKS[{backend.alias!r}] refuses {task.module_path}: {refusal}", id="taskbridge.E003")


def _loaded_tasks() -> list[Any]:
    """Each Django task that a loaded module has, under whatever name."""
    found: dict[int, Any] = {}
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            if issubclass(type(value), framework.Task):
                found[id(value)] = value
    return list(found.values())
