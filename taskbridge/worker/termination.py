"""`cancel(terminate=True)`: the attempt that runs is ended from outside, by its own process.

So it cannot be mistaken for another: whoever ends it knows under a lock that it has not come to its end yet.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskbridge.context import CancelRequested
from taskbridge.errors import DeadlineExceeded, StoreUnavailable
from taskbridge.worker.connections import close_stale_connections
from taskbridge.worker.interruption import Interruption
from taskbridge.worker.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskbridge.message import Outcome
    from taskbridge.store import Store
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")

TERMINATE_COST: Final = (
    "a read of the store a second, in each process that runs a `cancellable` job; the attempt ends as at a timeout"
)
"""What it costs on every backend."""
LOOKED_EVERY: Final = 1.0
"""Seconds between two looks at the store; so long may a coroutine take to its next await, too."""
CLEAN_UP: Final = 10.0
"""Seconds that a task has for what it does in its `finally`, before it is interrupted again."""


class Termination:
    """Lets an attempt of a `cancellable` job be ended while it runs."""

    def __init__(self, environment: Environment, /) -> None:
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if not (attempt.headers.cancellable or attempt.task.options.cancellable):
            return proceed(attempt)
        interruption = attempt.interruption = Interruption(CancelRequested)
        watched = _Watched(attempt.message.id, self._open_store, interruption)
        watch = _the_watch()
        try:
            try:
                # In this order: an interruption may not leave the watch half locked.
                watch.add(watched)
                interruption.begin()
                return proceed(attempt)
            finally:
                interruption.end()
        except (Exception, DeadlineExceeded) as error:
            if not interruption.has_happened:
                raise
            logger.warning("The attempt was ended, and failed in what it did then.", exc_info=True)
            raise CancelRequested from error
        finally:
            # Once more: the first call may be what was interrupted.
            interruption.end()
            watch.remove(watched)


@dataclass(slots=True, eq=False)
class _Watched:
    job_id: str
    open_store: Callable[[], Store | None]
    interruption: Interruption
    again_at: float = 0.0

    def end(self) -> None:
        """Interrupt it, or do so again where that has had no effect for long."""
        now = time.monotonic()
        is_first = not self.interruption.has_happened
        if now < self.again_at and not self.interruption.is_pending:
            return
        if not self.interruption.happen(is_insistent=not is_first):
            return
        is_gentle = is_first and self.interruption.is_of_coroutine
        self.again_at = now + (LOOKED_EVERY if is_gentle else CLEAN_UP)
        if is_first:
            logger.info("The job %s is ended while it runs: it was cancelled.", self.job_id)


class _Watch:
    """One thread a process that asks for the cancellable jobs which run here."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[_Watched] = set()
        threading.Thread(target=self._run, name="taskbridge-terminations", daemon=True).start()

    def add(self, watched: _Watched) -> None:
        with self._changed:
            self._running.add(watched)
            self._changed.notify()

    def remove(self, watched: _Watched) -> None:
        with self._changed:
            self._running.discard(watched)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
            time.sleep(LOOKED_EVERY)
            with self._changed:
                running = list(self._running)
            try:
                self._look(running)
            except StoreUnavailable as error:
                logger.warning("Whether running jobs were cancelled cannot be asked: %s", error)
            except Exception:
                logger.exception("Whether running jobs were cancelled could not be asked, which is tried again.")

    @staticmethod
    def _look(running: Iterable[_Watched]) -> None:
        by_store: dict[Callable[[], Store | None], list[_Watched]] = {}
        for watched in running:
            by_store.setdefault(watched.open_store, []).append(watched)
        for open_store, those in by_store.items():
            store = open_store()
            asked = store.asked_to_terminate([each.job_id for each in those]) if store is not None else frozenset()
            for each in those:
                if each.job_id in asked:
                    each.end()
        if by_store and os.environ.get("DJANGO_SETTINGS_MODULE"):
            close_stale_connections()


_the_watch = PerProcess(_Watch)
