"""Cancellations in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class MemoryCancellationStore:
    """A `CancellationStore` that dies with the process."""

    def __init__(self) -> None:
        self._cancelled: dict[str, float] = {}
        self._terminated: dict[str, float] = {}

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta, terminate: bool = False) -> None:
        self._cancelled[job_id] = time.monotonic() + kept.total_seconds()
        if terminate:
            self._terminated[job_id] = self._cancelled[job_id]

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        return self._cancelled.get(job_id, 0.0) > time.monotonic()

    def asked_to_terminate(self, ids: Sequence[str], /) -> frozenset[str]:
        now = time.monotonic()
        return frozenset(job_id for job_id in ids if self._terminated.get(job_id, 0.0) > now)

    def forget_cancellation(self, job_id: str, /) -> None:
        self._cancelled.pop(job_id, None)
        self._terminated.pop(job_id, None)
