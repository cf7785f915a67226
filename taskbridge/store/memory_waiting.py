"""Jobs that wait for their time in this process, for tests."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store import columns, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Message
    from taskbridge.store.waiting import Claimed

_MICROSECOND: Final = timedelta(microseconds=1)


class MemoryWaitingStore:
    """A `WaitingStore` that dies with the process."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[int, str]] = {}
        """Alias and id to the time and the text."""
        self._holding = threading.Lock()

    def hold(self, backend: str, messages: Sequence[Message], /) -> None:
        with self._holding:
            for message in messages:
                due = columns.microseconds(message.run_after) if message.run_after is not None else 0
                self._held[backend, message.id] = (due, waiting.to_text(message))

    def until_due(self, backend: str, /) -> timedelta | None:
        with self._holding:
            first = min((due for (alias, _), (due, _) in self._held.items() if alias == backend), default=None)
        return None if first is None else (first - columns.now()) * _MICROSECOND

    def claim_due(self, backend: str, /, *, limit: int, span: timedelta) -> Claimed:
        now = columns.now()
        rows: list[tuple[str, str, int]] = []
        until = now + span // _MICROSECOND
        with self._holding:
            for (alias, job_id), (due, text) in sorted(self._held.items(), key=lambda item: item[1][0]):
                if alias == backend and due <= now and len(rows) < limit:
                    self._held[alias, job_id] = (until, text)
                    rows.append((job_id, text, until))
        return waiting.claimed(backend, rows)

    def handed_over(self, claimed: Claimed, /) -> None:
        with self._holding:
            for key in self._still(claimed):
                del self._held[key]

    def give_back(self, claimed: Claimed, /) -> None:
        with self._holding:
            for key in self._still(claimed):
                self._held[key] = (columns.now(), self._held[key][1])

    def withdraw(self, backend: str, ids: Sequence[str], /) -> int:
        with self._holding:
            return sum(self._held.pop((backend, job_id), None) is not None for job_id in ids)

    def _still(self, claimed: Claimed) -> list[tuple[str, str]]:
        keys = [(claimed.backend, job_id) for job_id in claimed.tokens]
        return [key for key in keys if key in self._held and self._held[key][0] == claimed.tokens[key[1]]]
