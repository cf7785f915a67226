"""Raise an exception in another thread after a time: the only limit that a thread worker can have."""

from __future__ import annotations

import ctypes
import heapq
import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskbridge.worker.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

# A prototype of our own: `ctypes.pythonapi` has one function object for the whole process, and Dramatiq calls it with
# other types than ours.
set_async_exception = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


NOTHING = ctypes.py_object()
"""NULL, which takes an exception back that was not raised yet; None would be raised."""


class _Limit:
    __slots__ = ("exception", "is_over", "thread")

    def __init__(self, thread: int, exception: type[BaseException]) -> None:
        self.thread = thread
        self.exception = exception
        self.is_over = False


class _Watch:
    """One thread a process that raises the exceptions which are due."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._due: list[tuple[float, int, _Limit]] = []
        self._order = itertools.count()
        threading.Thread(target=self._run, name="taskbridge-deadlines", daemon=True).start()

    def add(self, seconds: float, limit: _Limit) -> None:
        with self.lock:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), limit))
            self.lock.notify()

    def _run(self) -> None:
        with self.lock:
            while True:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is None or wait > 0:
                    self.lock.wait(wait)
                    continue
                _, _, limit = heapq.heappop(self._due)
                if not limit.is_over:
                    set_async_exception(limit.thread, ctypes.py_object(limit.exception))


_the_watch = PerProcess(_Watch)


@contextmanager
def raise_in_thread_after(seconds: float, exception: type[BaseException]) -> Iterator[None]:
    """Within the block, `exception` is raised in this thread at its first bytecode after `seconds`."""
    watch = _the_watch()
    limit = _Limit(threading.get_ident(), exception)
    watch.add(seconds, limit)
    try:
        yield
    finally:
        with watch.lock:
            limit.is_over = True
            set_async_exception(limit.thread, NOTHING)
