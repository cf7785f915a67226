"""End what a thread does, from another: in a main thread by a signal, which interrupts a blocking call too; in any
other by an exception at its next bytecode; a coroutine at its next await."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from taskbridge.worker.async_exception import NOTHING, set_async_exception

if TYPE_CHECKING:
    import asyncio
    from types import FrameType


class Interruption:
    """How one thread is interrupted between `begin` and `end`, and never after them. Both are its own to call."""

    def __init__(self, exception: type[BaseException]) -> None:
        self.has_happened = False
        self._exception = exception
        self._thread = threading.get_ident()
        self._is_main = threading.current_thread() is threading.main_thread()
        self._lock = threading.Lock()
        self._is_on = False
        self._is_sent = False
        self._is_installed = False
        self._previous: Any = None
        self._coroutine: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def begin(self) -> None:
        """In a main thread, take over SIGALRM; one that is not ours goes to whoever had it."""
        if self._is_main:
            self._previous = signal.signal(signal.SIGALRM, self._handle)
            self._is_installed = True
        self._is_on = True  # the last step: from here on the thread may be anywhere else

    def end(self) -> None:
        """Nothing is raised any more. May be called again, where it was interrupted itself."""
        with self._lock:
            self._is_on = False
            if self.has_happened and not self._is_main:
                set_async_exception(self._thread, NOTHING)
        if self._is_installed:
            # What was sent is delivered before this system call returns, and handled, in vain, before the next changes
            # the handler: the one before might end the process.
            os.getppid()
            signal.signal(signal.SIGALRM, self._previous)
            self._is_installed = False

    @property
    def is_of_coroutine(self) -> bool:
        """Whether a coroutine runs, which ends at its next await."""
        return self._coroutine is not None

    @property
    def is_pending(self) -> bool:
        """Whether a signal was sent that the thread has not noticed: it came just before a call that blocks."""
        return self._is_sent

    def of_coroutine(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], /) -> None:
        """What is to be interrupted is this coroutine."""
        self._coroutine = loop, task

    def happen(self, *, is_insistent: bool = False) -> bool:
        """Interrupt the thread, in whatever thread this is called. A coroutine that does not await needs insistence.

        False if it has not begun, or is over.
        """
        with self._lock:
            if not self._is_on:
                return False
            self.has_happened = True
            if self._coroutine is not None and not is_insistent:
                loop, task = self._coroutine
                if not loop.is_closed():
                    loop.call_soon_threadsafe(task.cancel)
            elif self._is_main:
                self._is_sent = True
                signal.pthread_kill(self._thread, signal.SIGALRM)
            else:
                set_async_exception(self._thread, ctypes.py_object(self._exception))
            return True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_sent:
            self._is_sent = False
            if self._is_on:
                raise self._exception
        elif callable(self._previous):
            self._previous(number, frame)
