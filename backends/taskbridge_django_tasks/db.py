"""Django tasks on the database, by django-tasks-db.

Queues: one worker serves all of them; each attempt at a time is a process.
Switched off: nothing, for the engine has no policy of its own.
Settled: every outcome is one UPDATE of the job's row, guarded by the worker that claimed it. The row of a dead worker
is put back by any live one.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import (
    IntegrityError,
    connections,
    router,
    transaction,
)

from taskbridge.errors import ConfigurationError, EnqueueError, JobCancelled, UnsupportedFeature
from taskbridge.process import Command
from taskbridge.settings import check_options
from taskbridge.worker import worker_environment
from taskbridge_django_tasks.alias import NAME_LIMIT, check_queues, find_alias, set_up_django
from taskbridge_django_tasks.alias_backend import AliasBackend
from taskbridge_django_tasks.bulk import insert
from taskbridge_django_tasks.connection import enqueuing
from taskbridge_django_tasks.jsonb import through_jsonb, through_text
from taskbridge_django_tasks.patches import forget_connections_after_fork
from taskbridge_django_tasks.record import record
from taskbridge_django_tasks.wire import OPTIONS, to_native

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskbridge.backend import Run, WorkerOptions
    from taskbridge.capability import Capabilities
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store
    from taskbridge.task import Task

NATIVE: Final = "django_tasks_db.DatabaseBackend"
BATCH: Final = 2_000
"""Rows that one INSERT holds at most."""
ANALYZE_FROM: Final = 10_000
"""Jobs in one call from which PostgreSQL is told to look at its table: until it does, each poll sorts them all."""


class DatabaseBackend(AliasBackend):
    """An alias of TASKS whose BACKEND is django-tasks-db."""

    capabilities: Capabilities
    tasks: Mapping[str, Task[..., Any, Any]]
    """In a worker: the tasks by the paths of their rows; set by `serve`."""
    run: Run
    """In a worker: the runner; set by `serve`."""

    def __init__(self, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> None:
        set_up_django(url)
        check_options(url, {})
        if not apps.is_installed("django_tasks_db"):
            raise ConfigurationError(f"{url}: add 'django_tasks_db' to INSTALLED_APPS, then run: manage.py migrate")
        from django_tasks_db.compat import task_backends
        from django_tasks_db.models import DBTaskResult

        from taskbridge_django_tasks.store import dialect_of

        self._url = url
        self.alias = find_alias(url, task_backends.settings, NATIVE)
        check_queues(url, self.alias, task_backends[self.alias].queues, queues)
        for name in (self.alias, *queues):
            if len(name) > NAME_LIMIT:
                raise ConfigurationError(f"{url}: {name!r} is longer than the {NAME_LIMIT} characters of its column.")
        self._rows = DBTaskResult
        self._is_jsonb = dialect_of(self._using).name == "postgresql"
        self._has_own_workers = not url.has_native_workers
        self.capabilities = record(has_own_workers=self._has_own_workers)
        forget_connections_after_fork()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Write the rows on Django's own connection, in the caller's transaction if there is one.

        Raises `EnqueueError` in the time that DATABASES gives its driver: SQLite waits 5 s for a lock unless told
        otherwise; PostgreSQL's `connect_timeout` and `options` are yours to set. Where the connection had ended, as
        after a restart of the server, it is tried once on a new one.
        """
        rows: Sequence[Any] = [self._row(message) for message in messages]
        using = self._using
        try:
            self._insert(rows, using)
        except EnqueueError as error:
            # The rows bring their ids along: they cannot be there twice.
            if isinstance(error.__cause__, IntegrityError) and not connections[using].in_atomic_block:
                rows = self._insert_missing(rows, using, error)
            elif not error.maybe_accepted or connections[using].connection is not None:
                raise
            else:
                self._insert_again(rows, using, error)
        if self._is_jsonb and len(rows) >= ANALYZE_FROM:
            transaction.on_commit(lambda: self._analyze(using), using=using, robust=True)
        from taskbridge_django_tasks.signals import announce, is_heard, task_enqueued

        if is_heard(task_enqueued):
            for row in rows:
                announce(task_enqueued, row)

    def _insert_missing(self, rows: Sequence[Any], using: str, first: EnqueueError) -> Sequence[Any]:
        """Insert the rows whose jobs are not there yet, and give them: a repeated enqueue changes nothing."""
        with self._enqueuing(using):
            found = self._rows.objects.using(using).filter(pk__in=[row.pk for row in rows])
            known = {str(pk) for pk in found.values_list("pk", flat=True)}
        missing = [row for row in rows if str(row.pk) not in known]
        if len(missing) == len(rows):
            raise first
        if missing:
            self._insert(missing, using)
        return missing

    def _insert_again(self, rows: Sequence[Any], using: str, first: EnqueueError) -> None:
        try:
            self._insert(rows, using)
        except EnqueueError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise first from error
            with self._enqueuing(using):
                known = self._rows.objects.using(using).filter(pk__in=[row.pk for row in rows]).count()
            if known != len(rows):
                raise first from error

    def _insert(self, rows: Sequence[Any], using: str) -> None:
        with self._enqueuing(using):
            if len(rows) == 1:
                rows[0].save(force_insert=True, using=using)
            elif self._is_jsonb:
                with transaction.atomic(using) if len(rows) > BATCH else nullcontext():
                    for start in range(0, len(rows), BATCH):
                        insert(rows[start : start + BATCH], connections[using])
            else:
                self._rows.objects.using(using).bulk_create(rows, batch_size=BATCH)

    def reopen(self, message: Message, /) -> None:
        """Replace the row of a job that has failed; any other row of this id refuses it."""
        using = self._using
        with self._enqueuing(using), transaction.atomic(using=using):
            self._rows.objects.using(using).filter(pk=message.id).failed().delete()
            self._row(message).save(force_insert=True, using=using)

    def cancel(self, job_id: str, /) -> bool:
        """Mark a row as failed that no worker has claimed."""
        from django_tasks_db.compat import TaskResultStatus

        from taskbridge_django_tasks.settlement import failure

        try:
            waiting = self._rows.objects.using(self._using).filter(pk=job_id, status=TaskResultStatus.READY)
        except ValidationError:
            return False  # no id of a row
        with self._enqueuing(self._using):
            return bool(waiting.update(**failure(JobCancelled("not started: the job was cancelled"))))

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """Let the failed row that these bytes were kept of be claimed again."""
        del queue_name  # the row has it
        from taskbridge_django_tasks.redrive import ready_again

        with self._enqueuing(self._using):
            ready_again(payload, label=str(self._url))

    def serve(self, registry: Registry, run: Run, /) -> None:
        self.tasks = registry.by_wire_name(self)
        self.run = run

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        if not self._has_own_workers:
            raise ConfigurationError(
                f"{self._url} says that its workers are not TaskBridge's. Start them yourself: "
                f"manage.py db_worker --backend {self.alias} --queue-name {','.join(options.queues)}"
            )
        environment = worker_environment(options)
        if "DJANGO_SETTINGS_MODULE" in os.environ:
            environment["DJANGO_SETTINGS_MODULE"] = os.environ["DJANGO_SETTINGS_MODULE"]
        return [
            Command(
                argv=(
                    sys.executable, "-m", "taskbridge_django_tasks.app",
                    "--backend", self.alias, "--queue-name", ",".join(options.queues),
                    "--interval", "0.025", "--no-startup-delay", "--no-reload", "--verbosity", "0",
                    *options.native_arguments,
                ),
                environment=environment,
                label=f"django:{self.alias}" if options.concurrency == 1 else f"django:{self.alias}:{place}",
            )
            for place in range(1, options.concurrency + 1)
        ]  # fmt: skip

    def close(self) -> None:
        """Nothing: the connections are Django's."""

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        """Look at the broker."""
        del options
        from taskbridge_django_tasks.check import database_findings

        return database_findings(self._using, self._rows)

    def open_store(self) -> Store:
        """The result store in the same database, on Django's own connection."""
        from taskbridge_django_tasks.store import open_django_store

        return open_django_store(self._using)

    @property
    def _using(self) -> str:
        return str(router.db_for_write(self._rows))

    def _row(self, message: Message) -> Any:
        if unknown := message.native.keys() - set(OPTIONS):
            raise UnsupportedFeature(
                f"native={{'django': ...}} of {message.task!r} names {', '.join(sorted(unknown))}; only "
                f"{', '.join(OPTIONS)} is known."
            )
        if not self._has_own_workers:
            self._refuse_unless_native(message.task)
        return self._rows(
            **to_native(
                message,
                self.alias,
                column=through_jsonb if self._is_jsonb else through_text,
                is_for_stock_worker=not self._has_own_workers,
                has_time_zones=settings.USE_TZ,
            )
        )

    def _refuse_unless_native(self, path: str) -> None:
        from taskbridge_django_tasks.signals import native_task

        if native_task(path) is None:
            raise UnsupportedFeature(
                f"{self._url}: a worker that is not ours runs only Django's own tasks, and {path!r} leads to none. "
                f"Name one: native={{'django': {{'name': 'project.tasks.a_django_task'}}}}."
            )

    def _analyze(self, using: str) -> None:
        with connections[using].cursor() as cursor:
            table = self._rows._meta.db_table  # noqa: SLF001 - Django documents it as public, underscore and all
            cursor.execute(f"ANALYZE {connections[using].ops.quote_name(table)}")

    def _enqueuing(self, using: str) -> AbstractContextManager[None]:
        return enqueuing(str(self._url), using)
