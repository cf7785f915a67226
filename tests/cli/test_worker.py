"""`taskbridge worker --no-scheduler`: a single native program takes our place."""

from __future__ import annotations

import signal
import sys
from datetime import timedelta
from pathlib import Path

import psutil

import taskbridge
from taskbridge.process import Command, Process
from taskbridge.router import router
from tests.cli import part

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=45)


def test_with_one_program_and_no_scheduler_the_program_has_our_process_id(tmp_path: Path) -> None:
    url, noted = f"huey+sqlite:///{tmp_path}/queue.db", tmp_path / "noted"
    taskbridge.configure(url)
    noted.touch()
    part.charge.enqueue(str(noted), "x")
    argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.cli.part", "--no-scheduler")
    command = Command(argv=argv, environment={"TASKBRIDGE_URL": url}, directory=ROOT)
    with Process(command, log=tmp_path / "log") as worker:
        worker.wait_until(lambda: noted.read_text() == "1\n", within=PATIENCE, what="seen to run a job")
        assert "--no-scheduler" not in psutil.Process(worker.pid).cmdline()
        worker.send(signal.SIGTERM)
        assert worker.wait(within=PATIENCE) == 0
    router.configure(None)
