"""Does duties in threads, each under a lease of the store."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from taskbridge.errors import EnqueueError, StoreUnavailable
from taskbridge.identity import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from taskbridge.scheduler.duty import Duty
    from taskbridge.store import Lease, LeaseStore

logger = logging.getLogger("taskbridge.scheduler")

SPAN: Final = timedelta(seconds=6)
"""How long a holder may be silent before its duty is another's."""
RENEW_EVERY: Final = timedelta(seconds=2)
TRY_EVERY: Final = timedelta(seconds=2)
"""How often who does not hold a duty asks for it. With the span it bounds a takeover."""
FIRST_PAUSE: Final = timedelta(seconds=1)
"""After a beat that failed. It doubles with each failure in a row."""
LONGEST_PAUSE: Final = timedelta(seconds=30)
PATIENCE: Final = timedelta(seconds=5)
"""How long a stop waits for the beats that are under way."""


class Scheduler:
    """One process's share of some duties. Start it, or use it as a context manager.

    When it stops, its duties are free at once; when its process dies, another has them within 10 s.
    """

    def __init__(self, store: LeaseStore, duties: Sequence[Duty], *, tell: Callable[[str], None] = logger.info) -> None:
        """`tell` hears in words which duties this process has taken over and lost."""
        self._stopping = threading.Event()
        posts = [_Post(duty, store, tell, self._stopping) for duty in duties]
        self._threads = [threading.Thread(target=post.hold, name=f"duty {post.name}", daemon=True) for post in posts]

    def start(self) -> None:
        """Begin, in threads; returns at once. A store that is down is waited for."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """Finish the beats that are under way and give the duties back; False if one took longer than `PATIENCE`."""
        self._stopping.set()
        deadline = time.monotonic() + PATIENCE.total_seconds()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Post:
    """One duty in one process: hold its lease or wait for it, beat, rest.

    The thread that beats also renews: a beat that hangs loses the duty to another process.
    """

    def __init__(self, duty: Duty, store: LeaseStore, tell: Callable[[str], None], stopping: threading.Event) -> None:
        self.name = duty.name
        self._duty = duty
        self._store = store
        self._tell = tell
        self._stopping = stopping
        self._holder = f"{socket.gethostname()} {os.getpid()} {new_id()}"
        self._lease: Lease | None = None
        self._renewed = 0.0
        self._next_beat = 0.0
        self._failures = 0

    def hold(self) -> None:
        """Until the scheduler stops."""
        while not self._stopping.is_set():
            try:
                pause = self._turn()
            except Exception as error:  # noqa: BLE001 - a duty may fail in any way, and must not end the others
                pause = self._fail(error)
            self._stopping.wait(pause)
        self._give_back()

    def _turn(self) -> float:
        if not self._is_held():
            return TRY_EVERY.total_seconds()
        if time.monotonic() >= self._next_beat:
            rest = self._duty.beat()
            self._next_beat = time.monotonic() + rest.total_seconds()
            self._failures = 0
        return max(0.0, min(self._next_beat - time.monotonic(), RENEW_EVERY.total_seconds()))

    def _is_held(self) -> bool:
        now = time.monotonic()
        if self._lease is None:
            self._lease = self._store.acquire(f"duty:{self.name}", holder=self._holder, span=SPAN)
            if self._lease is None:
                return False
            self._next_beat = 0.0
            self._tell(f"took over the duty {self.name}")
        elif now - self._renewed < RENEW_EVERY.total_seconds():
            return True
        elif not self._store.renew([self._lease], span=SPAN):
            self._lease = None
            self._tell(f"lost the duty {self.name} to another process")
            return False
        self._renewed = now
        return True

    def _fail(self, error: Exception) -> float:
        pause = min(FIRST_PAUSE * (1 << min(self._failures, 10)), LONGEST_PAUSE)
        self._failures += 1
        is_known = isinstance(error, StoreUnavailable | EnqueueError)
        logger.error(
            "The duty %s failed and is tried again in %g s: %s",
            self.name,
            pause.total_seconds(),
            error,
            exc_info=None if is_known else error,
        )
        self._give_back()
        return pause.total_seconds()

    def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(StoreUnavailable):
                self._store.release([lease])
