"""Puts a job back on its queue: a new message under the same id, published before the old one is acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from celery.exceptions import Reject

from taskbridge.errors import EnqueueError
from taskbridge_celery import crashes

if TYPE_CHECKING:
    from datetime import timedelta

    from taskbridge_celery.publisher import Publisher

DUE: Final = "taskbridge_due"
"""The header that says when a job is due that travels in several steps."""


class Publishing(Protocol):
    """A native task, as far as its next message needs it."""

    publisher: ClassVar[Publisher]

    def signature_from_request(self, request: Any = ..., **options: Any) -> Any: ...


def is_early(request: Any, /) -> datetime | None:
    """When the job that was delivered is due, if that is yet to come."""
    text = (request.headers or {}).get(DUE)
    due = datetime.fromisoformat(text) if text is not None else None
    return due if due is not None and due > datetime.now(UTC) else None


def publish_again(
    task: Publishing,
    request: Any,
    /,
    *,
    due: datetime,
    retries: int,
    ceiling: timedelta,
    crashed: int,
) -> datetime | None:
    """Publish the next message of a job, and return its native delay's end.

    A worker holds a delayed message unacknowledged, which a broker allows for a time only. A longer delay becomes
    several messages. Not by `Task.retry`: where that cannot publish, it drops the job.

    Raises:
        Reject: the broker did not take it in time. The message at hand goes back to its queue.
    """
    now = datetime.now(UTC)
    step = min(due, now + ceiling) if due > now else None
    headers = {**(request.headers or {})}
    headers.pop(DUE, None)
    headers.pop(crashes.HEADER, None)
    if crashed:
        headers[crashes.HEADER] = crashed
    if step is not None and step < due:
        headers[DUE] = due.isoformat()
    following = task.signature_from_request(request, eta=step, retries=retries, headers=headers)
    try:
        task.publisher.send(1, lambda producer: following.apply_async(producer=producer, retry=False, mandatory=True))
    except EnqueueError as failure:
        raise Reject(str(failure), requeue=True) from failure
    return step
