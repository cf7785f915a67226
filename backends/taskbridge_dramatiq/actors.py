"""In a worker: one actor for each task, which runs an attempt and settles its outcome."""

from __future__ import annotations

import logging
import math
import time
import traceback
from typing import TYPE_CHECKING, Any, Final, assert_never

from dramatiq import Actor
from dramatiq.common import current_millis, q_name
from dramatiq.middleware import Shutdown
from dramatiq.results import Results

from taskbridge.errors import InvalidTask, UndecodableMessage
from taskbridge.identity import new_ids
from taskbridge.message import Again, Cancelled, Dead, Done, Expired, Skipped
from taskbridge_dramatiq.brokers import Fenced
from taskbridge_dramatiq.held import Held
from taskbridge_dramatiq.middleware import PutBack, Settling
from taskbridge_dramatiq.wire import CRASHES, from_native

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dramatiq import Broker
    from dramatiq.broker import MessageProxy

    from taskbridge.backend import Run
    from taskbridge.message import Message, Outcome
    from taskbridge.task import Task

logger = logging.getLogger("taskbridge.dramatiq")

REPEAT_SECONDS: Final = 1.0
"""How long a worker thread waits before it tries again to put a job back on a broker that does not answer."""

INTERRUPTED_MILLISECONDS: Final = 1000
"""Threads are interrupted before they are told to take no more: at once, an idle one would begin the job anew."""

_NEUTRAL: Mapping[str, Any] = {
    "throws": (BaseException,),
    "max_age": None,
    "time_limit": float("inf"),
}
"""Actor options that switch off, for our actors alone, what a broker's middleware does by default."""


def register(broker: Broker, tasks: Mapping[str, Task[..., Any, Any]], run: Run, /, *, max_priority: int) -> None:
    """Make the tasks known to the broker under their wire names.

    Raises:
        InvalidTask: the broker has an actor of this name, which would answer instead.
    """
    fenced = broker if isinstance(broker, Fenced) else None
    if fenced is not None:
        fenced.park = run.park
    settling = Settling(run, tasks, fenced)
    first = type(broker.middleware[0]) if broker.middleware else None
    broker.add_middleware(settling, before=first)

    def perform(*_args: Any, **_kwargs: Any) -> Any:
        native = settling.message
        original, crashes = (native.original, native.crashes) if isinstance(native, Held) else (native.copy(), 0)
        try:
            message = from_native(original, max_priority=max_priority)
        except UndecodableMessage as error:
            run.park(native.encode(), queue_name=q_name(native.queue_name), reason="undecodable", error=error)
            raise
        try:
            outcome = run(message, attempt=native.options.get("retries", 0) + 1, crashes=crashes)
        except Shutdown:
            _put_back(broker, native, native.options, delay=INTERRUPTED_MILLISECONDS)
            raise PutBack("interrupted by the worker's shutdown") from None
        return _settle(broker, native, message, outcome)

    for name, task in tasks.items():
        if name in broker.actors:
            raise InvalidTask(
                f"The Dramatiq broker has an actor {name!r} already, so the task {task.name!r} cannot have that name "
                f"in its workers. Take the actor out, or pin another name: native={{'dramatiq': {{'name': ...}}}}."
            )
        Actor(
            perform,
            broker=broker,
            actor_name=name,
            queue_name=task.options.queue_name,
            priority=0,
            options=dict(_NEUTRAL),
        )


def _settle(broker: Broker, native: MessageProxy, message: Message, outcome: Outcome) -> Any:
    match outcome:
        case Done(value):
            return value if message.headers is None and _is_wanted(broker, native) else None
        case Again(delay, error, is_held):
            options = {
                "retries": native.options.get("retries", 0) + 1,
                "requeue_timestamp": current_millis(),
                "traceback": "".join(traceback.format_exception(error, limit=30)) if error else None,
            }
            if not is_held:
                _put_back(broker, native, options, delay=math.ceil(delay.total_seconds() * 1000))
            raise PutBack(f"attempt {options['retries']} is followed by another") from error
        case Dead(error):
            raise error
        case Expired() | Skipped() | Cancelled():
            return None
        case _:
            assert_never(outcome)


def _put_back(broker: Broker, native: MessageProxy, options: Mapping[str, Any], /, *, delay: int) -> None:
    # Dramatiq acknowledges whatever an actor did, so a job that cannot be put back is held here until it can: its
    # message stays unacknowledged, and another worker gets it if this one dies meanwhile.
    crashes = native.crashes if isinstance(native, Held) else 0
    successor = native.copy(options={**options, **({CRASHES: crashes} if crashes else {})})
    due = current_millis() + delay
    redis_id = new_ids(1)[0]
    while True:
        remaining = max(0, due - current_millis()) or None
        try:
            if isinstance(broker, Fenced):
                broker.put_back(native, successor, delay=remaining, redis_id=redis_id)
            else:
                broker.enqueue(successor, delay=remaining)
        except Exception:
            logger.exception("The job %s waits in this worker until the broker takes it back.", native.message_id)
            time.sleep(REPEAT_SECONDS)
        else:
            return


def _is_wanted(broker: Broker, native: MessageProxy) -> bool:
    """Whether anything reads what a native job returns; Dramatiq warns about a value that nothing reads."""
    if native.options.get("pipe_target") is not None:
        return True
    return any(isinstance(middleware, Results) for middleware in broker.middleware)
