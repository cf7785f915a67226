"""System checks: what can be seen from a project's settings and tasks. `taskbridge check` looks at the servers too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import Error
from django.core.checks import Warning as CheckWarning
from django.db import DEFAULT_DB_ALIAS
from django.db import router as databases

from taskbridge.django import framework
from taskbridge.django.discovery import find, set_up
from taskbridge.django.keywords import options_on
from taskbridge.django.task import said
from taskbridge.errors import ConfigurationError
from taskbridge.outbox import on_django
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.settings import BackendURL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    if engine == "memory" and not settings.DEBUG:
        yield CheckWarning(
            f"TASKS[{alias!r}] keeps its jobs in the process that enqueues them: they end with it.",
            hint="memory:// is for tests. Say in OPTIONS['url'] where the jobs shall lie.",
            id="taskbridge.W001",
        )
    timings = _timings(alias)
    atomic = [name for name, database in settings.DATABASES.items() if database.get("ATOMIC_REQUESTS")]
    if atomic and "now" in timings:
        yield CheckWarning(
            f"Requests are transactions on DATABASES {', '.join(atomic)}, and jobs of TASKS[{alias!r}] go to their "
            f"broker at once: they start before the commit, and are there after a rollback.",
            hint="OPTIONS: 'timing': 'on_commit' or 'outbox'.",
            id="taskbridge.W002",
        )
    yield from _transaction_findings(alias, timings, atomic)
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


def _timings(alias: str) -> dict[str, set[str]]:
    """When jobs of the alias go to their broker, and which applications have tasks of which timing."""
    usual = router.backend_settings(alias).timing
    timings: dict[str, set[str]] = {}
    tasks = [(task.module_path, said(task).get("timing")) for task in _loaded_tasks() if task.backend == alias]
    tasks += [(task.module_path, task.options.timing) for task in registry if task.options.backend == alias]
    for path, timing in tasks:
        config = apps.get_containing_app_config(path)
        timings.setdefault(timing or usual, set()).add(config.label if config else "")
    return timings or {usual: set()}


def _transaction_findings(alias: str, timings: Mapping[str, set[str]], atomic: Sequence[str]) -> Iterator[CheckMessage]:
    labels = timings.get("outbox", set()) | timings.get("on_commit", set())
    if timings.keys() <= {"now"}:
        return
    home = on_django.alias_of(None)
    if "outbox" in timings:
        if not on_django.has_outbox():
            yield Error(
                f"Jobs of TASKS[{alias!r}] go to the outbox, and DATABASES[{home!r}] is of a kind that can have none.",
                hint="An outbox is kept on SQLite and PostgreSQL: route the model taskbridge.OutboxRow there, or take "
                "'timing': 'on_commit'.",
                id="taskbridge.E004",
            )
        if router.settings.outbox and all(url.startswith("django://") for url in router.settings.outbox):
            named = [urlsplit(url).netloc or DEFAULT_DB_ALIAS for url in router.settings.outbox]
            if home not in named:
                yield CheckWarning(
                    f"Jobs of TASKS[{alias!r}] are written into the outbox in DATABASES[{home!r}], and only that in "
                    f"{', '.join(named)} is handed on.",
                    hint=f"The setting `outbox`: add django://{home}, or take it out.",
                    id="taskbridge.W008",
                )
    # Without ATOMIC_REQUESTS nothing says where the code has its transactions: likely where its models are written.
    used = set(atomic) or {
        databases.db_for_write(model)
        for label in labels - {""}
        for model in apps.get_app_config(label).get_models()
        if model._meta.managed  # noqa: SLF001 - Django documents it as the way to ask a model
    }
    if used and home not in used:
        others = ", ".join(sorted(used))
        yield CheckWarning(
            f"Jobs of TASKS[{alias!r}] wait for transactions of DATABASES[{home!r}], and "
            + (
                f"requests are transactions on {others}: jobs are sent before these commit, and after a rollback."
                if atomic
                else f"the models beside its tasks are written to {others}. Where the code enqueues in a transaction "
                f"on that, jobs are sent before it commits, and after a rollback. Which transactions it opens cannot "
                f"be seen from here."
            ),
            hint="Route the model taskbridge.OutboxRow to the database that the code writes to (DATABASE_ROUTERS)."
            + (
                ""
                if atomic
                else f" If its transactions are on {home}, put taskbridge.W007 into SILENCED_SYSTEM_CHECKS."
            ),
            id="taskbridge.W007",
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
