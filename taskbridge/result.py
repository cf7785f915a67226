"""What `task.enqueue` gives back: a handle on one job, and through it on what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from msgspec import UNSET

from taskbridge.context import current
from taskbridge.errors import JobFailed, ResultNotReady, ResultTimeout, WaitsInTask
from taskbridge.store.record import DetailStatus, ResultStatus, TaskError
from taskbridge.store.wait import pauses, timed_out, unrecorded

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from taskbridge.cancellation import Cancellation
    from taskbridge.store.record import Record
    from taskbridge.timing import Timing

__all__ = ["DetailStatus", "ResultSource", "ResultStatus", "TaskError", "TaskResult"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ResultSource(Protocol[T_co]):
    """Where the handles of one task find their records."""

    @property
    def alias(self) -> str:
        """The backend that the jobs are sent to."""

    @property
    def off_reason(self) -> str | None:
        """Why nothing will ever be recorded, and what to do about it; None if results are on."""

    def read(self, job_id: str, /) -> Record | None:
        """What is recorded of a job of this task."""

    def cancel(self, job_id: str, /, *, terminate: bool = False) -> Cancellation:
        """Cancel a job of this task."""

    def decode(self, record: Record, /) -> T_co:
        """The value that a successful job returned, in the type of the task's return annotation."""


