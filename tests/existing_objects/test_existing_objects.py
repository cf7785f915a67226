"""An app, broker, connection or instance of the application's own is what both its native code and TaskBridge use."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from taskbridge.process import Command, Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = timedelta(seconds=40)
QUEUES: Final = {"celery": "default", "dramatiq": "default", "rq": "default", "huey": "shop"}
PRODUCER: Final = """
from tests.existing_objects import tasks, {engine}_shop as shop
shop.send_own("native")
tasks.receipt.using(queue_name={queue!r}, metadata={{"tenant": "ü"}}).enqueue("ours")
"""


@pytest.fixture
def environment(redis_server: Server, tmp_path: Path) -> dict[str, str]:
    """Where the shop's servers and files are."""
    return {
        "SHOP_REDIS": redis_server.fresh_url(),
        "SHOP_FILE": str(tmp_path / "huey.db"),
        "SHOP_LEDGER": str(tmp_path / "ledger"),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(params=QUEUES)
def worker(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    """`taskbridge worker` of one shop."""
    module = f"tests.existing_objects.{request.param}_shop"
    argv = (sys.executable, "-m", "taskbridge", "worker", "-A", module, "-A", "tests.existing_objects.tasks")
    command = Command(argv=argv, environment=environment, directory=tmp_path, label=request.param)
    with Process(command, log=tmp_path / "worker.log") as started:
        yield started


def test_both_ways_to_enqueue_meet_in_one_worker(worker: Process, environment: dict[str, str], tmp_path: Path) -> None:
    code = PRODUCER.format(engine=worker.command.name, queue=QUEUES[worker.command.name])
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, cwd=tmp_path, check=True, timeout=40
    )
    ledger = Path(environment["SHOP_LEDGER"])
    expected = ["native", "ours 1 ü", "ours 2 ü"]

    def is_done() -> bool:
        return ledger.exists() and len(ledger.read_text(encoding="utf-8").splitlines()) >= len(expected)

    worker.wait_until(is_done, within=PATIENCE, what="seen to run both")
    assert sorted(ledger.read_text(encoding="utf-8").splitlines()) == expected
    assert worker.stop(grace=PATIENCE) == 0
