"""Django's `TaskResult` of a job of ours, from what the store has of it or a worker knows of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from taskbridge.django import framework
from taskbridge.message import call_text
from taskbridge.store import DetailStatus, Record

if TYPE_CHECKING:
    from taskbridge.message import Message
    from taskbridge.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult(framework.TaskResult):  # type: ignore[type-arg]  # Django's own has no parameters, the package's has
    """Django's, with the returned value in the type of the task's return annotation."""

    value: Any = None
    """What `return_value` gives for a job that has succeeded."""
    timing: Timing | None = field(default=None, compare=False)
    """Where the job is as `enqueue` returns: on its broker, waiting for the commit, or in the outbox. None: unknown."""

    @property
    def return_value(self) -> Any:
        """What the task returned; raises `ValueError` unless the job has succeeded."""
        if self.status == framework.TaskResultStatus.SUCCESSFUL:
            return self.value
        raise ValueError("Task failed" if self.is_finished else "Task has not finished yet")

    def refresh(self) -> None:
        """Read the record anew."""
        self._take(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """`refresh` for a caller on an event loop."""
        self._take(await self.task.get_backend().aget_result(self.id))

    def _take(self, fresh: Any) -> None:
        for each in fields(self):
            if each.name != "timing":
                object.__setattr__(self, each.name, getattr(fresh, each.name))


def of_record(record: Record, task: Any, /, *, value: Any = None, timing: Timing | None = None) -> TaskResult:
    """The result that a record tells of; `value` is what the task returned."""
    args, kwargs = json.loads(record.arguments) if record.arguments is not None else ([], {})
    return TaskResult(
        task=task,
        id=record.id,
        status=framework.TaskResultStatus(record.status.value),
        enqueued_at=local(record.enqueued_at),
        started_at=local(record.started_at),
        last_attempted_at=local(record.last_attempted_at),
        finished_at=local(record.finished_at),
        args=args,
        kwargs=kwargs,
        backend=record.backend,
        errors=[
            framework.TaskError(exception_class_path=error.exception_class_path, traceback=error.traceback)
            for error in record.errors
        ],
        worker_ids=list(record.workers),
        value=value,
        timing=timing,
    )


def of_message(message: Message, task: Any, alias: str, /, *, timing: Timing) -> TaskResult:
    """The result of a job that has just been enqueued."""
    assert message.headers is not None
    record = Record(
        id=message.id,
        task=task.module_path,
        queue_name=message.queue_name,
        backend=alias,
        detail_status=DetailStatus.QUEUED,
        enqueued_at=message.headers.enqueued_at,
        run_after=message.run_after,
        priority=message.priority,
        arguments=call_text(message),
        expires_at=datetime.now(UTC),
    )
    return of_record(record, task, timing=timing)


def local(moment: datetime | None, /) -> datetime | None:
    """The moment as Django has it: without USE_TZ, naive and in its time zone."""
    return moment if moment is None or settings.USE_TZ else timezone.make_naive(moment)


def as_enqueued(record: Record, declared: Any, /) -> Any:
    """The Django task, with the queue, priority and time that the job was enqueued with."""
    try:
        return declared.using(
            priority=record.priority,
            queue_name=record.queue_name,
            run_after=local(record.run_after),
            backend=record.backend,
        )
    except (framework.InvalidTask, framework.InvalidTaskBackend):
        # It may not be enqueued so any more, and was; or a worker serves a backend that TASKS does not name.
        return declared