class TaskResult(Generic[T]):
    """A job, by its id, and what is recorded of it.

    The first attribute that needs the record reads it from the store; after that the handle shows the same moment until
    `refresh()`, as in `django.tasks`. Whatever needs a record raises `ResultUnavailable` if there is none, and
    `StoreUnavailable` if the store does not answer.
    """

    __slots__ = ("_is_read", "_record", "_source", "id", "timing")

    def __init__(self, job_id: str, source: ResultSource[T], timing: Timing | None = None, /) -> None:
        self.id: Final = job_id
        self.timing: Final = timing
        """How the job was handed over: `now`, `on_commit`, or by the `outbox`. None: not by this handle's call."""
        self._source = source
        self._record: Record | None = None
        self._is_read = False

    @property
    def backend(self) -> str:
        """The alias of the backend that the job was sent to."""
        return self._source.alias

    @property
    def detail_status(self) -> DetailStatus:
        """The exact state. UNKNOWN if nothing is recorded, which is not QUEUED; it never raises for that."""
        record = self._seen()
        return DetailStatus.UNKNOWN if record is None else record.detail_status

    @property
    def status(self) -> ResultStatus:
        """Django's state: READY, RUNNING, FAILED or SUCCESSFUL."""
        return self._known().status

    @property
    def is_finished(self) -> bool:
        """True if the job has ended, well or not."""
        return self._known().is_finished

    @property
    def enqueued_at(self) -> datetime | None:
        """When it was enqueued."""
        return self._known().enqueued_at

    @property
    def started_at(self) -> datetime | None:
        """When its first attempt started."""
        return self._known().started_at

    @property
    def last_attempted_at(self) -> datetime | None:
        """When its latest attempt started."""
        return self._known().last_attempted_at

    @property
    def finished_at(self) -> datetime | None:
        """When it ended, well or not."""
        return self._known().finished_at

    @property
    def run_after(self) -> datetime | None:
        """When it, or its next attempt, may start."""
        return self._known().run_after

    @property
    def attempts(self) -> int:
        """How many attempts have started."""
        return self._known().attempts

    @property
    def errors(self) -> list[TaskError]:
        """What the failed attempts raised, oldest first."""
        return list(self._known().errors)

    @property
    def return_value(self) -> T:
        """What the task returned.

        Raises:
            JobFailed: it has ended without a value. A `ValueError`.
            ResultNotReady: it has not ended. A `ValueError`.
        """
        record = self._known()
        if not record.is_finished:
            raise ResultNotReady(
                f"job {self.id} of {record.task} is {record.detail_status.value}: it has no value yet; wait() for it"
            )
        return self._value(record)

    def refresh(self) -> None:
        """Read the record anew."""
        self._record = self._source.read(self.id)
        self._is_read = True

    async def arefresh(self) -> None:
        """`refresh` without blocking the event loop."""
        import asyncio

        self._record = await asyncio.to_thread(self._source.read, self.id)
        self._is_read = True

    def cancel(self, *, terminate: bool = False) -> Cancellation:
        """Cancel the job: it does not start any more, or is asked to end; the answer says which. May be repeated.

        Args:
            terminate: an attempt that runs is not asked but ended, as at a timeout: `CancelRequested` is raised in it.
                Its task must be `cancellable`.

        Raises:
            UnsupportedFeature: its task has no results and is not `cancellable`, and the backend takes no job back; or
                what runs cannot be terminated.
            StoreUnavailable: the store did not answer.
            EnqueueError: the broker did not answer.
        """
        self._is_read = False
        return self._source.cancel(self.id, terminate=terminate)

    async def acancel(self, *, terminate: bool = False) -> Cancellation:
        """`cancel` without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.cancel, terminate=terminate)

    def wait(self, timeout: timedelta | None = None, *, in_task: bool = False) -> T:
        """What the task returned, as soon as it has; a timeout of None waits without end.

        Args:
            timeout: how long to wait.
            in_task: True in a task that is sure that other workers than its own run the job. It needs a timeout.

        Raises:
            WaitsInTask: called in a task without `in_task`, whether or not the job has ended.
            JobFailed: it has ended without a value; carries the error's type, message and traceback.
            ResultTimeout: it has not ended in time; the job itself goes on.
            ResultUnavailable: nothing is recorded of it, so nothing will come.
        """
        self._refuse_in_task(timeout, in_task)
        waits = pauses(timeout)
        while True:
            self.refresh()
            record = self._awaited()
            if record is not None and record.is_finished:
                return self._value(record)
            pause = next(waits, None)
            if pause is None:
                raise self._timed_out(timeout)
            time.sleep(pause)

    async def await_(self, timeout: timedelta | None = None, *, in_task: bool = False) -> T:
        """`wait` without blocking the event loop."""
        import asyncio

        self._refuse_in_task(timeout, in_task)
        waits = pauses(timeout)
        while True:
            await self.arefresh()
            record = self._awaited()
            if record is not None and record.is_finished:
                return self._value(record)
            pause = next(waits, None)
            if pause is None:
                raise self._timed_out(timeout)
            await asyncio.sleep(pause)

    def __repr__(self) -> str:
        seen = self.detail_status.value if self._is_read else "not read"
        return f"<TaskResult {self.id} on {self._source.alias}: {seen}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskResult):
            return NotImplemented
        return (self.id, self.backend) == (other.id, other.backend)

    def __hash__(self) -> int:
        return hash(self.id)

    def _seen(self) -> Record | None:
        if not self._is_read:
            self.refresh()
        return self._record

    def _known(self) -> Record:
        record = self._seen()
        if record is None:
            raise unrecorded(self.id, self._where if self._is_on_its_way else self._source.off_reason)
        return record

    def _refuse_in_task(self, timeout: timedelta | None, in_task: bool) -> None:
        attempt = current.get()
        if attempt is None or (in_task and timeout is not None):
            return
        raise WaitsInTask(
            f"the task {attempt.context().task!r} waits for job {self.id}, and holds its worker meanwhile: once every "
            f"worker waits, none is left for the jobs that they wait for. Let that job's task enqueue what comes next. "
            f"If other workers run it, for sure: wait(timeout=timedelta(...), in_task=True)."
        )

    def _awaited(self) -> Record | None:
        """The record; None if the job is on its way to the broker still, and will have one."""
        if self._record is None and self._is_on_its_way:
            return None
        return self._known()

    @property
    def _is_on_its_way(self) -> bool:
        return self.timing in ("on_commit", "outbox") and self._source.off_reason is None

    def _timed_out(self, timeout: timedelta | None) -> ResultTimeout:
        if self._record is not None:
            return timed_out(self._record, timeout)
        return ResultTimeout(f"job {self.id} was not handed to its broker within {timeout}: {self._where}")

    @property
    def _where(self) -> str:
        if self.timing == "outbox":
            return "its transaction is not committed, or no relay (taskbridge worker) has come to its row"
        return "its transaction is not committed"

    def _value(self, record: Record) -> T:
        if record.detail_status is DetailStatus.SUCCESSFUL:
            return self._source.decode(record)
        if record.detail_status is DetailStatus.EXPIRED:
            raise JobFailed(f"job {self.id} of {record.task} has expired: no attempt had started in time")
        if record.detail_status is DetailStatus.CANCELLED:
            raise JobFailed(f"job {self.id} of {record.task} was cancelled")
        if record.detail_status is DetailStatus.SKIPPED:
            if record.value is not UNSET:
                return self._source.decode(record)
            raise JobFailed(f"job {self.id} of {record.task} was skipped: its key was done by a job that kept no value")
        if not record.errors:
            raise JobFailed(f"job {self.id} of {record.task} has failed; no error was recorded")
        last = record.errors[-1]
        raise JobFailed(
            f"job {self.id} of {record.task} has failed at attempt {last.attempt}: "
            f"{last.exception_class_path}: {last.message}\n{last.traceback}",
            last,
        )
