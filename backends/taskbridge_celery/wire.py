"""The native message of Celery 5 (protocol 2): headers, properties, and a body of `(args, kwargs, embed)`.

Our headers are one JSON string under `taskbridge`, which a stock worker hands on untouched, retries included.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from celery.app.amqp import task_message
from celery.utils.nodenames import anon_nodename
from celery.utils.saferepr import saferepr

from taskbridge.errors import InvalidArguments, UndecodableMessage, UnsupportedFeature
from taskbridge.message import HEADER, UNREADABLE, Message, checked, decode_headers, encode_headers
from taskbridge_celery.encoding import has_tags, has_wrapped, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping

NATIVE_OPTIONS = frozenset({"name", "shadow", "soft_time_limit", "time_limit"})
"""What `native={"celery": {...}}` may say."""

REPR_LENGTH = 1024
"""Celery's own limit for what Flower and the logs show of arguments."""


def to_native(
    message: Message, /, *, parent: tuple[str, str] | None = None, expires: datetime | None = None
) -> task_message:
    """What Celery's own `apply_async` would build for this job.

    Args:
        message: the job.
        parent: root id and own id of the Celery task that is running here.
        expires: for a worker that is not ours, and will not read our headers.

    Raises:
        UnsupportedFeature: a native option that is not known.
    """
    root_id, parent_id = parent or (message.id, None)
    native = message.native
    if not NATIVE_OPTIONS.issuperset(native):
        raise UnsupportedFeature(
            f"native={{'celery': ...}} of {message.task!r} has {sorted(native.keys() - NATIVE_OPTIONS)}; known are "
            f"{', '.join(sorted(NATIVE_OPTIONS))}. Canvas, groups and links stay with Celery's own calls."
        )
    headers: dict[str, Any] = {
        "lang": "py",
        "task": message.task,
        "id": message.id,
        "shadow": native.get("shadow"),
        "eta": message.run_after.isoformat() if message.run_after else None,
        "expires": expires.isoformat() if expires else None,
        "group": None,
        "group_index": None,
        "retries": message.headers.attempt - 1 if message.headers is not None else 0,
        "timelimit": [native.get("time_limit"), native.get("soft_time_limit")],
        "root_id": root_id,
        "parent_id": parent_id,
        "argsrepr": _shown(tuple(message.args)),
        "kwargsrepr": _shown(message.kwargs),
        "origin": _origin(os.getpid()),
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    if message.headers is not None:
        headers[HEADER] = encode_headers(message.headers)
    return task_message(
        headers=headers,
        properties={"correlation_id": message.id, "reply_to": ""},
        body=(message.args, message.kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
        sent_event=None,
    )


def to_native_worker(message: Message, /, *, parent: tuple[str, str] | None = None) -> task_message:
    """The same for a worker that knows nothing of us: its own expiry, no headers of ours, and Kombu's own encoding.

    Raises:
        InvalidArguments: Kombu would read a dict in the arguments as something else.
    """
    if has_tags(message.args) or has_tags(message.kwargs):
        raise InvalidArguments(
            f"An argument of {message.task!r} holds a dict with the keys '__type__' and '__value__' alone, which a "
            f"Celery worker would read as a value of another type. Name the keys otherwise, or let TaskBridge run the "
            f"workers."
        )
    expires = message.headers.expires if message.headers else None
    native = to_native(message, parent=parent, expires=expires)
    native.headers.pop(HEADER, None)
    return native


def from_native(
    headers: Mapping[str, Any], args: Any, kwargs: Any, /, *, queue_name: str = "default", priority: int = 0
) -> Message:
    """The job in a native message whose body Kombu has read.

    Raises:
        UndecodableMessage: what should be ours in it is not.
    """
    text = headers.get(HEADER)
    if text is not None:
        try:
            ours = decode_headers(text)
            args, kwargs = list(args or ()), dict(kwargs or {})
            if has_wrapped(args) or has_wrapped(kwargs):
                args, kwargs = unwrap(args), unwrap(kwargs)
        except UNREADABLE as error:
            raise UndecodableMessage(
                f"The headers of the Celery job {headers.get('id')} cannot be read: {error}"
            ) from error
    else:
        ours = None
    eta = headers.get("eta")
    try:
        return checked(
            Message(
                id=headers["id"],
                task=headers["task"],
                args=list(args or ()),
                kwargs=dict(kwargs or {}),
                queue_name=queue_name,
                priority=priority,
                run_after=datetime.fromisoformat(eta) if isinstance(eta, str) else eta,
                headers=ours,
            )
        )
    except UNREADABLE as error:
        raise UndecodableMessage(f"The Celery job {headers.get('id')!r:.80} cannot be read: {error}") from error


@cache
def _origin(process: int) -> str:  # noqa: ARG001 - a child of os.fork() has another name
    name: str = anon_nodename()
    return name


def _shown(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= REPR_LENGTH else saferepr(values, REPR_LENGTH)
