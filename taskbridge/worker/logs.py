"""Job id, task and attempt on every log record of an attempt, whoever logs it.

Records get the attributes `job_id`, `task_name` and `attempt` (None outside an attempt) through the record factory, so
that no handler, formatter or level of the application is touched.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from taskbridge.worker.attempt import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment


class Logs:
    """Marks what is logged during an attempt."""

    def __init__(self, _environment: Environment, /) -> None:
        install_record_factory()

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        token = current.set(attempt)
        try:
            return proceed(attempt)
        finally:
            current.reset(token)


def install_record_factory() -> None:
    """Wrap the process's record factory, once."""
    factory = logging.getLogRecordFactory()
    if getattr(factory, "is_taskbridge", False):
        return

    def with_attempt(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        attempt = current.get()
        record.job_id = attempt and attempt.message.id
        record.task_name = attempt and attempt.task.name
        record.attempt = attempt and attempt.number
        return record

    with_attempt.is_taskbridge = True  # type: ignore[attr-defined]  # a mark on a function
    logging.setLogRecordFactory(with_attempt)
