"""The native message of Dramatiq 2.2: `dramatiq.Message`, with our headers as the message option `taskbridge`.

A stock worker ignores options that no middleware of its reads.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import Any

from dramatiq import Message as DramatiqMessage
from dramatiq.common import q_name
from dramatiq.errors import DecodeError

from taskbridge.backend import native_options
from taskbridge.errors import UndecodableMessage
from taskbridge.message import HEADER, UNREADABLE, Message, checked, decode_headers, encode_headers

CRASHES = "taskbridge_crashes"
"""The message option that counts the runs of earlier attempts which ended with the death of their worker, if any."""

_BOOKKEEPING = frozenset(
    {HEADER, CRASHES, "redis_message_id", "eta", "retries", "traceback", "requeue_timestamp", "broker_priority"}
)
"""Options that say where a message is on its way, not how the task is to be run."""


def to_native(message: Message, /, *, max_priority: int = 0) -> DramatiqMessage[Any]:
    """What `Actor.message_with_options` would build for this job, before any delay is applied.

    `max_priority` is that of the RabbitMQ queue; 0 if its queues have none.
    """
    options = native_options(message, "name")
    if message.headers is not None:
        options[HEADER] = encode_headers(message.headers)
        if message.headers.attempt > 1:
            options["retries"] = message.headers.attempt - 1
    if max_priority:
        options["broker_priority"] = broker_priority(message.priority, max_priority)
    enqueued_at = message.headers.enqueued_at if message.headers is not None else None
    return DramatiqMessage(
        queue_name=message.queue_name,
        actor_name=message.task,
        args=tuple(message.args),
        kwargs=message.kwargs,
        options=options,
        message_id=message.id,
        message_timestamp=int((enqueued_at.timestamp() if enqueued_at else time.time()) * 1000),
    )


def to_native_worker(message: Message, /, *, max_priority: int = 0) -> DramatiqMessage[Any]:
    """The same for a worker that TaskBridge does not run: what our headers say, in Dramatiq's own options."""
    native = to_native(message, max_priority=max_priority)
    options = {key: value for key, value in native.options.items() if key != HEADER}
    options.setdefault("max_retries", 0)
    if message.headers is not None and message.headers.expires is not None:
        expires = int(message.headers.expires.timestamp() * 1000)
        options["max_age"] = max(1, expires - native.message_timestamp)
    return dataclasses.replace(native, options=options)


def from_native(native: DramatiqMessage[Any], /, *, max_priority: int = 0) -> Message:
    """The job in a native message, wherever on its way it is.

    Raises:
        UndecodableMessage: its headers are not ours, or its fields are not Dramatiq's.
    """
    try:
        options = native.options
        headers, eta = options.get(HEADER), options.get("eta")
        return checked(
            Message(
                id=native.message_id,
                task=native.actor_name,
                args=list(native.args),
                kwargs=dict(native.kwargs),
                queue_name=q_name(native.queue_name),
                priority=task_priority(options.get("broker_priority"), max_priority),
                run_after=datetime.fromtimestamp(eta / 1000, UTC) if eta is not None else None,
                headers=decode_headers(headers) if headers is not None else None,
                native={key: value for key, value in options.items() if key not in _BOOKKEEPING},
            )
        )
    except UNREADABLE as error:
        raise UndecodableMessage(f"The Dramatiq message {native.message_id} cannot be read: {error}") from error


def readable(native: DramatiqMessage[Any], /) -> Message | None:
    """The job in a native message; None if it cannot be read."""
    try:
        return from_native(native)
    except UndecodableMessage:
        return None


def decode(data: bytes, /, *, queue_name: str, redis_id: str | None = None) -> DramatiqMessage[Any]:
    """A native message as it lies on the queue of this name; that, and its id in Redis, are as found, not as written.

    Raises:
        UndecodableMessage: it is none, or a worker thread would stumble over it.
    """
    try:
        native = DramatiqMessage.decode(data)
    except DecodeError as error:
        raise UndecodableMessage(f"The message is not Dramatiq's: {error.error}") from error
    shape = ((native.actor_name, str), (native.message_id, str), (native.kwargs, dict), (native.options, dict))
    for value, wanted in shape:
        if not isinstance(value, wanted):
            raise UndecodableMessage(f"The message holds {value!r:.80} where Dramatiq has a {wanted.__name__}.")
    if type(native.options.get("retries", 0)) is not int:
        raise UndecodableMessage(f"The message counts {native.options['retries']!r:.80} retries.")
    if redis_id is not None:
        native.options["redis_message_id"] = redis_id
    return native if native.queue_name == queue_name else native.copy(queue_name=queue_name)


def broker_priority(priority: int, max_priority: int, /) -> int:
    """RabbitMQ's priority, 0 to `max_priority`, for ours, -100 to 100; both larger sooner."""
    return (priority + 100) * max_priority // 200


def task_priority(native: int | None, max_priority: int, /) -> int:
    """The smallest priority of ours that `broker_priority` turns into this one."""
    if native is None or not max_priority:
        return 0
    return -(-native * 200 // max_priority) - 100
