"""`taskbridge worker` on every engine: real workers that die, are asked to leave, or lose their supervisor."""

from __future__ import annotations

import os
import re
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from taskbridge.process import Command, Process
from tests.conformance.backends import ROOT, SERVED
from tests.forks import run_python

if TYPE_CHECKING:
    from taskbridge.services import Kind

pytestmark = pytest.mark.timeout(240)

PATIENCE = timedelta(seconds=60)
GRACE = 3
MODULE = "tests.worker.application"
ENGINES = [name for name in SERVED if name != "memory"]


class Shop:
    """One application on one backend."""

    def __init__(self, folder: Path, url: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self.environment = {
            "PYTHONPATH": str(ROOT),
            **environment,
            "TASKBRIDGE_URL": url,
            "WORKER_LEDGER": str(self.ledger),
        }

    def enqueue(self, task: str, argument: str) -> None:
        argv = ["enqueue", "-A", MODULE, f"{MODULE}.{task}", f'["{argument}"]']
        ran = run_python(
            f"from taskbridge.cli import main; main({argv!r})",
            environment=self.environment,
            directory=self.folder,
            timeout=PATIENCE.total_seconds(),
        )
        assert ran.returncode == 0, ran.stderr

    def worker(self, *, grace: int = 60) -> Process:
        argv = (sys.executable, "-m", "taskbridge", "worker", "-A", MODULE, "--grace", str(grace))
        log = self.folder / f"log-{len(list(self.folder.glob('log-*')))}"
        return Process(Command(argv=argv, environment=self.environment, directory=self.folder), log=log)

    def until(self, line: str, worker: Process, *, times: int = 1) -> None:
        """Wait until the ledger has this line."""

        def is_written() -> bool:
            return self.ledger.exists() and self.ledger.read_text(encoding="utf-8").count(line) >= times

        worker.wait_until(is_written, within=PATIENCE, what=f"seen to write {line!r}")


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """An application on each backend."""

    def server(kind: Kind) -> str:
        url: str = request.getfixturevalue(f"{kind}_server").fresh_url()
        return url

    return Shop(tmp_path, *SERVED[request.param].on(server, tmp_path))


def logged(worker: Process, pattern: str) -> re.Match[str]:
    return worker.wait_for_line(f"^taskbridge worker: .*{pattern}", within=PATIENCE)


def test_workers_come_back_and_leave_as_they_are_asked_to(shop: Shop) -> None:
    done, never = str(shop.folder / "done"), str(shop.folder / "never")
    shop.enqueue("note", "first")

    with shop.worker() as worker:
        shop.until("noted first", worker)
        # What dies is started again.
        pid = int(logged(worker, r"started, pid (\d+)")[1])
        os.kill(pid, signal.SIGKILL)
        logged(worker, rf"ended, pid {pid}, killed by SIGKILL")
        logged(worker, r"restarting")
        shop.enqueue("holds", done)
        shop.until(f"began {done}", worker)
        # What runs may end within the grace.
        worker.send(signal.SIGTERM)
        logged(worker, "stopping")
        Path(done).touch()
        assert worker.wait(within=PATIENCE) == 0
        logged(worker, "all left by themselves")
    assert shop.ledger.read_text(encoding="utf-8").count(f"ended {done}") == 1

    shop.enqueue("holds", never)
    with shop.worker(grace=GRACE) as worker:
        shop.until(f"began {never}", worker)
        # What does not goes back to the queue.
        worker.send(signal.SIGTERM)
        assert worker.wait(within=PATIENCE) in (0, 6)
        logged(worker, "all left by themselves" if worker.exit_code == 0 else "after the grace of 3 s")

    with shop.worker() as worker:
        shop.until(f"began {never}", worker, times=2)
        # Nothing outlives a supervisor that is killed.
        below = psutil.Process(worker.pid).children(recursive=True)
        assert below
        os.kill(worker.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(below, timeout=PATIENCE.total_seconds())
        assert alive == []
