"""How large a drain is, and how patient."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much, and how long to wait for it. Times are seconds."""

    jobs: int
    strikes: int
    patience: float = 40.0
    """Without any progress for so long, what has not completed by then never will."""
    settle: float = 12.0
    """After the last job, for what would run once more."""

    def plain(self) -> dict[str, float]:
        return {"jobs": self.jobs, "strikes": self.strikes, "patience": self.patience, "settle": self.settle}
