"""Code that runs around every attempt, on every engine, in the same order.

Hooks are registered at import, as tasks are, and run in the worker. An error in a hook is logged and does not touch the
job, except in `around_attempt`, which stands around the task and fails with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from taskbridge.context import Context

logger = logging.getLogger("taskbridge.hooks")

Around = Callable[["Context"], AbstractContextManager[Any]]
OnFailure = Callable[["Context", BaseException], object]
OnWorker = Callable[[], object]

_Around = TypeVar("_Around", bound=Around)
_OnFailure = TypeVar("_OnFailure", bound=OnFailure)
_OnWorker = TypeVar("_OnWorker", bound=OnWorker)


class Hooks:
    """The hooks of one registry, in order of registration."""

    def __init__(self) -> None:
        self.around: list[Around] = []
        self.final_failure: list[OnFailure] = []
        self.worker_start: list[OnWorker] = []
        self.worker_stop: list[OnWorker] = []

    def around_attempt(self, hook: _Around, /) -> _Around:
        """Enter this context manager around each attempt, inside the time limit's bookkeeping, outside the task."""
        self.around.append(hook)
        return hook

    def on_final_failure(self, hook: _OnFailure, /) -> _OnFailure:
        """Call this once when a job has failed for good: never for an attempt that will be retried."""
        self.final_failure.append(hook)
        return hook

    def on_worker_start(self, hook: _OnWorker, /) -> _OnWorker:
        """Call this in each process that runs attempts, before its first."""
        self.worker_start.append(hook)
        return hook

    def on_worker_stop(self, hook: _OnWorker, /) -> _OnWorker:
        """Call this in each process that ran attempts, when it ends in peace."""
        self.worker_stop.append(hook)
        return hook

    def fire(self, hooks: list[Callable[..., object]], /, *arguments: object) -> None:
        """Call each hook; log what it raises."""
        for hook in hooks:
            try:
                hook(*arguments)
            except Exception:
                logger.exception("The hook %r failed.", hook)


hooks = Hooks()
around_attempt = hooks.around_attempt
on_final_failure = hooks.on_final_failure
on_worker_start = hooks.on_worker_start
on_worker_stop = hooks.on_worker_stop
