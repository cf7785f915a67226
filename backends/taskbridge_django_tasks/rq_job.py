"""The RQ job of a worker for Django tasks: TaskBridge's, with the signals and the kept errors of django-tasks-rq."""

from __future__ import annotations

import logging
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import taskbridge_rq.job
from taskbridge.message import HEADER
from taskbridge_django_tasks.rq_callbacks import FAILED, SUCCEEDED
from taskbridge_django_tasks.rq_signals import announce_finished, announce_started, class_path

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("taskbridge.django")

ERRORS = "_django_tasks_rq_exceptions"
"""Where django-tasks-rq keeps the classes of a job's errors, in its meta."""


class Job(taskbridge_rq.job.Job):
    """Does at the end of a job what the callbacks of django-tasks-rq do, without calling what a message names."""

    known_callbacks = frozenset({SUCCEEDED, FAILED})
    _news: Callable[[], None] | None = None
    _error: BaseException | None = None

    def perform(self) -> Any:
        """Run one attempt."""
        self._tell(announce_started, self)
        return super().perform()

    def execute_success_callback(self, *_: Any) -> None:
        """RQ's moment for it: the job has succeeded, but that is not recorded."""
        self._news = partial(announce_finished, self)

    def execute_failure_callback(self, _penalty: Any, _kind: type[BaseException], error: BaseException, _: Any) -> None:
        """RQ's moment for it: the job has failed, but that is not recorded."""
        self._error = error
        self._news = partial(announce_finished, self, error, "".join(traceback.format_exception(error)))

    def settled(self) -> None:
        """Tell what is recorded now."""
        if self._error is not None and HEADER not in self.meta:
            self.meta.setdefault(ERRORS, []).append(class_path(self._error))
            self.save_meta()  # type: ignore[no-untyped-call]  # RQ's
        if self._news is not None:
            self._tell(self._news)

    def _tell(self, announce: Any, *arguments: Any) -> None:
        try:
            announce(*arguments)
        except Exception:
            logger.exception("A receiver of Django's signals failed.")
