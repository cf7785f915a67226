"""In a worker: one native Celery task for each task, which runs an attempt and settles its outcome."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, assert_never

from celery import Task, signals
from celery.exceptions import Ignore, Reject, Retry

from taskbridge.errors import UndecodableMessage
from taskbridge.message import HEADER, Again, Cancelled, Dead, Done, Expired, Skipped
from taskbridge_celery import crashes
from taskbridge_celery.again import is_early, publish_again
from taskbridge_celery.wire import from_native

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from celery import Celery

    from taskbridge import Task as BridgedTask
    from taskbridge.backend import Run
    from taskbridge.message import Message, Outcome
    from taskbridge_celery.crashes import Counter
    from taskbridge_celery.parking import Parking
    from taskbridge_celery.publisher import Publisher


class PriorityOf(Protocol):
    """Gives a task's priority for the one that the broker knows."""

    def __call__(self, level: int, /) -> int: ...


class Native(Task):
    """What Celery calls. Our own semantics replace Celery's retries, limits, expiry and results."""

    abstract = True
    typing = False
    ignore_result = True
    acks_late = True
    default_retry_delay = 1
    # A killed process: again, until the crash budget is spent; and if that cannot be published, the message goes back.
    retry_on_worker_lost = True
    reject_on_worker_lost = True
    max_retries = None
    Request = "taskbridge_celery.patches:LateRequest"
    Strategy = "taskbridge_celery.strategy:checked"
    bridge_run: ClassVar[Run]
    publisher: ClassVar[Publisher]
    parking: ClassVar[Parking]
    counter: ClassVar[Counter]
    ceiling: ClassVar[timedelta]
    priority_of: ClassVar[PriorityOf]

    def run(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        seen = crashes.seen(request)
        if (due := is_early(request)) is not None:
            publish_again(self, request, due=due, retries=request.retries, ceiling=self.ceiling, crashed=seen)
            raise Ignore
        try:
            message = from_native(
                _headers(request), args, kwargs, queue_name=_queue(request), priority=_priority(self, request)
            )
        except UndecodableMessage as error:
            if self.parking.keep_call(self, args, kwargs, error=error):
                raise
            raise Reject(str(error), requeue=True) from error
        began = self.counter.begin(request)
        outcome = self.bridge_run(message, attempt=request.retries + 1, crashes=seen + began)
        try:
            return settle(self, message, outcome, crashed=seen + began)
        finally:
            self.counter.end(request, began)


def register(app: Celery, tasks: Mapping[str, BridgedTask[..., Any, Any]], shared: Mapping[str, Any], /) -> None:
    """Make the tasks known to Celery under their wire names, in place of the application's own of the same name.

    `shared` holds what every `Native` needs.
    """
    for name, task in tasks.items():
        own = {"name": name, "__doc__": task.function.__doc__, "__module__": task.function.__module__}
        app.tasks.pop(name, None)
        app.register_task(type(task.function.__name__, (Native,), {**own, **shared})())


def settle(task: Native, message: Message, outcome: Outcome, /, *, crashed: int) -> Any:
    """Carry out what the runner decided, in Celery's own ways."""
    match outcome:
        case Done(value):
            return value if message.headers is None else None
        case Again(delay, error, is_held):
            due, request = datetime.now(UTC) + delay, task.request
            retries = request.retries + 1
            if not is_held:
                publish_again(task, request, due=due, retries=retries, ceiling=task.ceiling, crashed=crashed)
            raise Retry(exc=error if isinstance(error, Exception) else None, when=due)
        case Dead(error, reason):
            if not task.parking.bury(task, reason=reason, error=error):
                raise Reject(str(error), requeue=True)
            raise error
        case Expired() | Skipped() | Cancelled():
            raise Ignore
    assert_never(outcome)


def _headers(request: Any) -> dict[str, Any]:
    ours = (request.headers or {}).get(HEADER)
    headers = {"id": request.id, "task": request.task, "eta": request.eta}
    return headers if ours is None else {**headers, HEADER: ours}


def _queue(request: Any) -> str:
    info = request.delivery_info or {}
    return info.get("routing_key") or "default"


def _priority(task: Native, request: Any) -> int:
    level = (request.delivery_info or {}).get("priority")
    is_ours = HEADER in (request.headers or {})
    return task.priority_of(level) if is_ours and type(level) is int else 0


def start_and_stop(run: Run, /) -> None:
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
