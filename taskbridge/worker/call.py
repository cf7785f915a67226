"""The innermost step: arguments are read by the task's annotations, and its function is called."""

from __future__ import annotations

import asyncio
import os
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from taskbridge.context import CancelRequested
from taskbridge.errors import DeadlineExceeded
from taskbridge.message import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment
    from taskbridge.worker.interruption import Interruption

_loops = threading.local()


class Call:
    """Calls the task. A coroutine runs on the event loop of this thread, which is kept for the thread's life."""

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, _proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        task = attempt.task
        args, kwargs = task.codec.decode(attempt.message.args, attempt.message.kwargs)
        if task.options.takes_context:
            args.insert(0, attempt.context())
        if not task.is_coroutine:
            return Done(task.function(*args, **kwargs))
        seconds = attempt.timeout.total_seconds() if attempt.timeout is not None else None
        return Done(run_coroutine(task.function(*args, **kwargs), seconds, attempt.interruption))


def run_coroutine(coroutine: Coroutine[Any, Any, Any], timeout: float | None, interruption: Interruption | None) -> Any:
    """Run a coroutine to its end on this thread's own loop; after `timeout` seconds it ends at its next await."""
    runner = _loop_runner()
    try:
        # A Runner's own context is that of its first coroutine: hooks and log records would tell of an earlier job.
        return runner.run(_limited(coroutine, timeout, interruption), context=copy_context())
    except (DeadlineExceeded, CancelRequested):
        runner.close()
        del _loops.runner
        raise


async def _limited(
    coroutine: Coroutine[Any, Any, Any], timeout: float | None, interruption: Interruption | None
) -> Any:
    if interruption is not None:
        task = asyncio.current_task()
        assert task is not None
        interruption.of_coroutine(task.get_loop(), task)
    try:
        async with asyncio.timeout(timeout) as scope:
            return await coroutine
    except TimeoutError as error:
        if scope.expired():
            raise DeadlineExceeded("the task's timeout has passed") from error
        raise
    except asyncio.CancelledError as error:
        if interruption is not None and interruption.has_happened:
            raise CancelRequested from error
        raise


def _loop_runner() -> asyncio.Runner:
    if getattr(_loops, "pid", None) != os.getpid():
        # A loop that was made before os.fork() shares its selector with the parent.
        _loops.pid = os.getpid()
        _loops.runner = asyncio.Runner()
    elif not hasattr(_loops, "runner"):
        _loops.runner = asyncio.Runner()
    runner: asyncio.Runner = _loops.runner
    return runner
