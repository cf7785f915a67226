"""In a worker: one native Celery task for each task, which runs an attempt and settles its outcome."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, assert_never

from celery import Task, signals
from celery.exceptions import Ignore, Retry
from celery.worker.request import Request

from taskbridge.message import HEADER, Again, Dead, Done, Expired
from taskbridge_celery.again import is_early, publish_again
from taskbridge_celery.wire import from_native

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from celery import Celery

    from taskbridge import Task as BridgedTask
    from taskbridge.backend import Run
    from taskbridge.message import Message, Outcome

CRASHES: Final = 3
"""How often a job whose process died is run again, beyond the attempts of its own policy."""


class EarlyRequest(Request):
    """Acknowledges before a process may start the job, so that it is never started twice."""

    acknowledged: bool

    def revoked(self) -> bool:
        """Celery asks this last before it hands the job to a process."""
        if super().revoked():
            return True
        if not self.acknowledged:
            self._message.ack()
            self.acknowledged = True
        return False


class Native(Task):
    """What Celery calls. Our own semantics replace Celery's retries, limits, expiry and results."""

    abstract = True
    typing = False
    ignore_result = True
    acks_late = True
    default_retry_delay = 1
    # A killed process: again, a bounded number of times; and if that cannot be published, the message goes back.
    retry_on_worker_lost = True
    reject_on_worker_lost = True
    Strategy = "taskbridge_celery.strategy:checked"
    bridge_run: ClassVar[Run]
    ceiling: ClassVar[timedelta]

    def run(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        if (due := is_early(request)) is not None:
            publish_again(self, due=due, retries=request.retries, ceiling=self.ceiling)
            raise Ignore
        message = from_native(_headers(request), args, kwargs, queue_name=_queue(request))
        outcome = self.bridge_run(message, attempt=request.retries + 1)
        return settle(self, message, outcome)


class EarlyNative(Native):
    """For `delivery="at_most_once"`."""

    abstract = True
    acks_late = False
    retry_on_worker_lost = False
    reject_on_worker_lost = False
    Request = EarlyRequest


def register(app: Celery, tasks: Mapping[str, BridgedTask[..., Any, Any]], run: Run, /, *, ceiling: timedelta) -> None:
    """Make the tasks known to Celery under their wire names, in place of the application's own of the same name.

    A delay above `ceiling` is travelled in several steps.
    """
    for name, task in tasks.items():
        base = EarlyNative if task.options.delivery == "at_most_once" else Native
        attempts = task.options.retry.attempts if task.options.retry else 1
        native = type(
            task.function.__name__,
            (base,),
            {
                "name": name,
                "__doc__": task.function.__doc__,
                "__module__": task.function.__module__,
                "max_retries": attempts - 1 + CRASHES,
                "bridge_run": staticmethod(run),
                "ceiling": ceiling,
            },
        )
        app.tasks.pop(name, None)
        app.register_task(native())
    _start_and_stop(run)


def settle(task: Task, message: Message, outcome: Outcome, /) -> Any:
    """Carry out what the runner decided, in Celery's own ways."""
    match outcome:
        case Done(value):
            return value if message.headers is None else None
        case Again(delay, error):
            due = datetime.now(UTC) + delay
            publish_again(task, due=due, retries=task.request.retries + 1, ceiling=task.ceiling)
            raise Retry(exc=error if isinstance(error, Exception) else None, when=due)
        case Dead(error):
            raise error
        case Expired():
            raise Ignore
    assert_never(outcome)


def _headers(request: Any) -> dict[str, Any]:
    ours = (request.headers or {}).get(HEADER)
    headers = {"id": request.id, "task": request.task, "eta": request.eta}
    return headers if ours is None else {**headers, HEADER: ours}


def _queue(request: Any) -> str:
    info = request.delivery_info or {}
    return info.get("routing_key") or "default"


def _start_and_stop(run: Run) -> None:
    """Run the hooks once in each process that will run attempts: a pool's children, or the worker itself."""
    started: set[int] = set()

    def start(**_: Any) -> None:
        if os.getpid() not in started:
            started.add(os.getpid())
            run.start()

    def stop(**_: Any) -> None:
        if os.getpid() in started:
            started.discard(os.getpid())
            run.stop()

    def start_here(sender: Any, **_: Any) -> None:
        if sender.pool_cls.__module__ != "celery.concurrency.prefork":
            start()

    signals.worker_process_init.connect(start, weak=False)
    signals.worker_process_shutdown.connect(stop, weak=False)
    signals.worker_init.connect(start_here, weak=False)
    signals.worker_shutdown.connect(stop, weak=False)
