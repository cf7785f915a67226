"""What is there already, and how long the rest will take."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet import record
from taskbridge_compare.gauntlet.jobs import mixed
from taskbridge_compare.gauntlet.judge import Judgement
from taskbridge_compare.gauntlet.plan import SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskbridge_compare.gauntlet.plan import Cell

# Seen on two busy processors: a worker's start, an engine's own work for a job, a recovery, and the ends of a drain.
_STRIKE_SECONDS = 3.0
_JOB_SECONDS = 0.02
_AROUND_SECONDS = 25.0
_BROKER_RESTART_SECONDS = {"amqp": 8.0, "postgres": 2.0, "redis": 1.0, "sqlite": 0.0}


def finished(cell: Cell, folder: Path) -> Judgement | None:
    """The judgement of a cell of this size that lies in the folder; None if there is none."""
    path = cell.path(folder)
    if not path.exists():
        return None
    header = record.read_header(path)
    return Judgement.restore(header["judgement"]) if header["size"] == cell.size.plain() else None


def expected(cells: Sequence[Cell], folder: Path, beside: int) -> float:
    """Seconds for these, so many at a time: as long as their earlier repeats took, else by rule of thumb."""
    return sum(_one(cell, folder) for cell in cells) / max(1, min(beside, len(cells)))


def _one(cell: Cell, folder: Path) -> float:
    earlier = folder.glob(f"{cell.row}.{cell.fault.name}.*.json.gz")
    taken = [header["seconds"] for header in map(record.read_header, earlier) if header["size"] == cell.size.plain()]
    if taken:
        return fmean(taken)
    work = sum(job.hold for job in mixed(cell.size.jobs, "")) / SLOTS + cell.size.jobs * _JOB_SECONDS
    strike = _STRIKE_SECONDS + (_BROKER_RESTART_SECONDS[cell.driver.broker] if cell.fault.own_server else 0)
    return work + cell.size.strikes * strike + _AROUND_SECONDS + cell.size.settle
