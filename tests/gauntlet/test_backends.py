"""A small gauntlet on each row: what promises to lose nothing loses nothing, and what does not is judged truthfully."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.drivers import Driver, rows, unavailable
from taskbridge_compare.gauntlet import record
from taskbridge_compare.gauntlet.cell import run_cell
from taskbridge_compare.gauntlet.plan import Cell
from taskbridge_compare.gauntlet.promise import Promise
from taskbridge_compare.gauntlet.size import Size
from taskbridge_compare.gauntlet.worker_faults import SIGKILL
from taskbridge_compare.servers import Servers

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server
    from taskbridge_compare.gauntlet.judge import Judgement

JOBS = 200
KILLS = 3
FIXTURES = {"redis": "redis_server", "amqp": "rabbitmq_server", "postgres": "postgres_server"}
ROWS = [driver for driver in rows() if driver.profile == "taskbridge"]


def drained(driver: Driver, server: Server | None, folder: Path) -> tuple[bool, Judgement]:
    """A small drain of this row: whether its record promises anything, and its judgement."""
    folder.mkdir()
    servers = Servers(folder)
    if server is not None:
        servers.adopt(driver.broker, server)
    size = Size(jobs=JOBS, strikes=KILLS, settle=1.5, patience=40.0)
    cell = Cell(driver=driver, fault=SIGKILL, repeat=1, size=size)
    found = run_cell(cell, servers, folder, folder / "results", stopping=None, command="")
    path = cell.path(folder / "results")
    assert record.judge_again(path) == found, "what is written says the same"
    return Promise(**record.read_header(path)["promise"]).is_given, found


# In pairs, since a drain mostly waits.
PAIRS = [ROWS[place : place + 2] for place in range(0, len(ROWS), 2)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " and ".join(driver.backend for driver in pair))
def test_what_is_promised_under_sigkill_holds(
    pair: list[Driver], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = [driver for driver in pair if not unavailable(driver)]
    if not there:
        pytest.skip(unavailable(pair[0]))
    kinds = {driver.broker for driver in there} & FIXTURES.keys()
    servers = {kind: request.getfixturevalue(FIXTURES[kind]) for kind in sorted(kinds)}
    with ThreadPoolExecutor(max_workers=len(there)) as pool:
        runs = [
            (driver, pool.submit(drained, driver, servers.get(driver.broker), tmp_path / driver.backend))
            for driver in there
        ]
    for driver, run in runs:
        is_promised, found = run.result()
        words = f"{driver.backend}: {found.text}"
        assert found.confirmed == JOBS, words
        assert found.cut, f"the kills hit, whatever became of what they cut: {words}"
        if is_promised:
            assert found.colour == "green", words
        else:
            assert found.colour == "green" or found.lost or found.stuck or found.parked, words
