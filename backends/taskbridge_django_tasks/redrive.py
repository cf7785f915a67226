"""The way back of what could not be read: the failed row holds all of it still."""

from __future__ import annotations

import json
from uuid import UUID

from django_tasks_db.compat import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from taskbridge.errors import EnqueueError


def ready_again(payload: bytes, /, *, label: str) -> None:
    """Let the row that was parked as these bytes be claimed again, as it is by now.

    Raises:
        EnqueueError: the row is gone, or has not failed.
    """
    key = UUID(json.loads(payload)["id"])
    changed = (
        DBTaskResult.objects.filter(pk=key)
        .failed()
        .update(status=TaskResultStatus.READY, finished_at=None, exception_class_path="", traceback="")
    )
    if not changed:
        raise EnqueueError(
            f"{label}: there is no failed row {key}; it was pruned, or is driven already.", maybe_accepted=False
        )
