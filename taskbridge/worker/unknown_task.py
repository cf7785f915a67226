"""A job whose task this worker does not know: it is recorded as failed, as any other that has died."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.errors import StoreUnavailable, UnknownTask
from taskbridge.message import Dead
from taskbridge.store import Failed, TaskError
from taskbridge.worker.results import new_record

if TYPE_CHECKING:
    from taskbridge.message import Message
    from taskbridge.worker.attempt import Environment

logger = logging.getLogger("taskbridge.attempt")


def unknown_task(message: Message, /) -> Dead:
    """The answer to such a job."""
    error = UnknownTask(
        f"No task is called {message.task!r} in this worker: name its module in `imports`, or deploy newer code."
    )
    logger.error("%s", error)
    return Dead(error, "unknown task")


def record_failure(
    message: Message, environment: Environment, error: Exception, /, *, attempt: int, crashes: int = 0
) -> None:
    """Let the result of a job that no middleware sees have failed, if one was asked for."""
    headers = message.headers
    if headers is None or not headers.result:
        return
    failed = Failed(
        error=TaskError.of(error, attempt=attempt, at=datetime.now(UTC)), crashes=crashes, redrives=headers.redrives
    )
    try:
        store = environment.open_store()
        if store is not None:
            store.record(new_record(message, environment, task=message.task), failed)
    except StoreUnavailable:
        logger.exception("The store did not take the failure of the job.")
