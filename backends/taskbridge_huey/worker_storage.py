"""The storage as Huey sees it in a worker: what it writes while it settles a claim is kept for the claim's end."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskbridge_huey.claim import Successor, marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

logger = logging.getLogger("taskbridge.huey")


class WorkerStorage:
    """Everything goes to the application's storage, but what a thread enqueues within `collecting`."""

    def __init__(self, storage: Any, unavailable: tuple[type[Exception], ...], /) -> None:
        self.inner = storage
        self._unavailable = unavailable
        self._local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @contextmanager
    def collecting(self, crashes: int = 0) -> Iterator[list[Successor]]:
        """Collect what this thread enqueues. What it schedules is the same job's next attempt: the crashes are kept."""
        collected: list[Successor] = []
        before = self._state
        self._local.state = (collected, crashes)
        try:
            yield collected
        finally:
            self._local.state = before

    @contextmanager
    def direct(self) -> Iterator[None]:
        """For the task's own code: what it enqueues is enqueued at once."""
        before = self._state
        self._local.state = None
        try:
            yield
        finally:
            self._local.state = before

    @property
    def _state(self) -> tuple[list[Successor], int] | None:
        state: tuple[list[Successor], int] | None = getattr(self._local, "state", None)
        return state

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        state = self._state
        if state is None:
            self.inner.enqueue(data, priority)
        else:
            state[0].append(Successor(data, priority or 0))

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        state = self._state
        if state is None:
            self.inner.add_to_schedule(data, ts)
        else:
            collected, crashes = state
            collected.append(Successor(marked(data, crashes), due=ts))

    def read_schedule(self, _ts: datetime) -> list[bytes]:
        """Nothing: what is due is moved by the claims, and stays in the schedule until then."""
        return []

    def delete_data(self, key: str) -> bool:
        try:
            return bool(self.inner.delete_data(key))
        except self._unavailable as error:
            if self._state is None:
                raise
            # Huey takes back a revocation after the run; the job is done, and shall not run again for this.
            logger.warning("The storage does not answer, so that the entry %s may be left in it: %s", key, error)
            return False
