"""Private pieces of Celery that we override. Each says what it is for, and which test tells when it can go."""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from billiard import util
from celery import signals
from celery.concurrency.asynpool import AsynPool
from celery.exceptions import Reject, Retry
from celery.worker import state
from celery.worker.request import Request

from taskbridge_celery import crashes
from taskbridge_celery.again import publish_again

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def leave_no_temporary_folder() -> None:
    """Before a worker makes its pool: let the file that its processes share be made beside others.

    Billiard 4.2 (https://github.com/celery/billiard/blob/main/billiard/heap.py, `Arena`) makes a folder for it, deletes
    the file at once and the folder at an orderly end: a worker that is killed leaves `pymp-...` behind. Python's own
    multiprocessing uses /dev/shm. Can go when Billiard does: `test_a_killed_worker_leaves_no_temporary_folder`.
    """
    util.get_temp_dir = tempfile.gettempdir


@contextmanager
def written_jobs_kept(pool: Any, /) -> Iterator[None]:
    """Around a flush of the pool: what has been written to a process is run there, and so is not forgotten here.

    Celery 5.7 (https://github.com/celery/celery/blob/v5.7.0/celery/concurrency/asynpool.py, `AsynPool.flush`) forgets
    each job of which no process has yet said that it begins, when it stops or has lost its connection. One that was
    written runs all the same; it is never acknowledged and so runs again, and an orderly stop waits half a minute for
    its process, which waits for its result to be read. Can go when a flush forgets only what was not written:
    `test_a_stop_forgets_nothing_that_a_process_has_been_given`.
    """
    processes = getattr(pool, "_pool", None)
    if not isinstance(processes, AsynPool):
        yield
        return
    written = [job for job in processes._cache.values() if job._write_to is not None and not job._accepted]
    requests = [state.requests.get(job.correlation_id) for job in written]
    for job, request in zip(written, requests, strict=True):
        # A flush of a pool that is being closed leaves a message that was written in part as it is.
        if (writer := job._writer()) is not None:
            processes._flush_writer(job._write_to, writer)
        if request is not None:
            state.active_requests.add(request)
    yield
    for job, request in zip(written, requests, strict=True):
        if job._write_to._is_alive():
            processes._cache[job._job] = job
            processes._busy_workers.add(job._write_to.inqW_fd)
        elif request is not None:
            state.task_ready(request)
