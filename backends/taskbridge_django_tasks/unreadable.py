"""Rows whose JSON the database takes and Python does not: too deep, or a number of too many digits.

The stock claim reads the row first, and dies of it: each worker in turn, since such a row stays at the head.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db.models import TextField
from django.db.models.functions import Cast
from django_tasks_db.compat import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from taskbridge.errors import UndecodableMessage
from taskbridge_django_tasks.settlement import failure

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from taskbridge.backend import Run


def fail_unreadable(due: QuerySet[DBTaskResult], run: Run, /) -> bool:
    """Keep the first such row as a dead letter, and let it fail; False if there is none."""
    texts = due.annotate(content=Cast("args_kwargs", TextField()), workers=Cast("worker_ids", TextField()))
    for key, queue_name, content, workers in texts.values_list("pk", "queue_name", "content", "workers").iterator():
        error = _fault(content) or _fault(workers)
        if error is not None:
            unreadable = UndecodableMessage(f"The row {key} cannot be read: {error}")
            payload = json.dumps({"id": str(key), "args_kwargs as text": content}).encode()
            run.park(payload, queue_name=queue_name, reason="undecodable", error=unreadable)
            DBTaskResult.objects.filter(pk=key, status=TaskResultStatus.READY).update(**failure(unreadable))
            return True
    return False


def _fault(text: str) -> Exception | None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return error
    return None
