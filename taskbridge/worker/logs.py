"""Job id, task and attempt on every log record of an attempt, whoever logs it.

Records get the attributes `taskbridge_job`, `taskbridge_task` and `taskbridge_attempt` (None outside an attempt)
through the record factory, so that no handler, formatter or level of the application is touched. They have a prefix
because `logging` raises where an `extra` has a name that a record has already, and RQ logs each failure with `job_id`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from taskbridge.context import current
from taskbridge.worker.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Environment


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
        if not isinstance(attempt := current.get(), Attempt):
            record.taskbridge_job = record.taskbridge_task = record.taskbridge_attempt = None
        else:
            record.taskbridge_job = attempt.message.id
            record.taskbridge_task = attempt.task.name
            record.taskbridge_attempt = attempt.number
        return record

    with_attempt.is_taskbridge = True  # type: ignore[attr-defined]  # a mark on a function
    logging.setLogRecordFactory(with_attempt)
