"""Under Django: database connections that went stale are closed around each attempt, as around each request."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment


class Connections:
    """Does for every engine what Django does for its requests."""

    def __init__(self, _environment: Environment, /) -> None:
        self._is_django = bool(os.environ.get("DJANGO_SETTINGS_MODULE"))

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not self._is_django:
            return proceed(attempt)
        refresh = _for_coroutine if attempt.task.is_coroutine else close_stale_connections
        refresh()
        try:
            return proceed(attempt)
        finally:
            refresh()


def _for_coroutine() -> None:
    """Also close those of the one thread in which asgiref runs a coroutine's queries: Django never looks at them."""
    close_stale_connections()
    asgiref: Any = sys.modules.get("asgiref.sync")
    if asgiref is not None:
        # Not waited for: what the coroutine asks of that thread comes after it.
        asgiref.SyncToAsync.single_thread_executor.submit(close_stale_connections)


def close_stale_connections() -> None:
    """Close connections that are past their age or broken, outside a transaction."""
    database: Any = sys.modules.get("django.db")
    if database is None:
        return
    for connection in database.connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
