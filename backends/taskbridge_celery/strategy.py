"""What a worker looks at before it accepts a message.

Celery trusts the shape of what it reads: a body that is no call, or a message without an id, ends the whole worker, or
makes it reconnect for ever. Here such a message is refused, and our consumer keeps it as a dead letter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import InvalidTaskError
from celery.worker import state
from celery.worker.strategy import default

from taskbridge.message import HEADER, UNREADABLE, decode_headers
from taskbridge_celery.patches import LateRequest

if TYPE_CHECKING:
    from collections.abc import Callable


def checked(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Celery's own strategy, behind a look at the message."""
    accept = default(task, app, consumer, **options)

    def handle(message: Any, body: Any, ack: Any, reject: Any, *rest: Any, **more: Any) -> Any:
        check(message.headers, payload_of(message))
        if adopted(message, ack, reject):
            return None
        return accept(message, body, ack, reject, *rest, **more)

    return handle


def payload_of(message: Any) -> Any:
    """The body, as Kombu reads it.

    Raises:
        InvalidTaskError: Kombu stumbles over what the message says of its own encoding.
    """
    try:
        return message.payload
    except UNREADABLE as error:
        raise InvalidTaskError(f"the body cannot be read: {error!r}") from error


def adopted(message: Any, ack: Any, reject: Any, /) -> bool:
    """True if the job is running here already: a lost connection took its delivery, and this is the next one of it."""
    if not (message.delivery_info or {}).get("redelivered") and not message.headers.get("redelivered"):
        return False
    running = state.requests.get(message.headers.get("id"))
    return isinstance(running, LateRequest) and running.adopt(message, ack, reject)


def check(headers: Any, payload: Any) -> None:
    """Refuse what is no job of Celery's protocol 2 or 1.

    Raises:
        InvalidTaskError: Celery hands the message to the consumer's `on_invalid_task`.
    """
    if isinstance(payload, dict) and "args" in payload:
        return
    match payload:
        case [list(), dict(), dict() | None]:
            pass
        case _:
            raise InvalidTaskError(f"the body is no (args, kwargs, embed) but a {type(payload).__name__}")
    if not isinstance(headers.get("id"), str):
        raise InvalidTaskError("the message has no id")
    if (ours := headers.get(HEADER)) is not None:
        try:
            decode_headers(ours)
        except (ValueError, TypeError) as error:
            raise InvalidTaskError(f"the header {HEADER} cannot be read: {error}") from error
    match headers.get("timelimit"):
        case None | [None | int() | float(), None | int() | float()]:
            pass
        case limits:
            raise InvalidTaskError(f"timelimit is no pair of numbers: {limits!r:.80}")
