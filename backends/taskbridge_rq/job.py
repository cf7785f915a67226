"""In a worker: the RQ job whose function is an attempt by TaskBridge, and whose outcome RQ settles."""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, assert_never

import rq.job
from redis.exceptions import ResponseError
from rq.exceptions import NoSuchJobError

from taskbridge.errors import UndecodableMessage
from taskbridge.message import HEADER, Again, Cancelled, Dead, Done, Expired, Skipped
from taskbridge_rq.raw import raw
from taskbridge_rq.scripts import CRASHES
from taskbridge_rq.wire import from_native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from redis.client import Pipeline

    from taskbridge.backend import Run
    from taskbridge.message import Message, Outcome
    from taskbridge.task import Task

J = TypeVar("J", bound="Job")

logger = logging.getLogger("taskbridge.rq")


UNREADABLE: Final = b""
"""A call that no serializer reads."""


class Job(rq.job.Job):
    """A job of RQ's own worker. Nothing that a message names is ever imported."""

    run: ClassVar[Run]
    tasks: ClassVar[Mapping[str, Task[..., Any, Any]]]
    known_callbacks: ClassVar[frozenset[str]] = frozenset()
    """Callbacks whose work this class does in its own way."""
    crashes: int = 0
    """Executions of this job that ended with the death of their worker."""
    found: Mapping[bytes, bytes] = {}
    """The hash as it lies on the broker."""
    success_callback = None
    failure_callback = None
    stopped_callback = None

    def refresh(self) -> None:
        """Read the job from its hash; a key that is no hash holds no job."""
        try:
            super().refresh()  # type: ignore[no-untyped-call]  # RQ's
        except ResponseError as error:
            raise NoSuchJobError(f"The key of the RQ job {self.id} is no hash: {error}") from error

    def restore(self, raw_data: Any) -> None:
        """Read the hash; a limit of the task's makes RQ kill an attempt that outlives it by a minute."""
        self.found = raw_data
        counted = raw_data.get(CRASHES.encode(), b"0")
        self.crashes = int(counted[:9]) if counted.isdigit() else 0
        try:
            super().restore(raw_data)
        except NoSuchJobError:
            raise
        except Exception:
            # Out of here it would end the worker, and the next one, and so on: the record must fail as a job.
            logger.exception("The hash of the RQ job %s cannot be read.", self.id)
            self.origin = raw_data.get(b"origin", b"").decode("utf-8", "replace")
            self.data = UNREADABLE
            return
        if not isinstance(self.meta, dict) or HEADER not in self.meta:
            return
        try:
            message = from_native(self)
        except UndecodableMessage:
            return  # It must fail in the attempt: an error here would end the worker.
        if seconds := self._limit(message):
            self.timeout = math.ceil(seconds)

    @property
    def func(self) -> Callable[..., Any]:
        """What RQ calls with the job's arguments: one attempt. It asks for this first, and for the arguments then."""
        return partial(self._attempt, self._readable())

    def set_status(self, status: rq.job.JobStatus, pipeline: Pipeline | None = None) -> None:
        """As RQ's, but for a retry's schedule, which RQ announces before the transaction that then says it again."""
        if pipeline is None and status == rq.job.JobStatus.SCHEDULED:
            self._status = status
        else:
            super().set_status(status, pipeline)

    def send_webhooks(self, *_args: Any, **_options: Any) -> None:
        """Never: a message does not choose what this worker connects to."""

    def settled(self) -> None:
        """What follows once the outcome of an attempt is recorded. Nothing does if the job was somebody else's."""

    def _limit(self, message: Message) -> float | None:
        if message.headers is not None and message.headers.timeout is not None:
            return message.headers.timeout
        task = self.tasks.get(message.task)
        return task.options.timeout.total_seconds() if task and task.options.timeout else None

    def _attempt(self, message: Message, *_args: Any, **_kwargs: Any) -> Any:
        self._report_callbacks()
        if message.headers is not None:
            signal.alarm(0)  # RQ's own limit, of which only the kill that follows it is wanted.
        number = (self.number_of_retries or 0) + 1
        try:
            outcome = type(self).run(message, attempt=number, crashes=self.crashes)
            return settle(outcome, number, is_native=message.headers is None)
        finally:
            sys.stdout.flush()  # RQ ends the process by os._exit, which drops what a task printed.

    def _readable(self) -> Message:
        try:
            return from_native(self)
        except UndecodableMessage as error:
            # RQ keeps the job among its failed ones in any case: this is for whoever looks at dead letters alone.
            payload = raw(self.id, self.found)
            type(self).run.park(payload, queue_name=self.origin, reason="undecodable", error=error)
            raise

    def _report_callbacks(self) -> None:
        callbacks = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        named = {name for name in callbacks if name} | {webhook.url for webhook in self.webhooks}
        names = named - self.known_callbacks
        if names:
            logger.warning(
                "The RQ job %s names %s: not called by a TaskBridge worker.", self.id, ", ".join(sorted(names))
            )


def bind_job(base: type[J], tasks: Mapping[str, Task[..., Any, Any]], run: Run, /) -> type[J]:
    """A job class for the tasks of one worker."""
    return type("Job", (base,), {"tasks": tasks, "run": run})


def settle(outcome: Outcome, attempt: int, /, *, is_native: bool) -> Any:
    """Carry out what the runner decided, in RQ's own ways."""
    match outcome:
        case Done(value):
            return value if is_native else None
        case Again(delay):
            return rq.job.Retry(max=attempt, interval=retry_interval(time.time(), delay))
        case Dead(error):
            raise error
        case Expired() | Skipped() | Cancelled():
            return None
        case _:
            assert_never(outcome)


def retry_interval(now: float, delay: timedelta, /) -> int:
    """Whole seconds that make RQ, which drops the fraction of the moment it computes, start never too early."""
    seconds = delay.total_seconds()
    return max(0, math.ceil(now + seconds) - math.floor(now)) if seconds > 0 else 0
