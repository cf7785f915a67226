"""System checks: what can be seen from a project's settings and tasks. `taskbridge check` looks at the servers too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error
from django.core.checks import Warning as CheckWarning

from taskbridge.django import framework
from taskbridge.django.adoption import find
from taskbridge.django.discovery import set_up
from taskbridge.django.keywords import options_on
from taskbridge.errors import ConfigurationError
from taskbridge.router import router
from taskbridge.settings import BackendURL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage


REDIS_PORT = 6379


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
    yield from _cache_findings(alias)
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


def _cache_findings(alias: str) -> Iterator[CheckMessage]:
    target = router.backend_settings(alias).target
    if not isinstance(target, BackendURL) or not target.broker.startswith("redis"):
        return
    for name, cache in settings.CACHES.items():
        location = cache.get("LOCATION", "")
        servers = location if isinstance(location, list | tuple) else str(location).split(",")
        if any(_server(str(each)) == (target.host or "localhost", target.port or REDIS_PORT) for each in servers):
            yield CheckWarning(
                f"CACHES[{name!r}] and TASKS[{alias!r}] are on one Redis server: what makes room for a cache "
                f"deletes jobs, and without that a full cache keeps jobs from being enqueued.",
                hint="Give one of them a server of its own; another database of the same server shares its memory.",
                id="taskbridge.W006",
            )


def _server(location: str) -> tuple[str, int] | None:
    """Host and port of a Redis URL."""
    try:
        parts = urlsplit(location.strip())
        port = parts.port or REDIS_PORT
    except ValueError:
        return None
    return (parts.hostname or "localhost", port) if parts.scheme in ("redis", "rediss") else None


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
