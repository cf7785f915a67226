"""`python -m taskbridge_django_tasks.app`: the command line of `db_worker`, with our subclass of its worker."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from taskbridge.router import router
from taskbridge.store.sql import SQLStore
from taskbridge.worker import boot

if TYPE_CHECKING:
    from taskbridge.worker import Booted

CONNECTION_SECONDS: Final = 600
"""How long a worker keeps a connection. Django's default, none, makes it connect anew for every job."""


def keep_connections() -> None:
    """Let connections outlive a job, but where the settings say how long, or where a pool holds them."""
    for database in connections.settings.values():
        if not database["CONN_MAX_AGE"] and not database["OPTIONS"].get("pool"):
            database["CONN_MAX_AGE"] = CONNECTION_SECONDS


def main(booted: Booted) -> None:
    """Run the worker of one backend until it is asked to stop."""
    from django.core.management.base import CommandError
    from django_tasks_db.management.commands import db_worker

    from taskbridge_django_tasks.db import DatabaseBackend
    from taskbridge_django_tasks.worker import Worker

    backend = booted.backend
    assert isinstance(backend, DatabaseBackend)
    tasks, run = backend.tasks, backend.run

    def sweep() -> None:
        store = router.store(booted.alias)
        if isinstance(store, SQLStore):
            store.sweep()

    class Command(db_worker.Command):
        def handle(self, *, verbosity: int, queue_name: str, exclude_queues: str, reload: bool, **options: Any) -> None:
            if reload:
                raise CommandError("TaskBridge's worker does not reload. Take --reload out.")
            self.configure_logging(verbosity)
            names = ("interval", "batch", "backend_name", "startup_delay", "max_tasks", "worker_id")
            worker = Worker(
                tasks=tasks,
                run=run,
                sweep=sweep,
                crash_budget=router.backend_settings(booted.alias).crash_budget,
                queue_names=queue_name.split(","),
                excluded_queue_names=exclude_queues.split(",") if exclude_queues else [],
                **{name: options[name] for name in names},
            )
            worker.configure_signals()
            worker.run()

    run.start()
    atexit.register(run.stop)
    Command().run_from_argv([sys.executable, "worker", *sys.argv[1:]])


if __name__ == "__main__":
    keep_connections()
    main(boot())
