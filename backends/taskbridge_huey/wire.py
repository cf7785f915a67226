"""The native message of Huey 3.5: `huey.registry.Message`, a named tuple that its serializer turns into bytes.

It has no place for headers, so ours travel in `Arguments`, a tuple that Huey hands on untouched wherever it rebuilds a
message from a task; the serializer writes them beside Huey's own fields.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from huey.registry import Message as HueyMessage

from taskbridge.errors import UndecodableMessage
from taskbridge.message import UNREADABLE, Message, checked, decode_headers, encode_headers

if TYPE_CHECKING:
    from collections.abc import Iterable


class Arguments(tuple[Any, ...]):
    """Positional arguments, with the text of our headers; None for a message that legacy code enqueued."""

    headers: str | None

    def __new__(cls, values: Iterable[Any] = (), headers: str | None = None) -> Arguments:
        arguments = super().__new__(cls, values)
        arguments.headers = headers
        return arguments


def to_native(message: Message, /) -> HueyMessage:
    """What Huey's own enqueue would build for this job."""
    eta = message.run_after.astimezone(UTC).replace(tzinfo=None) if message.run_after else None
    arguments = Arguments(message.args, encode_headers(message.headers) if message.headers else None)
    name = native_name(message.task)
    return HueyMessage(
        message.id, name, eta, 0, 0, message.priority or None, arguments, message.kwargs, retry_backoff=0
    )


def to_stock(message: Message, /) -> HueyMessage:
    """The job for a consumer that TaskBridge does not run: without headers, and retried as the worker's own task says.

    Huey computes an expiry again whenever a task leaves its schedule; an aware datetime stays what it was.
    """
    expires = message.headers.expires.astimezone(UTC) if message.headers and message.headers.expires else None
    return to_native(message)._replace(
        args=tuple(message.args),
        retries=None,
        retry_delay=None,
        retry_backoff=None,
        expires=expires,
        expires_resolved=expires and expires.replace(tzinfo=None),
    )


def from_native(native: HueyMessage, queue_name: str, /) -> Message:
    """The job in a native message.

    Raises:
        UndecodableMessage: its headers are not ours.
    """
    headers = getattr(native.args, "headers", None)
    try:
        decoded = decode_headers(headers) if headers is not None else None
    except UNREADABLE as error:
        raise UndecodableMessage(f"The headers of the Huey task {native.id} cannot be read: {error}") from error
    try:
        return checked(
            Message(
                id=native.id,
                task=task_name(native.name),
                args=list(native.args or ()),
                kwargs=dict(native.kwargs or {}),
                queue_name=queue_name,
                priority=int(native.priority or 0),
                run_after=native.eta.replace(tzinfo=UTC) if native.eta else None,
                headers=decoded,
            )
        )
    except UNREADABLE as error:
        raise UndecodableMessage(f"The Huey task {native.id!r:.80} cannot be read: {error}") from error


def native_name(name: str, /) -> str:
    """Huey calls a task module.function; a name without a dot gets an empty module."""
    return name if "." in name else f".{name}"


def task_name(native: str, /) -> str:
    """The reverse of `native_name`."""
    return native.removeprefix(".")
