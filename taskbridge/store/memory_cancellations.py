"""Cancellations in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class MemoryCancellationStore:
    """A `CancellationStore` that dies with the process."""

    def __init__(self) -> None:
        self._cancelled: dict[str, float] = {}

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta) -> None:
        self._cancelled[job_id] = time.monotonic() + kept.total_seconds()

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        return self._cancelled.get(job_id, 0.0) > time.monotonic()

    def forget_cancellation(self, job_id: str, /) -> None:
        self._cancelled.pop(job_id, None)
