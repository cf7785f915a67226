"""Every fault but SIGKILL strikes for real, on the quickest row; and where an engine loses by it, that is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.drivers import choose
from taskbridge_compare.gauntlet import record
from taskbridge_compare.gauntlet.cell import run_cell
from taskbridge_compare.gauntlet.faults import FAULTS
from taskbridge_compare.gauntlet.plan import Cell
from taskbridge_compare.gauntlet.run import DURABLE
from taskbridge_compare.gauntlet.size import Size
from taskbridge_compare.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskbridge_compare.gauntlet.judge import Judgement

SMALL = Size(jobs=80, strikes=2, patience=40.0, settle=0.5)
IMPATIENT = Size(jobs=80, strikes=2, patience=4.0, settle=0.5)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path, DURABLE)
    servers.start(["redis"])
    if servers.missing:
        pytest.skip(servers.missing["redis"])
    yield servers
    servers.stop()


def drained(servers: Servers, folder: Path, *, profile: str, fault: str, size: Size) -> tuple[Judgement, set[str]]:
    """The judgement, and the kinds of events that the harness wrote."""
    (driver,) = (row for row in choose(["huey+redis"]) if row.profile == profile)
    cell = Cell(driver=driver, fault=FAULTS[fault], repeat=1, size=size)
    found = run_cell(cell, servers, folder, folder, stopping=None, command="")
    return found, {event.kind for event in record.read_events(cell.path(folder))}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [("sigterm", {"fault", "gone"}), ("broker", {"fault", "healed"}), ("delivery", {"cut"}), ("enqueue", {"cut"})],
)
def test_huey_on_redis_loses_nothing(fault: str, kinds: set[str], servers: Servers, tmp_path: Path) -> None:
    found, seen = drained(servers, tmp_path, profile="taskbridge", fault=fault, size=SMALL)
    assert found.colour == "green", found.text
    assert found.struck == SMALL.strikes
    assert kinds <= seen
    if fault == "enqueue":
        assert found.doubtful == SMALL.strikes, "an enqueue that was cut never says that all is well"


@pytest.mark.timeout(120)
def test_a_delivery_that_is_cut_is_lost_to_an_engine_that_deletes_first(servers: Servers, tmp_path: Path) -> None:
    found, _ = drained(servers, tmp_path, profile="native", fault="delivery", size=IMPATIENT)
    assert (found.colour, len(found.lost)) == ("red", SMALL.strikes), found.text
