"""A job whose task this worker does not know: it is recorded as failed and buried, as any other that has died."""

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
    from taskbridge.worker.burial import Burial

logger = logging.getLogger("taskbridge.attempt")


def give_up(message: Message, environment: Environment, burial: Burial, /, *, attempt: int, crashes: int) -> Dead:
    """What becomes of the job."""
    error = UnknownTask(f"No task is called {message.task!r} in this worker: name its module in `imports`.")
    logger.error("%s", error)
    dead = Dead(error, "unknown task")
    headers = message.headers
    if headers is not None and headers.result:
        record = new_record(message, environment, task=message.task)
        failed = Failed(
            error=TaskError.of(error, attempt=attempt, at=datetime.now(UTC)),
            crashes=crashes,
            redrives=headers.redrives,
        )
        try:
            store = environment.open_store()
            if store is not None:
                store.record(record, failed)
        except StoreUnavailable:
            logger.exception("The store did not take the failure of the job.")
    burial.job(message, dead, task=message.task, attempt=attempt, crashes=crashes)
    return dead
