"""django-tasks-db's own worker, with jobs of TaskBridge among those it runs.

A row whose task is TaskBridge's is run by the runner, and its outcome is one UPDATE of the row, guarded by the claim.
Every other row runs as on a stock worker.
"""

from __future__ import annotations

import logging
import time
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Final, assert_never

from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone
from django_tasks_db.compat import TaskResultStatus
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult

from taskbridge.errors import JobExpired, StoreUnavailable, UndecodableMessage
from taskbridge.message import Again, Dead, Done, Expired
from taskbridge.worker.connections import close_stale_connections
from taskbridge_django_tasks.signals import announce, task_finished, task_started
from taskbridge_django_tasks.wire import from_native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from taskbridge.backend import Run
    from taskbridge.message import Outcome

logger = logging.getLogger("taskbridge.django")

SETTLE_SECONDS: Final = 20.0
"""How long the outcome of an attempt is kept in hand while the database is away."""
SWEEP_SECONDS: Final = 300.0
"""How often, after a job, expired results are deleted."""
PAUSES: Final = (0.1, 0.2, 0.5, 1.0)


class Worker(db_worker.Worker):
    """Runs both kinds of jobs, and outlives a database that goes away."""

    def __init__(self, *, tasks: Mapping[str, Any], run: Run, sweep: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._tasks = tasks
        self._attempt_of = run
        self._sweep = sweep
        self._swept = time.monotonic()

    def run(self) -> None:
        """Look for rows, and work them off, until asked to stop.

        The look is a plain read. The stock loop, which takes the lock with each look, is run only when there is
        something to claim: on SQLite, idle workers would keep those who write out of the file.
        """
        has_end, self.batch = self.batch, True
        failures = 0
        while self.running:
            try:
                close_stale_connections()
                if self._is_any_due():
                    failures = 0
                    super().run()
                    self.startup_delay = False
            except (OperationalError, InterfaceError) as error:
                logger.warning("The database did not answer, which is tried again: %s", str(error).strip())
                failures += 1
                time.sleep(PAUSES[min(failures, len(PAUSES)) - 1])
                continue
            if has_end or (self.max_tasks is not None and self._run_tasks >= self.max_tasks):
                return
            if self.running:
                time.sleep(self.interval)

    def _is_any_due(self) -> bool:
        rows = DBTaskResult.objects.ready().filter(backend_name=self.backend_name)
        if not self.process_all_queues:
            rows = rows.filter(queue_name__in=self.queue_names)
        return bool(rows.exclude(queue_name__in=self.excluded_queue_names).exists())

    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        """Leave after the current job, or at the end of a poll: the stock one may leave between a claim and its run."""
        if not self.running:
            super().shutdown(signum, frame)
        self.running = False

    def run_task(self, db_task_result: Any) -> None:
        """Run a claimed row."""
        try:
            if db_task_result.task_path in self._tasks:
                self._run_ours(db_task_result)
            else:
                self._run_native(db_task_result)
        except Exception:
            logger.exception("The outcome of the job %s could not be written.", db_task_result.pk)
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            try:
                self._sweep()
            except StoreUnavailable:
                logger.exception("Expired results could not be deleted, which is tried again.")

    def _run_native(self, row: Any) -> None:
        try:
            super().run_task(row)
        except Exception as error:  # noqa: BLE001 - what kept the stock worker from writing the outcome: the row tells it
            self._fail(row, error)

    def _run_ours(self, row: Any) -> None:
        self.running_task = True
        try:
            self._settle(row)
        finally:
            self.running_task = False
            self._run_tasks += 1

    def _settle(self, row: Any) -> None:
        try:
            message = from_native(row)
        except UndecodableMessage as error:
            self._fail(row, error)
            return
        try:
            announce(task_started, row)
            outcome: Outcome = self._attempt_of(message, attempt=len(row.worker_ids))
        except BaseException as error:  # noqa: BLE001 - as the stock worker does: else the row would stay RUNNING for ever
            self._fail(row, error)
            return
        match outcome:
            case Done(value):
                self._succeed(row, value if message.headers is None else None)
            case Again(delay):
                write(row, status=TaskResultStatus.READY, run_after=timezone.now() + delay)
            case Dead(last):
                self._fail(row, last)
            case Expired(expires):
                self._fail(row, JobExpired(f"not started: the job expired at {expires.isoformat()}"))
            case _:
                assert_never(outcome)

    def _succeed(self, row: Any, value: Any) -> None:
        try:
            self._end(row, TaskResultStatus.SUCCESSFUL, return_value=value, exception_class_path="", traceback="")
        except (OperationalError, InterfaceError):
            raise
        except (TypeError, ValueError, DatabaseError) as error:
            # A value that is no JSON, of a job that was enqueued natively: the stock worker fails the job too.
            self._fail(row, error)

    def _fail(self, row: Any, error: BaseException) -> None:
        kind = type(error)
        self._end(
            row,
            TaskResultStatus.FAILED,
            return_value=None,
            exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
            traceback=_storable("".join(format_exception(error))),
        )

    def _end(self, row: Any, status: TaskResultStatus, **changes: Any) -> None:
        if write(row, status=status, finished_at=timezone.now(), **changes):
            try:
                announce(task_finished, row)
            except Exception:
                logger.exception("A receiver of task_finished failed.")


def write(row: Any, **changes: Any) -> bool:
    """Change a row that is still ours; False if it is not. A database that is away is waited for.

    Raises:
        OperationalError: it did not come back in time.
    """
    claimed = DBTaskResult.objects.filter(
        pk=row.pk, status=TaskResultStatus.RUNNING, worker_ids=row.worker_ids, started_at=row.started_at
    )
    deadline = time.monotonic() + SETTLE_SECONDS
    tries = 0
    while True:
        try:
            is_ours = bool(claimed.update(**changes))
        except (OperationalError, InterfaceError):
            if time.monotonic() > deadline:
                raise
            if not tries:
                logger.warning("The outcome of the job %s waits for the database.", row.pk)
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1
            close_stale_connections()
        else:
            break
    if not is_ours:
        logger.warning("The job %s is no longer this worker's: its outcome is not written.", row.pk)
    for name, value in changes.items():
        setattr(row, name, value)
    return is_ours


def _storable(text: str) -> str:
    # PostgreSQL knows no NUL in a text, and UTF-8 no lone surrogate.
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
