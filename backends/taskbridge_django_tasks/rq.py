"""Django tasks on Redis, by django-tasks-rq: RQ jobs of a class of its own, on the queues of RQ_QUEUES.

Queues: as on RQ, one worker each.
Switched off: as on RQ; and a new connection to Redis for every job, in whose place one a queue is kept.
Settled: as on RQ.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.apps import apps

from taskbridge.errors import ConfigurationError, UnsupportedFeature
from taskbridge_django_tasks.alias import check_queues, find_alias, set_up_django
from taskbridge_django_tasks.alias_backend import AliasBackend
from taskbridge_django_tasks.rq_callbacks import FAILED, SUCCEEDED
from taskbridge_rq.backend import RQBackend
from taskbridge_rq.job import bind_job
from taskbridge_rq.record import native_record, record
from taskbridge_rq.wire import to_native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from redis import Redis
    from redis.typing import FieldT

    from taskbridge.backend import Run, WorkerOptions
    from taskbridge.check import Finding
    from taskbridge.message import Message
    from taskbridge.process import Command
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store
    from taskbridge_django_tasks.rq_job import Job

NATIVE: Final = "django_tasks_rq.RQBackend"
CALLBACK_SECONDS: Final = 60


class Queue(RQBackend):
    """One queue of RQ_QUEUES, with the meta and callbacks of django-tasks-rq in its jobs."""

    job_path: ClassVar[str] = "taskbridge_django_tasks.rq_app.Job"

    def __init__(self, connection: Redis, *, alias: str, has_native_workers: bool, **options: Any) -> None:
        super().__init__(connection=connection, **options)
        self._alias = alias
        self._calls_back = has_native_workers

    def fields(self, message: Message, now: datetime, /) -> dict[FieldT, FieldT]:
        fields = to_native(message, self.serializer, now, meta={"backend_name": self._alias})
        if self._calls_back:
            fields["success_callback_name"] = SUCCEEDED
            fields["failure_callback_name"] = FAILED
            fields["success_callback_timeout"] = fields["failure_callback_timeout"] = CALLBACK_SECONDS
        return fields


class QueueBackend(AliasBackend):
    """An alias of TASKS whose BACKEND is django-tasks-rq."""

    job_class: type[Job]
    """The job class of the worker; set by `serve`."""

    def __init__(self, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> None:
        set_up_django(url)
        if not apps.is_installed("django_rq"):
            raise ConfigurationError(f"{url}: add 'django_rq' to INSTALLED_APPS, and its queues to RQ_QUEUES.")
        from django_tasks import task_backends

        self._url = url
        self.alias = find_alias(url, task_backends.settings, NATIVE)
        check_queues(url, self.alias, task_backends[self.alias].queues, queues)
        self._names = tuple(queues)
        self._queues: dict[str, Queue] = {}
        self._serializer = url.choice("serializer", ("json", "pickle"), "json")
        self._has_native_workers = url.has_native_workers
        self.capabilities = native_record() if self._has_native_workers else record()

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises `EnqueueError` as RQ does. A transaction of the caller's is not waited for, as in django-tasks-rq."""
        batches: dict[str, list[Message]] = {}
        for message in messages:
            if self._has_native_workers:
                self._refuse_unless_native(message.task)
            batches.setdefault(message.queue_name, []).append(message)
        for queue_name, batch in batches.items():
            self.queue(queue_name).enqueue(batch)
        from taskbridge_django_tasks.rq_signals import announce_enqueued

        announce_enqueued(messages, self.alias)

    def reopen(self, message: Message, /) -> None:
        """As RQ does."""
        self.queue(message.queue_name).reopen(message)

    def put_back(self, queue_name: str, payload: bytes, /) -> None:
        """As RQ does."""
        self.queue(queue_name).put_back(queue_name, payload)

    def cancel(self, job_id: str, /) -> bool:
        """As RQ does; the job may be on any of the queues."""
        return any(self.queue(name).cancel(job_id) for name in self._names)

    def serve(self, registry: Registry, run: Run, /) -> None:
        from taskbridge_django_tasks.rq_job import Job

        self.job_class = bind_job(Job, registry.by_wire_name(self), run)

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        if self._has_native_workers:
            raise ConfigurationError(
                f"{self._url} says that its workers are not TaskBridge's. Start them yourself: "
                f"manage.py rqworker {' '.join(options.queues)} --job-class django_tasks_rq.Job --with-scheduler"
            )
        settings = {name: value for name, value in os.environ.items() if name == "DJANGO_SETTINGS_MODULE"}
        return [
            replace(command, environment={**command.environment, **settings}, label=f"django:{command.label}")
            for queue in options.queues
            for command in self.queue(queue).worker_commands(replace(options, queues=(queue,)))
        ]

    def close(self) -> None:
        for queue in self._queues.values():
            queue.close()

    def check(self, options: WorkerOptions, /) -> Iterator[Finding]:
        # Each queue may have a server of its own; most have one, and a finding is told once.
        found = [finding for name in self._names for finding in self.queue(name).check(options)]
        return iter(dict.fromkeys(found))

    def open_store(self) -> Store:
        """The result store in the Redis of the first queue."""
        return self.queue(self._names[0]).open_store()

    def queue(self, name: str, /) -> Queue:
        """One queue, with a connection that is kept.

        Raises:
            ConfigurationError: RQ_QUEUES does not say where it is.
        """
        if name not in self._queues:
            import django_rq

            try:
                connection = django_rq.get_connection(name)
            except KeyError as error:
                raise ConfigurationError(
                    f"{self._url}: RQ_QUEUES has no queue {name!r}. Say there where it is."
                ) from error
            self._queues[name] = Queue(
                connection,
                alias=self.alias,
                has_native_workers=self._has_native_workers,
                serializer=self._serializer,
                queues=(name,),
                label=str(self._url),
            )
        return self._queues[name]

    def _refuse_unless_native(self, path: str) -> None:
        from taskbridge_django_tasks.rq_signals import native_task

        if native_task(path) is None:
            raise UnsupportedFeature(
                f"{self._url}: a worker that is not ours runs only Django's own tasks, and {path!r} leads to none. "
                f"Name one: native={{'django': {{'name': 'project.tasks.a_django_task'}}}}."
            )
