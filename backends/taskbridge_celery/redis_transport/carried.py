"""What a Celery worker goes on with when it has lost its connection.

Celery then drops what no process has begun, and lets the rest end. Kombu would give all of it back at once, so that
what still runs is run twice.
"""

from __future__ import annotations

from typing import Any

from celery import signals
from celery.bootsteps import RUN
from celery.worker import state

_workers: list[Any] = []


def tags() -> set[str] | None:
    """The deliveries that the worker in this process still has; None if there is no worker, or it is stopping."""
    if not _workers or _workers[0].blueprint.state != RUN:
        return None
    return {request.message.delivery_tag for request in list(state.requests.values())}


def watch() -> None:
    """From now on know this process's worker."""
    signals.worker_init.connect(_remember, weak=False)


def _remember(sender: Any, **_: Any) -> None:
    _workers[:] = [sender]
