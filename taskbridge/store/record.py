"""What is kept of a job: its states, its errors, its times."""

from __future__ import annotations

import sys
import traceback
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from typing import Self

DEFAULT_TTL: Final = timedelta(days=1)
"""How long a record is kept after its job has ended, unless the task says otherwise."""

UNFINISHED_TTL: Final = timedelta(days=7)
"""How long a record of an unfinished job is kept, at the least, after its last transition or its `run_after`."""


class ResultStatus(StrEnum):
    """The four states of `django.tasks`, by their names and values there."""

    READY = "READY"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    SUCCESSFUL = "SUCCESSFUL"


class DetailStatus(StrEnum):
    """The states that TaskBridge tells apart. Each folds to one of Django's four, but UNKNOWN, which is none."""

    QUEUED = "QUEUED"
    SCHEDULED = "SCHEDULED"
    """Enqueued with a `run_after`."""
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    """An attempt has failed and another will follow."""
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    """Its `expires` had passed before an attempt could start."""
    SKIPPED = "SKIPPED"
    """Another job of the same key had done what this one was to do; its value is that one's, if it was kept."""
    CANCELLED = "CANCELLED"
    """Somebody has cancelled it, and it did not start or did not go on."""
    UNKNOWN = "UNKNOWN"
    """Nothing is recorded under this id. Never stored."""

    @property
    def status(self) -> ResultStatus | None:
        """Django's state for this one; None for UNKNOWN."""
        return _FOLD.get(self)

    @property
    def is_finished(self) -> bool:
        """True if the job has ended, well or not."""
        return _FOLD.get(self) in (ResultStatus.FAILED, ResultStatus.SUCCESSFUL)


_FOLD: Final = {
    DetailStatus.QUEUED: ResultStatus.READY,
    DetailStatus.SCHEDULED: ResultStatus.READY,
    DetailStatus.RETRYING: ResultStatus.READY,
    DetailStatus.RUNNING: ResultStatus.RUNNING,
    DetailStatus.SUCCESSFUL: ResultStatus.SUCCESSFUL,
    DetailStatus.FAILED: ResultStatus.FAILED,
    DetailStatus.EXPIRED: ResultStatus.FAILED,
    DetailStatus.CANCELLED: ResultStatus.FAILED,
    DetailStatus.SKIPPED: ResultStatus.SUCCESSFUL,
}


class TaskError(Struct, frozen=True, kw_only=True):
    """How one attempt failed, as text: nothing is ever imported or rebuilt from it."""

    attempt: int
    at: datetime
    """When the attempt ended; aware."""
    exception_class_path: str
    """The dotted path of the exception's class, as in `django.tasks`."""
    message: str
    traceback: str

    @classmethod
    def of(cls, exception: BaseException, /, *, attempt: int, at: datetime) -> Self:
        """What to keep of an exception that a task has raised."""
        kind = type(exception)
        try:
            message = str(exception)
        except Exception as error:  # noqa: BLE001 - the task's own class may raise anything from its __str__
            message = f"<str() of this exception raised {type(error).__name__}>"
        return cls(
            attempt=attempt,
            at=at,
            exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
            message=message,
            traceback="".join(traceback.format_exception(exception)),
        )

    @property
    def exception_class(self) -> type[BaseException]:
        """The class itself, if its module is loaded in this process: none is imported because a record names it.

        Raises `ValueError` if it cannot be found.
        """
        module, _, name = self.exception_class_path.rpartition(".")
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
        raise ValueError(
            f"{self.exception_class_path!r} is not an exception class of a module that is loaded in this process; "
            "import its module first, or compare exception_class_path"
        )


class NewRecord(Struct, frozen=True, kw_only=True):
    """What is known of a job without running it: enough to record it as queued, or to record it late."""

    id: str
    task: str
    queue_name: str
    backend: str
    """The alias of the backend that the job was sent to."""
    enqueued_at: datetime | None = None
    """Aware. None if it is not known: a job that legacy code enqueued."""
    run_after: datetime | None = None
    """Aware. None for a job that may start at once."""
    ttl: timedelta = DEFAULT_TTL
    """How long the record is kept after the job has ended."""
    priority: int = 0
    arguments: str | None = None
    """The JSON text of `[args, kwargs]`, for an API that shows them with the result; None where they are not kept."""


class Page(Struct, frozen=True, kw_only=True):
    """Some records, and where the next page begins."""

    records: tuple[Record, ...]
    after: str
    """Empty: this was the last."""


class Record(Struct, frozen=True, kw_only=True):
    """All that is kept of one job. Times are aware, in UTC, to the microsecond."""

    id: str
    task: str
    queue_name: str
    backend: str
    detail_status: DetailStatus
    attempts: int = 0
    """The number of the last attempt that has started; 0 before the first."""
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    """When the first attempt started."""
    last_attempted_at: datetime | None = None
    finished_at: datetime | None = None
    run_after: datetime | None = None
    """When the next attempt may start."""
    value: object | UnsetType = UNSET
    """What the task returned, as a plain JSON value; UNSET if it has returned nothing yet. None is a value."""
    errors: tuple[TaskError, ...] = ()
    """Oldest first."""
    workers: tuple[str, ...] = ()
    """The ids of the workers that began an execution of it, one for each execution, oldest first."""
    priority: int = 0
    arguments: str | None = None
    """The JSON text of `[args, kwargs]`; None, unless the job was enqueued through an API that shows them."""
    expires_at: datetime
    """When this record is forgotten."""

    @property
    def status(self) -> ResultStatus:
        """Django's state."""
        return _FOLD[self.detail_status]

    @property
    def is_finished(self) -> bool:
        """True if the job has ended, well or not."""
        return self.detail_status.is_finished
