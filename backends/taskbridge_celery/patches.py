"""Private pieces of Celery that we override. Each says what it is for, and which test tells when it can go."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from celery import signals
from celery.exceptions import Reject, Retry
from celery.worker.request import Request

from taskbridge_celery import crashes
from taskbridge_celery.again import publish_again

if TYPE_CHECKING:
    from taskbridge_celery.tasks import Native

CRASH_DELAY: Final = timedelta(seconds=1)
"""Between the death of a process and the next run of its job."""

logger = logging.getLogger("taskbridge.celery")


class LateRequest(Request):
    """Publishes the job of a dead process again, with one more in the count of its crashes.

    Celery 5.7 (https://github.com/celery/celery/blob/v5.7.0/celery/worker/request.py, `_retry_worker_lost`) counts it
    as an attempt, does not wait for a confirmation, and has no other place for this. Older ones do not call it and
    requeue the message, which the broker then marks as redelivered. Can go when Celery counts crashes by themselves:
    `test_a_death_of_the_process_takes_no_attempt_from_the_retry_policy`.
    """

    _message: Any
    task: Native
    time_start: float | None

    def adopt(self, message: Any, ack: Any, reject: Any) -> bool:
        """Acknowledge another delivery of this message than the one that a lost connection has made worthless."""
        mine = self._message
        is_same = all(mine.headers.get(key) == message.headers.get(key) for key in ("retries", "eta", crashes.HEADER))
        if self.acknowledged or not is_same or mine.channel is message.channel:
            return False
        self._message, self._on_ack, self._on_reject = message, ack, reject
        logger.warning("%s runs here already, and goes on under its new delivery", self)
        return True

    def _retry_worker_lost(self, exc: Exception, exc_info: Any) -> bool:
        task = self.task
        request = self._context
        # A process may die before it has begun: that is not the job's fault.
        count = crashes.seen(request) + (self.time_start is not None)
        try:
            publish_again(
                task,
                request,
                due=datetime.now(UTC) + CRASH_DELAY,
                retries=request.retries,
                ceiling=task.ceiling,
                crashed=count,
            )
        except Reject as failure:
            logger.warning("%s goes back to its queue, since it could not be published again: %s", self, failure)
            return False
        self.acknowledge()
        self.send_event("task-retried", exception=repr(exc), traceback=str(exc_info.traceback))
        reason = Retry(exc=exc, when=CRASH_DELAY.seconds)
        logger.warning("Task %s[%s] retry: %s", self.name, self.id, reason)
        signals.task_retry.send(sender=task, request=request, reason=reason, einfo=exc_info)
        return True
