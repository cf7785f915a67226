"""Where dead letters go: to the store, or where there is none, to a durable queue of the broker."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from kombu.entity import Exchange, Queue

from taskbridge_celery.raw import carried, raw, raw_call
from taskbridge_celery.wire import from_native

if TYPE_CHECKING:
    from celery import Task
    from kombu.message import Message
    from kombu.messaging import Producer

    from taskbridge.backend import Run
    from taskbridge.message import Message as Job
    from taskbridge.message import Parked
    from taskbridge_celery.publisher import Publisher

DEAD_QUEUE: Final = "taskbridge.dead"
RETENTION: Final = timedelta(days=30)
"""As long as a store keeps a dead letter."""

HEADER: Final = "taskbridge_dead"
"""On that queue: why, whence and when."""

ERROR_LENGTH: Final = 1000

logger = logging.getLogger("taskbridge.celery")


class Parking:
    """Keeps what will not be run. What it cannot keep must stay unacknowledged."""

    def __init__(self, run: Run, publisher: Publisher | None, /) -> None:
        """`publisher` is the broker's, where dead letters go to a queue of it, for want of a store."""
        self._run = run
        self._publisher = publisher

    def keep(self, message: Message, /, *, reason: Parked, error: Exception) -> bool:
        """Keep a message that no task here can be given; False: nobody took it, so it must not be acknowledged."""
        queue_name = (message.delivery_info or {}).get("routing_key") or "default"
        job = readable(message, queue_name) if reason == "unknown task" else None
        if self._run.park(raw(message), queue_name=queue_name, reason=reason, error=error, message=job):
            return True
        if self._publisher is None:
            return False

        def send(producer: Producer) -> None:
            queue = _dead_queue()(producer.channel)
            queue.declare()
            headers = message.headers if isinstance(message.headers, dict) else {}
            producer.channel.basic_publish(
                producer.channel.prepare_message(
                    message.body,
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    headers={**headers, HEADER: _why(queue_name, reason, error)},
                    properties={**carried(message.properties), "delivery_mode": 2},
                ),
                routing_key=DEAD_QUEUE,
            )

        return self._deliver(send)

    def keep_call(self, task: Task, args: Any, kwargs: Any, /, *, error: Exception) -> bool:
        """As `keep`, in the process that was to run it."""
        request = task.request
        queue_name = (request.delivery_info or {}).get("routing_key") or "default"
        payload = raw_call(request, args, kwargs)
        if self._run.park(payload, queue_name=queue_name, reason="undecodable", error=error):
            return True
        return self._publisher is not None and self.bury(task, reason="undecodable", error=error)

    def bury(self, task: Task, /, *, reason: str, error: Exception) -> bool:
        """Keep the job that has failed for good on the broker, if that is where dead letters go; False: it did not."""
        if self._publisher is None:
            return True
        request = task.request
        queue_name = (request.delivery_info or {}).get("routing_key") or "default"
        headers = {**(request.headers or {}), HEADER: _why(queue_name, reason, error)}
        letter = task.signature_from_request(queue=_dead_queue(), headers=headers)
        letter.options.pop("priority", None)
        return self._deliver(lambda producer: letter.apply_async(producer=producer, retry=False, mandatory=True))

    def _deliver(self, send: Any) -> bool:
        assert self._publisher is not None
        try:
            self._publisher.send(1, send)
        except Exception as failure:  # noqa: BLE001 - hostile headers may fail anywhere; the worker goes on
            logger.error("A dead letter was not kept, so its message stays: %s", failure)  # noqa: TRY400 - as above
            return False
        return True


def readable(message: Message, queue_name: str, /) -> Job | None:
    """The job in a message that Celery has not read; None if it cannot be."""
    try:
        args, kwargs, _ = message.payload
        return from_native(message.headers, args, kwargs, queue_name=queue_name)
    except Exception:  # noqa: BLE001 - whatever Kombu's decoders raise over a hostile message
        return None


def _dead_queue() -> Queue:
    return Queue(
        DEAD_QUEUE,
        Exchange(""),
        routing_key=DEAD_QUEUE,
        durable=True,
        queue_arguments={"x-message-ttl": int(RETENTION.total_seconds() * 1000)},
    )


def _why(queue_name: str, reason: str, error: Exception) -> dict[str, str]:
    return {
        "reason": reason,
        "error": f"{type(error).__name__}: {error}"[:ERROR_LENGTH],
        "queue": queue_name,
        "at": datetime.now(UTC).isoformat(),
    }
