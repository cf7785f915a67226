"""One line of the table: a number, what was promised of it, and whether it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Verdict = Literal["pass", "FAIL", "noisy", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`noisy`: the samples disagree on whether the target is met, so that this run says nothing."""

    section: str
    subject: str
    value: str
    target: str
    verdict: Verdict
    durability: str = ""
    detail: str = ""
    number: float | None = None
    samples: Any = None

    def plain(self) -> dict[str, Any]:
        """As it stands in the JSON."""
        return asdict(self)


def not_run(section: str, subject: str, why: str) -> Row:
    """What could not be measured, and why."""
    return Row(section=section, subject=subject, value="", target="", verdict="not run", detail=why)


def table(rows: Sequence[Row]) -> str:
    """All rows, by section, in columns."""
    lines: list[str] = []
    cells = [(row.verdict, row.subject, row.value, row.target) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    section = ""
    for row, own in zip(rows, cells, strict=True):
        if row.section != section:
            section = row.section
            lines += ["", section]
        padded = [cell.ljust(width) for cell, width in zip(own, widths, strict=True)]
        notes = "; ".join(note for note in (row.durability, row.detail) if note)
        lines.append(f"  {'  '.join(padded)}  {notes}".rstrip())
    return "\n".join(lines[1:])
