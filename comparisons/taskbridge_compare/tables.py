"""Every table is a pure function of a result's plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskbridge_compare.checkers import BAD, GOOD
from taskbridge_compare.experiments import EXPERIMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its words, whether they are good, bad or neither, and the sentence behind them."""

    text: str
    tone: str = "plain"
    detail: str = ""
    reference: str = ""
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and rows, ready for a terminal, a page or a comparison with another run."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tone(outcome: str) -> str:
    """good, bad, or neither (`mixed`, `plain`)."""
    if outcome in GOOD:
        return "good"
    if outcome in BAD:
        return "bad"
    return "mixed" if outcome in ("failed", "none", "refused", "approximate") else "plain"


def semantics(result: Mapping[str, Any]) -> Table:
    """Backends and profiles against experiments."""
    found = {(cell["backend"], cell["profile"], cell["experiment"]): cell for cell in result["cells"]}
    asked = [name for name in EXPERIMENTS if any(cell["experiment"] == name for cell in result["cells"])]
    rows = []
    for row in result["rows"]:
        cells = [Cell(row["backend"]), Cell(row["profile"])]
        for name in asked:
            cell = found.get((row["backend"], row["profile"], name))
            if cell is None:
                cells.append(Cell("unknown", "plain", "the run ended before this cell", is_known=False))
            else:
                verdict = cell["verdict"]
                cells.append(Cell(verdict["text"], tone(verdict["outcome"]), verdict["detail"], cell["events"]))
        rows.append(tuple(cells))
    titles = tuple(EXPERIMENTS[name].title for name in asked)
    return Table("What happens", ("backend", "profile", *titles), tuple(rows))


def warning(result: Mapping[str, Any]) -> str:
    """What a reader of the numbers must know first; empty if the machine was quiet."""
    machine = result["machine"]
    load, processors = machine["load_average"][0], machine["usable_processors"]
    if load <= processors / 2:
        return ""
    return (
        f"The machine was busy before the run (load average {load:.1f} on {processors} processors): "
        "seconds are upper bounds, and speed is not to be trusted."
    )


def not_run(result: Mapping[str, Any]) -> Table:
    """What this machine could not run, and the command that would change it."""
    rows = tuple((Cell(one["backend"]), Cell(one["profile"]), Cell(one["reason"])) for one in result["not_run"])
    return Table("Not run here", ("backend", "profile", "why, and what would add it"), rows)


def speed(result: Mapping[str, Any]) -> Table:
    """Every number of the run: backends and profiles against what was measured."""
    cases = list(dict.fromkeys(number["case"] for number in result["speed"]))
    titles = {number["case"]: number["title"] for number in result["speed"]}
    found = {(number["backend"], number["profile"], number["case"]): number for number in result["speed"]}
    rows = []
    for row in result["rows"]:
        cells = [Cell(row["backend"]), Cell(row["profile"])]
        for case in cases:
            number = found.get((row["backend"], row["profile"], case))
            if number is None:
                cells.append(Cell("unknown", "plain", "the run ended before this number", is_known=False))
            else:
                text = number["text"] + (" (noisy)" if number["noisy"] else "")
                cells.append(Cell(text, "mixed" if number["noisy"] else "plain", number["detail"], number["samples"]))
        rows.append((*cells, Cell(row["durability"])))
    header = ("backend", "profile", *(titles[case] for case in cases), "durability when an enqueue returns")
    return Table("How fast", header, tuple(rows) if cases else ())
