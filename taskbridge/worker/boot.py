"""What every worker process does first, whatever its engine."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge.refusals import check_timeout
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.settings import DEFAULT, BackendURL
from taskbridge.worker.attempt import Environment
from taskbridge.worker.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskbridge.backend import Backend, WorkerOptions

VARIABLE = "TASKBRIDGE_WORKER_OPTIONS"
"""Alias, queues and imports of the worker, as JSON, from `taskbridge worker` to the process that it starts."""


@dataclass(frozen=True, slots=True)
class Booted:
    """A backend that serves, and what it was asked to serve."""

    alias: str
    backend: Backend
    queues: tuple[str, ...]
    concurrency: int


def boot(alias: str | None = None) -> Booted:
    """Import the tasks, freeze the registry, and let the backend serve them.

    The alias, queues and imports come from the environment that `worker_environment` made, else from the settings: an
    adapter's app module works under the engine's own command line alone.
    """
    asked = json.loads(os.environ.get(VARIABLE, "{}"))
    alias = alias or asked.get("alias", "default")
    import_tasks(asked.get("imports", ()))
    registry.freeze()
    backend = router.backend(alias)
    _refuse_long(alias, backend)
    retry = backend.capabilities.retry
    environment = Environment(
        alias=alias,
        registry=registry,
        open_store=lambda: router.store(alias),
        result_ttl=router.backend_settings(alias).result_ttl,
        dead_ttl=router.backend_settings(alias).dead_ttl,
        signing_keys=router.settings.signing_keys,
        retry_ceiling=retry.ceiling if retry.beyond is not None else None,
        crash_budget=router.backend_settings(alias).crash_budget,
    )
    backend.serve(registry, Runner(backend, environment))
    queues = tuple(asked.get("queues", ())) or served_queues(alias)
    return Booted(alias, backend, queues, asked.get("concurrency", 1))


def _refuse_long(alias: str, backend: Backend) -> None:
    """Refuse to start where a task may take longer than the broker lets a worker hold its job."""
    for task in registry:
        options = task.options
        if options.backend == alias and options.timeout is not None:
            check_timeout(options.timeout, backend.capabilities.timeout, backend.engine, task.name)


def import_tasks(modules: Iterable[str], /) -> None:
    """Import these modules and those of the settings, under Django with its applications ready, and theirs.

    The modules come first, since one of them may call `configure`.

    Raises:
        ConfigurationError: there is no such module.
    """
    django = (
        importlib.import_module("taskbridge.django.discovery") if os.environ.get("DJANGO_SETTINGS_MODULE") else None
    )
    if django is not None:
        django.set_up()
    registry.discover(modules)
    registry.discover(router.settings.imports)
    if django is not None and django.has_tasks():
        importlib.import_module("taskbridge.django.backend").adopt_tasks()


def served_queues(alias: str, /) -> tuple[str, ...]:
    """The queues that a worker serves unless it is told; the tasks must have been imported.

    Those of the settings; where a job may name any, also those that a task names.
    """
    settings = router.backend_settings(alias)
    if not settings.any_queue:
        return settings.queues
    named = {task.options.queue_name for task in registry if task.options.backend == alias}
    return tuple(dict.fromkeys((*settings.queues, *sorted(named))))


def worker_environment(options: WorkerOptions, /) -> dict[str, str]:
    """The variables by which a worker process finds the backend and tasks of this one.

    The backend's URL goes along, password included, so that a worker has what `configure` set here: environments are
    not seen by other users, unlike argv.
    """
    environment = {
        VARIABLE: json.dumps(
            {
                "alias": options.alias,
                "queues": options.queues,
                "imports": options.imports,
                "concurrency": options.concurrency,
            }
        )
    }
    settings = router.backend_settings(options.alias)
    if isinstance(settings.target, BackendURL):
        key = "TASKBRIDGE_URL" if options.alias == DEFAULT else f"TASKBRIDGE_BACKENDS__{options.alias.upper()}__URL"
        environment[key] = settings.target.full()
    environment["TASKBRIDGE_QUEUES"] = ",".join(options.queues if settings.any_queue else settings.queues)
    if router.settings.outbox:
        environment["TASKBRIDGE_OUTBOX"] = ",".join(router.settings.outbox)
    keys = router.settings.signing_keys
    if keys is not None:
        environment["TASKBRIDGE_SIGNING_KEYS"] = keys.to_wire()
        environment["TASKBRIDGE_UNSIGNED"] = "accept" if keys.accepts_unsigned else "refuse"
    return environment
