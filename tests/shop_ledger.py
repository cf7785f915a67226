"""What the shop of the tests has written, whatever its engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ShopLedger:
    """A file of JSON lines, which jobs of every kind append to."""

    ledger: Path

    def written(self, job: str) -> list[dict[str, Any]]:
        """What jobs of this kind have written."""
        if not self.ledger.exists():
            return []
        entries = [json.loads(line) for line in self.ledger.read_text(encoding="utf-8").splitlines()]
        return [entry for entry in entries if entry["job"] == job]
