"""A queue with one planted bug goes red for that bug, on real processes; the same queue without it is green."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.drivers.lease_queue import LEASE_QUEUES, Bug, LeaseQueue
from taskbridge_compare.gauntlet.cell import run_cell
from taskbridge_compare.gauntlet.pause_fault import PAUSE
from taskbridge_compare.gauntlet.plan import Cell
from taskbridge_compare.gauntlet.size import Size
from taskbridge_compare.gauntlet.worker_faults import SIGKILL
from taskbridge_compare.servers import Servers

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Size(jobs=75, strikes=1, settle=0.5)
IMPATIENT = replace(SMALL, patience=6.0)
"""Where something is to be missing: waiting longer proves nothing. What is sound has all the time that it needs."""
RED: dict[Bug, str] = {
    "acks-early": "lost",
    "no-reaper": "stuck",
    "no-renewal": "unexplained",
    "no-fence": "unexplained",
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "queue", [queue for queue in LEASE_QUEUES if queue.bug in ("none", *RED)], ids=lambda queue: queue.bug
)
def test_each_bug_turns_its_own_column_red(queue: LeaseQueue, tmp_path: Path) -> None:
    cell = Cell(driver=queue, fault=SIGKILL, repeat=1, size=SMALL if queue.bug == "none" else IMPATIENT)
    found = run_cell(cell, Servers(tmp_path), tmp_path, tmp_path, stopping=None, command="")
    assert found.confirmed == SMALL.jobs
    if queue.bug == "none":
        assert (found.colour, found.struck) == ("green", 1), found.text
        return
    assert found.colour == "red", found.text
    columns = ("lost", "stuck", "parked", "unsearched", "ghosts", "unexplained")
    assert [name for name in columns if getattr(found, name)] == [RED[queue.bug]], found.text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bug", ["none", "zombie-acks"])
def test_what_a_paused_worker_acknowledges_in_the_name_of_another_is_lost(bug: Bug, tmp_path: Path) -> None:
    cell = Cell(driver=LeaseQueue(bug=bug), fault=PAUSE, repeat=1, size=SMALL if bug == "none" else IMPATIENT)
    found = run_cell(cell, Servers(tmp_path), tmp_path, tmp_path, stopping=None, command="")
    assert found.zombies, found.text
    assert found.extra.get("worker paused"), found.text
    assert (found.colour, len(found.lost)) == (("green", 0) if bug == "none" else ("red", 1)), found.text
