"""The storage as Huey sees it in a worker: what it writes while it settles a claim is kept for the claim's end."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskbridge_huey.claim import Successor, marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(slots=True)
class Collected:
    """What Huey wrote about one job."""

    crashes: int = 0
    successors: list[Successor] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    """Keys of entries to delete: Huey takes back the revocation of a job that has run."""


class WorkerStorage:
    """Everything goes to the application's storage, but what a thread writes within `collecting`."""

    def __init__(self, storage: Any, /) -> None:
        self.inner = storage
        self._local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @contextmanager
    def collecting(self, crashes: int = 0) -> Iterator[Collected]:
        """Collect what this thread enqueues. What it schedules is the same job's next attempt: the crashes are kept."""
        before = self._collected
        self._local.collected = collected = Collected(crashes)
        try:
            yield collected
        finally:
            self._local.collected = before

    @contextmanager
    def direct(self) -> Iterator[None]:
        """For the task's own code: what it enqueues is enqueued at once."""
        before = self._collected
        self._local.collected = None
        try:
            yield
        finally:
            self._local.collected = before

    @property
    def _collected(self) -> Collected | None:
        collected: Collected | None = getattr(self._local, "collected", None)
        return collected

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        collected = self._collected
        if collected is None:
            self.inner.enqueue(data, priority)
        else:
            collected.successors.append(Successor(data, priority or 0))

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        collected = self._collected
        if collected is None:
            self.inner.add_to_schedule(data, ts)
        else:
            collected.successors.append(Successor(marked(data, collected.crashes), due=ts))

    def read_schedule(self, _ts: datetime) -> list[bytes]:
        """Nothing: what is due is moved by the claims, and stays in the schedule until then."""
        return []

    def delete_data(self, key: str) -> bool:
        """Whether there was something; unknown, and so False, where the deletion waits for the claim's end."""
        collected = self._collected
        if collected is None:
            return bool(self.inner.delete_data(key))
        collected.forgotten.append(key)
        return False
