"""What becomes of a claimed row: its outcome is written under the guard of the claim, and told."""

from __future__ import annotations

import logging
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.utils import timezone
from django_tasks_db.compat import TaskResultStatus

from taskbridge.errors import UndecodableMessage
from taskbridge_django_tasks.rows import LostClaim, Unwritten, write
from taskbridge_django_tasks.signals import announce, task_finished
from taskbridge_django_tasks.wire import from_native, row_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from taskbridge.backend import Run

logger = logging.getLogger("taskbridge.django")


class Settlement:
    """Methods raise `LostClaim` if the row is another worker's by now, and `Unwritten` if it could not be changed."""

    def __init__(self, run: Run, *, keep_trying: Callable[[], bool]) -> None:
        self._run = run
        self._keep_trying = keep_trying

    def succeed(self, row: Any, value: Any) -> None:
        """The task has returned."""
        try:
            self._write(row, **_success(value))
        except (TypeError, ValueError, DatabaseError) as error:
            # A value that is no JSON, of a job that was enqueued natively: the stock worker fails the job too.
            self.fail(row, error)
        else:
            self._tell(row)

    def fail(self, row: Any, error: BaseException) -> None:
        """No further attempt follows."""
        self._write(row, **failure(error))
        self._tell(row)

    def again(self, row: Any, delay: timedelta) -> None:
        """Another attempt follows."""
        self._write(row, status=TaskResultStatus.READY, run_after=timezone.now() + delay)

    def bury(self, row: Any, error: Exception) -> None:
        """Have the runner keep a native job that it does not know, and Django does not either."""
        try:
            self._run(from_native(row), attempt=len(row.worker_ids))
        except UndecodableMessage:
            self.park(row, error)
        else:
            self.fail(row, error)

    def park(self, row: Any, error: Exception) -> None:
        """Keep what is no job. Kept or not: the failed row holds the payload and the reason, too."""
        self._run.park(row_bytes(row), queue_name=row.queue_name, reason="undecodable", error=error)
        self.fail(row, error)

    def succeed_natively(self, row: Any, value: Any) -> None:
        """In the place of the row's own method; the stock worker tells of it."""
        self._write(row, **_success(value))

    def fail_natively(self, row: Any, error: BaseException, *, is_interrupted: Callable[[], bool]) -> None:
        """The same. What is about the worker, not the job, is raised again."""
        if is_interrupted() or isinstance(error, LostClaim | Unwritten):
            raise error
        self._write(row, **failure(error))

    def _write(self, row: Any, **changes: Any) -> None:
        if not write(row, keep_trying=self._keep_trying, **changes):
            raise LostClaim

    def _tell(self, row: Any) -> None:
        try:
            announce(task_finished, row)
        except Exception:
            logger.exception("A receiver of task_finished failed.")


def _success(value: Any) -> dict[str, Any]:
    return {
        "status": TaskResultStatus.SUCCESSFUL,
        "finished_at": timezone.now(),
        "return_value": value,
        "exception_class_path": "",
        "traceback": "",
    }


def failure(error: BaseException, /) -> dict[str, Any]:
    """The columns of a row that has failed."""
    kind = type(error)
    return {
        "status": TaskResultStatus.FAILED,
        "finished_at": timezone.now(),
        "return_value": None,
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": _storable("".join(format_exception(error))),
    }


def _storable(text: str) -> str:
    # PostgreSQL knows no NUL in a text, and UTF-8 no lone surrogate.
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
