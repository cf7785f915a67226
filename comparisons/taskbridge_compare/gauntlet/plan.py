"""What a gauntlet is made of: cells, each one drain of one row under one fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.gauntlet.fault import Fault
    from taskbridge_compare.gauntlet.size import Size

SLOTS = 2
"""Jobs that a worker runs at a time, where its engine lets us choose; so that a strike finds neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One drain."""

    driver: Driver
    fault: Fault
    repeat: int
    size: Size

    @property
    def row(self) -> str:
        """Backend and profile."""
        return f"{self.driver.backend}.{self.driver.profile}"

    @property
    def name(self) -> str:
        """A file's name, and what a line of the progress calls it."""
        return f"{self.row}.{self.fault.name}.{self.repeat}"

    def path(self, folder: Path) -> Path:
        """Where its result lies."""
        return folder / f"{self.name}.json.gz"
