"""All that passes between the core and an adapter: a `Message` on the way in, an `Outcome` on the way back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from taskbridge.errors import UndecodableMessage

HEADER = "taskbridge"
"""The name of our slot in every native message. The engines' own workers ignore it."""


NO_TIMEOUT = 0.0
"""In the headers: this call has no limit, whatever the task declares."""


class Tick(msgspec.Struct, omit_defaults=True, gc=False):
    """Which tick of a periodic task a job is."""

    schedule: str
    nominal: datetime
    """When it was to be, aware."""
    is_alone: bool = False
    """Not to be run while another tick of the schedule is."""


class Headers(msgspec.Struct, omit_defaults=True, gc=False):
    """What only TaskBridge reads. It travels as one JSON string in a slot that a stock worker ignores."""

    version: int = 1
    attempt: int = 1
    """Where the engine counts attempts itself, its counter is read instead: this copy may be stale."""
    crashes: int = 0
    """Executions that ended with the death of their worker before the job waited in the store: the engine's own count
    begins anew after that, and is added."""
    enqueued_at: datetime | None = None
    expires: datetime | None = None
    timeout: float | None = None
    """Seconds; set only where one call asks for another limit than the task declares."""
    retry: dict[str, Any] | None = None
    """As `timeout`: one call's own policy."""
    result: bool = False
    at_most_once: bool = False
    cancellable: bool = False
    key: str = ""
    """What is done effectively once; empty for any other delivery."""
    key_ttl: float | None = None
    """As `timeout`: how long one call wants its key to be kept."""
    redrives: int = 0
    """How often the job has been enqueued again after it was dead."""
    redriven_at: datetime | None = None
    """When it was, last; aware."""
    metadata: dict[str, Any] = {}
    tick: Tick | None = None
    """Set for a job of a periodic task."""
    fingerprint: str = ""
    """Of the task's signature where the job was enqueued."""
    signature: str = ""
    """The key's name and the HMAC, where there are signing keys."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Headers)


def encode_headers(headers: Headers, /) -> str:
    """The JSON text of the slot."""
    return _encoder.encode(headers).decode()


def decode_headers(text: str | bytes, /) -> Headers:
    """The slot's content. Fields of a later version are ignored; raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(text)


class Message(msgspec.Struct, gc=False):
    """One job as every adapter sees it."""

    id: str
    task: str
    """The wire name: what the engine's own tools show."""
    args: list[Any]
    """Plain JSON values, as the values of `kwargs`."""
    kwargs: dict[str, Any]
    queue_name: str = "default"
    priority: int = 0
    """-100..100, larger sooner."""
    run_after: datetime | None = None
    """Aware; the earliest start."""
    headers: Headers | None = None
    """None: enqueued natively, by code that knows nothing of TaskBridge."""
    native: dict[str, Any] = {}
    """The task's options for this engine alone."""


def call_text(message: Message, /) -> str:
    """The JSON text of `[args, kwargs]`, for a record that keeps them."""
    import json  # a producer without Django does not pay for it

    return json.dumps((message.args, message.kwargs), ensure_ascii=False, separators=(",", ":"))


UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError)
"""What Python raises where a value on the broker is not of the kind that it should be."""


def checked(message: Message, /) -> Message:
    """The same message, if its fields are what their annotations say: what lies on a broker may be anything.

    Raises:
        UndecodableMessage: one is not, or has no form in UTF-8, in which every store keeps it.
    """
    texts = (message.id, message.task, message.queue_name)
    if not all(map(_is_text, texts)) or type(message.priority) is not int:
        raise UndecodableMessage(
            f"This is no job: id={message.id!r:.80}, task={message.task!r:.80}, queue={message.queue_name!r:.80}, "
            f"priority={message.priority!r:.80}"
        )
    return message


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


Parked = Literal["undecodable", "unknown task", "crashed out"]
"""Why a native message cannot be given to a task of ours at all; a job of the engine's own may have crashed out."""

Reason = Literal["exhausted", "at most once", "wrong signature", "not signed"] | Parked
"""Why no further attempt follows."""


class Done(msgspec.Struct, frozen=True):
    """The task returned."""

    value: Any
    """As the task returned it. An adapter gives it to the engine only for a job that was enqueued natively."""


class Again(msgspec.Struct, frozen=True):
    """Another attempt is due after a delay; the adapter puts the job back under the same id."""

    delay: timedelta
    error: BaseException | None
    is_held: bool = False
    """The job waits in the store already, so that all that is left to do is to acknowledge it. Only where the record's
    `retry` says what happens `beyond` its ceiling."""


class Dead(msgspec.Struct, frozen=True):
    """No further attempt: the job must fail natively, so that it lands where that engine's users look."""

    error: Exception
    """What the engine is told."""
    reason: Reason
    cause: BaseException | None = None
    """What ended the last attempt, where that is no `Exception`."""


class Expired(msgspec.Struct, frozen=True):
    """The job was not started, because it was no longer wanted. The adapter acknowledges it."""

    expires: datetime


class Skipped(msgspec.Struct, frozen=True):
    """The job was not started, because what its key stands for has been done. The adapter acknowledges it."""

    done_by: str
    """The id of the job that did it."""


class Cancelled(msgspec.Struct, frozen=True):
    """The job was not started, or not gone on with, because somebody has cancelled it. The adapter acknowledges it."""


Outcome = Done | Again | Dead | Expired | Skipped | Cancelled
