"""Django's signals for jobs of TaskBridge: receivers get what they get for a native job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django_tasks_db.backend import TaskResult
from django_tasks_db.compat import (
    TASKS_LOGGER,
    Task,
    TaskError,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)

from taskbridge.message import HEADER
from taskbridge_django_tasks.task_paths import imported, loaded, tells_itself

if TYPE_CHECKING:
    from django.dispatch import Signal

_LEVELS = {id(task_enqueued): logging.DEBUG, id(task_started): logging.INFO, id(task_finished): logging.INFO}

__all__ = ["announce", "is_heard", "native_task", "task_enqueued", "task_finished", "task_started"]


def is_heard(signal: Signal, /) -> bool:
    """Whether anybody listens: Django's own receiver, which logs, counts only if its logger is on."""
    return len(signal.receivers) > 1 or logging.getLogger(TASKS_LOGGER).isEnabledFor(_LEVELS[id(signal)])


def announce(signal: Signal, row: Any, /) -> None:
    """Send one of the three signals for a row, if its task is found in this process."""
    if not is_heard(signal) or (HEADER in row.args_kwargs and tells_itself(row.task_path)):
        return
    task = loaded(row.task_path, row.backend_name, Task)
    if task is not None:
        signal.send(type(task_backends[row.backend_name]), task_result=_task_result(row, task))


def native_task(path: str, /) -> Task | None:
    """The Django Task that a path leads to, imported if need be; None if it leads to anything else."""
    found: Task | None = imported(path, Task)
    return found


def _task_result(row: Any, task: Task) -> TaskResult[Any, Any]:
    """As `DBTaskResult.task_result`, which takes only what its path imports to."""
    result: TaskResult[Any, Any] = TaskResult(
        db_result=row,
        task=task.using(
            priority=row.priority,
            queue_name=row.queue_name,
            run_after=None if row.run_after.year == 9999 else row.run_after,
            backend=row.backend_name,
        ),
        id=str(row.id),
        status=TaskResultStatus[row.status],
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        last_attempted_at=row.started_at,
        finished_at=row.finished_at,
        args=row.args_kwargs["args"],
        kwargs=row.args_kwargs["kwargs"],
        backend=row.backend_name,
        errors=[],
        worker_ids=row.worker_ids,
    )
    if row.status == TaskResultStatus.FAILED:
        result.errors.append(TaskError(exception_class_path=row.exception_class_path, traceback=row.traceback))
    object.__setattr__(result, "_return_value", row.return_value)
    return result
