"""How often a job's worker has died while the job ran.

A worker whose child dies goes on itself: it publishes the job again, with one more in a header of ours. When a whole
worker dies, RabbitMQ gives its jobs out again, marked as redelivered and otherwise as they were. The execution of a
redelivered job is therefore noted on the broker before it begins: one small message on a queue of the job's own, whose
length is the count. A job that is delivered once pays nothing, and one that was only prefetched is not counted.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskbridge.errors import EnqueueError

if TYPE_CHECKING:
    from kombu.messaging import Producer

    from taskbridge_celery.publisher import Publisher

HEADER: Final = "taskbridge_crashes"
"""Executions that ended with the death of their process, as far as the worker around it has seen."""

QUEUE_PREFIX: Final = "taskbridge.crashes."
FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A counter on which nobody counts for so long is deleted by the broker."""

logger = logging.getLogger("taskbridge.celery")


def seen(request: Any, /) -> int:
    """What the message itself says."""
    count = (request.headers or {}).get(HEADER)
    return count if type(count) is int and count > 0 else 0


class Counter(Protocol):
    """Counts executions of redelivered jobs, where their messages cannot."""

    def begin(self, request: Any, /) -> int:
        """Note that the job of this request begins; how many of its executions may have ended with a death."""
        ...

    def end(self, request: Any, began: int, /) -> None:
        """The execution that was the `began`-th has been settled."""
        ...


class NoCounter:
    """For a transport that says in each message how often it was restored."""

    def begin(self, _request: Any, /) -> int:
        return 0

    def end(self, _request: Any, _began: int, /) -> None: ...


class QueueCounter:
    """On RabbitMQ."""

    def __init__(self, publisher: Publisher, /) -> None:
        self._publisher = publisher

    def begin(self, request: Any, /) -> int:
        if not _is_redelivered(request):
            return 0
        count = 0

        def note(producer: Producer) -> None:
            nonlocal count
            channel: Any = producer.channel
            name = QUEUE_PREFIX + request.id
            count = _declare(channel, name) + 1
            channel.basic_publish(channel.prepare_message(b"", properties={"delivery_mode": 2}), routing_key=name)

        try:
            self._publisher.send(1, note)
        except EnqueueError as error:
            logger.warning("The redelivered job %s is run without being counted: %s", request.id, error)
            return 1
        return count

    def end(self, request: Any, began: int, /) -> None:
        if not began:
            return

        def forget(producer: Producer) -> None:
            channel: Any = producer.channel
            # Another may have begun since: a job that outlives `consumer_timeout` is given out again and again.
            if _declare(channel, QUEUE_PREFIX + request.id) == began:
                channel.queue_delete(QUEUE_PREFIX + request.id)

        try:
            self._publisher.send(0, forget)
        except EnqueueError as error:
            logger.warning("The counter of %s is left to its expiry: %s", request.id, error)


def _declare(channel: Any, name: str) -> int:
    arguments = {"x-expires": int(FORGOTTEN_AFTER.total_seconds() * 1000)}
    declared = channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
    count: int = declared.message_count
    return count


def _is_redelivered(request: Any) -> bool:
    return bool((request.delivery_info or {}).get("redelivered"))
