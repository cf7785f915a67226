"""The signals of django-tasks-rq, for jobs of TaskBridge: receivers get what they get for a native job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django_tasks import task_backends
from django_tasks.base import Task, TaskError, TaskResult, TaskResultStatus
from django_tasks.signals import task_enqueued, task_finished, task_started
from django_tasks_rq.compat import TASK_CLASSES

from taskbridge.message import HEADER
from taskbridge_django_tasks.task_paths import imported, loaded, tells_itself

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.dispatch import Signal
    from rq.job import Job

    from taskbridge.message import Message

_LEVELS = {id(task_enqueued): logging.DEBUG, id(task_started): logging.INFO, id(task_finished): logging.INFO}


def announce_enqueued(messages: Sequence[Message], alias: str, /) -> None:
    """Tell that these jobs are on the broker."""
    if _is_heard(task_enqueued):
        now = timezone.now()
        for message in messages:
            if tells_itself(message.task):
                continue
            _send(
                task_enqueued,
                message.task,
                alias,
                queue_name=message.queue_name,
                id=message.id,
                args=message.args,
                kwargs=message.kwargs,
                status=TaskResultStatus.READY,
                enqueued_at=now,
            )


def announce_started(job: Job, /) -> None:
    """Tell that an attempt begins."""
    if _is_heard(task_started):
        _send_job(task_started, job, status=TaskResultStatus.RUNNING)


def announce_finished(job: Job, error: BaseException | None = None, traceback: str = "", /) -> None:
    """Tell that a job has ended, and with which error."""
    if _is_heard(task_finished):
        status = TaskResultStatus.FAILED if error is not None else TaskResultStatus.SUCCESSFUL
        errors = [] if error is None else [TaskError(exception_class_path=class_path(error), traceback=traceback)]
        _send_job(task_finished, job, status=status, errors=errors, finished_at=timezone.now())


def class_path(error: BaseException, /) -> str:
    """Where the class of an error can be imported from."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def native_task(path: str, /) -> Any:
    """The Django Task that a path leads to, imported if need be; None if it leads to anything else."""
    return imported(path, TASK_CLASSES)


def _is_heard(signal: Signal) -> bool:
    return len(signal.receivers) > 1 or logging.getLogger("django_tasks").isEnabledFor(_LEVELS[id(signal)])


def _send_job(signal: Signal, job: Job, **fields: Any) -> None:
    if HEADER in job.meta and tells_itself(str(job.func_name)):
        return
    _send(
        signal,
        str(job.func_name),
        str(job.meta.get("backend_name")),
        queue_name=job.origin,
        id=job.id,
        args=list(job.args),
        kwargs=job.kwargs,
        enqueued_at=job.enqueued_at,
        started_at=job.started_at,
        **fields,
    )


def _send(signal: Signal, path: str, alias: str, *, queue_name: str, **fields: Any) -> None:
    task = loaded(path, alias, Task)
    if task is None:
        return
    moments = {"enqueued_at": None, "started_at": None, "finished_at": None, "errors": [], "worker_ids": [], **fields}
    result: TaskResult[Any] = TaskResult(
        task=task.using(queue_name=queue_name, backend=alias),
        backend=alias,
        last_attempted_at=moments["started_at"],
        **moments,
    )
    signal.send(type(task_backends[alias]), task_result=result)
