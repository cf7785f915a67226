"""`timeout`: raise `DeadlineExceeded` in the task.

In a main thread a timer signal interrupts even a blocking call. In any other thread the exception is placed into the
running thread, where it is raised at the next bytecode. A coroutine is cancelled at its next await first.
"""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from taskbridge.errors import DeadlineExceeded
from taskbridge.worker.async_exception import raise_in_thread_after

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

COROUTINE_SLACK = timedelta(seconds=1)
"""How much longer a coroutine that never awaits may run before it is interrupted like a function."""

REPEAT_SECONDS = 1.0
"""A task that swallows the exception gets it again after this time."""


class Deadline:
    """Ends an attempt that takes longer than its `timeout`."""

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        timeout = attempt.timeout
        if timeout is None:
            return proceed(attempt)
        attempt.deadline = datetime.now(UTC) + timeout
        limit = timeout + COROUTINE_SLACK if attempt.task.is_coroutine else timeout
        seconds = limit.total_seconds()
        if threading.current_thread() is threading.main_thread():
            return _with_timer_signal(seconds, attempt, proceed)
        with raise_in_thread_after(seconds, DeadlineExceeded):
            return proceed(attempt)


def _with_timer_signal(seconds: float, attempt: Attempt, proceed: Callable[[Attempt], Outcome]) -> Outcome:
    is_armed = True

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        if is_armed:
            raise DeadlineExceeded(f"the task's timeout of {attempt.timeout} has passed")

    previous = signal.signal(signal.SIGALRM, interrupt)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        return proceed(attempt)
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, remaining, interval)
        signal.signal(signal.SIGALRM, previous)
