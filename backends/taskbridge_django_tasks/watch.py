"""Which workers are dead: those whose lease was the same at several looks in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_SECONDS = 2.0
"""How often a worker renews its lease, and looks at those of all."""
LOOKS = 4
"""So many looks in a row that find a lease as it was tell that its worker is dead."""


class Watch:
    """What one observer has seen. Only its own monotonic clock counts."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}
        self._last_look = 0.0

    def look(self, beats: Mapping[str, int], now: float, /) -> set[str]:
        """The workers that are dead, given the number in each lease at this moment.

        An observer that was away itself, paused or without the database, begins anew: the others may have been, too.
        """
        was_away = now - self._last_look > 2 * LOOK_SECONDS
        self._last_look = now
        before = {} if was_away else self._seen
        self._seen = {}
        for worker, number in beats.items():
            known, looks = before.get(worker, (None, 0))
            self._seen[worker] = (number, looks + 1 if known == number else 0)
        return {worker for worker, (_, looks) in self._seen.items() if looks >= LOOKS}
