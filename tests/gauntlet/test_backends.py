"""A small gauntlet on each row: what promises to lose nothing loses nothing, and what does not is judged truthfully."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.drivers import Driver, rows, unavailable
from taskbridge_compare.gauntlet import record
from taskbridge_compare.gauntlet.cell import run_cell
from taskbridge_compare.gauntlet.plan import Cell, Size
from taskbridge_compare.gauntlet.promise import promise
from taskbridge_compare.gauntlet.worker_faults import SIGKILL
from taskbridge_compare.servers import Servers
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    from pathlib import Path

JOBS = 200
KILLS = 3
NOT_WAITED_FOR = 4.0
"""Seconds that are waited for what nobody has promised."""
NOWHERE = {"redis": "redis://127.0.0.1:1/1", "amqp": "amqp://127.0.0.1:1/", "postgres": "postgresql://u@127.0.0.1:1/d"}
FIXTURES = {"redis": "redis_server", "amqp": "rabbitmq_server", "postgres": "postgres_server"}
LATE = {"dramatiq+redis"}
"""Rows whose recovery is known to take longer than the bar, until their engine is hardened."""
ROWS = [driver for driver in rows() if driver.profile == "taskbridge"]


def promised(driver: Driver, folder: Path) -> bool:
    url = NOWHERE.get(driver.broker, f"sqlite:///{folder / 'none.db'}")
    application = driver.application(load(SHIPPED), url, slots=1)
    for name, text in application.files.items():
        (folder / name).write_text(text)
    return promise(application.environment, folder).is_given


@pytest.mark.timeout(180)
@pytest.mark.parametrize("driver", ROWS, ids=lambda driver: driver.backend)
def test_what_is_promised_under_sigkill_holds(driver: Driver, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if reason := unavailable(driver):
        pytest.skip(reason)
    servers = Servers(tmp_path)
    if driver.broker in FIXTURES:
        servers.adopt(driver.broker, request.getfixturevalue(FIXTURES[driver.broker]))
    asked = tmp_path / "asked"
    asked.mkdir()
    is_promised = promised(driver, asked)
    size = Size(jobs=JOBS, strikes=KILLS, settle=1.5, patience=40.0 if is_promised else NOT_WAITED_FOR)
    cell = Cell(driver=driver, fault=SIGKILL, repeat=1, size=size)
    found = run_cell(cell, servers, tmp_path, tmp_path / "results", stopping=None, command="")
    assert record.judge_again(cell.path(tmp_path / "results")) == found, "what is written says the same"
    assert found.confirmed == JOBS, found.text
    if driver.backend in LATE and not (found.lost or found.stuck or found.unexplained):
        pytest.xfail(found.text)
    if is_promised:
        assert found.colour == "green", found.text
    else:
        assert found.struck, found.text
        assert found.cut, "the strikes hit, whatever became of what they cut"
        assert found.colour == "green" or found.lost or found.stuck or found.parked, found.text
