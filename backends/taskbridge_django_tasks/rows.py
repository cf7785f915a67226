"""Changes to the row of a job that a worker has claimed: each is one UPDATE, guarded by the claim."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.models import F, Func, JSONField, Value
from django.db.models.functions import Cast
from django_tasks_db.compat import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from taskbridge.worker.connections import close_stale_connections
from taskbridge_django_tasks import guarded_update
from taskbridge_django_tasks.wire import RETURNS, Returns, returns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

logger = logging.getLogger("taskbridge.django")

SETTLE_SECONDS: Final = 20.0
"""How long an outcome that the database refuses is tried again. One that is away is waited for."""
PAUSES: Final = (0.1, 0.2, 0.5, 1.0)


class LostClaim(BaseException):
    """The row went to another worker. No `Exception`: the stock worker would record it as the task's failure."""


class Unwritten(Exception):
    """The database did not take the outcome of an attempt."""


def claimed(row: Any, /) -> QuerySet[DBTaskResult]:
    """The row, as long as it is in the hands of the worker that claimed it, by this very claim."""
    return DBTaskResult.objects.filter(**_claim(row))


def _claim(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "status": TaskResultStatus.RUNNING,
        "worker_ids": row.worker_ids,
        "started_at": row.started_at,
    }


def write(row: Any, *, keep_trying: Callable[[], bool] = lambda: True, **changes: Any) -> bool:
    """Change a row that is still ours; False if it is not. A database that is away is waited for.

    Raises:
        Unwritten: it refused the change for too long, or did not come back while `keep_trying` held.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    tries = 0
    while True:
        try:
            is_ours = bool(guarded_update.update(_claim(row), changes))
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > deadline and (not keep_trying() or _is_there()):
                raise Unwritten(str(error).strip()) from error
            if not tries:
                logger.warning("The outcome of the job %s waits for the database.", row.pk)
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1
            close_stale_connections()
        else:
            break
    for name, value in changes.items():
        setattr(row, name, value)
    return is_ours


def give_back(row: Any, *, crashed: bool) -> bool:
    """Let a claimed row be claimed again; False if its claim is over. A crash counts against the job."""
    changes: dict[str, Any] = {"status": TaskResultStatus.READY}
    if isinstance(row.args_kwargs, dict):
        before = returns_of(row.args_kwargs)
        after = Returns(before.crashed + crashed, before.released + (not crashed))
        changes["args_kwargs"] = _with_member(RETURNS, after._asdict())
    return bool(claimed(row).update(**changes))


def _with_member(member: str, content: dict[str, int]) -> Func:
    # The database does it: what else the JSON holds must stay as it is, to the digit.
    text = json.dumps(content)
    if connections[DBTaskResult.objects.db].vendor == "sqlite":
        return Func(F("args_kwargs"), Value(f"$.{member}"), Func(Value(text), function="json"), function="json_set")
    path = Func(Value(f"{{{member}}}"), template="%(expressions)s::text[]")
    return Func(F("args_kwargs"), path, Cast(Value(text), JSONField()), function="jsonb_set")


def _is_there() -> bool:
    connection = connections[DBTaskResult.objects.db]
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return False
    return connection.vendor == "sqlite" or bool(connection.is_usable())
