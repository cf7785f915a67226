"""What the shop of the tests has written, whatever its engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def written_lines(ledger: Path) -> list[dict[str, Any]]:
    """What each line of a file says, once it is whole: a writer may be in the middle of the last one."""
    if not ledger.exists():
        return []
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").split("\n")[:-1]]


class ShopLedger:
    """A file of JSON lines, which jobs of every kind append to."""

    ledger: Path

    def written(self, job: str) -> list[dict[str, Any]]:
        """What jobs of this kind have written."""
        return [entry for entry in written_lines(self.ledger) if entry["job"] == job]
