"""Puts a job back on its queue: a new message under the same id, published before the old one is acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import Reject

if TYPE_CHECKING:
    from datetime import timedelta

    from celery import Task

DUE: Final = "taskbridge_due"
"""The header that says when a job is due that travels in several steps."""


def is_early(request: Any, /) -> datetime | None:
    """When the job that was delivered is due, if that is yet to come."""
    text = (request.headers or {}).get(DUE)
    due = datetime.fromisoformat(text) if text is not None else None
    return due if due is not None and due > datetime.now(UTC) else None


def publish_again(task: Task, /, *, due: datetime, retries: int, ceiling: timedelta) -> datetime | None:
    """Publish the next message of the job that runs here, and return its native delay's end.

    A worker holds a delayed message unacknowledged, which a broker allows for a time only. A longer delay becomes
    several messages. Not by `Task.retry`: where that cannot publish, it drops the job.

    Raises:
        Reject: the broker did not take it. The message at hand goes back to its queue.
    """
    now = datetime.now(UTC)
    step = min(due, now + ceiling) if due > now else None
    headers = {**(task.request.headers or {})}
    headers.pop(DUE, None)
    if step is not None and step < due:
        headers[DUE] = due.isoformat()
    following = task.signature_from_request(eta=step, retries=retries, headers=headers)
    try:
        following.apply_async()
    except Exception as failure:
        raise Reject(failure, requeue=True) from failure
    return step
