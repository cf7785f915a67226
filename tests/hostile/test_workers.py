"""Damaged messages on the real broker: the worker lives, and their neighbours run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from taskbridge.process import Command, Process
from tests.conformance.backends import ROOT, SERVED
from tests.hostile.puts import PUTS

if TYPE_CHECKING:
    from taskbridge.services import Server

COUNT: Final = int(os.environ.get("TASKBRIDGE_TEST_HOSTILE", "100"))
"""`make hostile` takes 500."""
NEIGHBOURS: Final = COUNT // 10
PATIENCE: Final = timedelta(seconds=120)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PUTS)
def test_a_worker_outlives_damaged_messages_and_their_neighbours_run(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    def fresh(kind: str) -> str:
        server: Server = request.getfixturevalue(f"{kind}_server")
        return server.fresh_url()

    url, environment = SERVED[name].on(fresh, tmp_path)
    ledger = tmp_path / "ledger"
    ledger.touch()
    environment |= {"TASKBRIDGE_URL": url, "PROBE_LEDGER": str(ledger), "PYTHONPATH": str(ROOT)}
    log = tmp_path / "worker.log"
    argv = (str(Path(sys.executable).with_name("taskbridge")), "worker", "-A", "tests.hostile.application")
    with Process(Command(argv=argv, directory=tmp_path, environment=environment), log=log) as worker:
        subprocess.run(
            [sys.executable, "-m", "tests.hostile.attack", name, str(COUNT)],
            cwd=ROOT,
            env={**os.environ, **environment},
            check=True,
            timeout=60,
        )
        wanted = {f"neighbour-{number}" for number in range(NEIGHBOURS)}
        worker.wait_until(lambda: wanted <= set(ledger.read_text().splitlines()), within=PATIENCE)
        assert worker.running
        told = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("taskbridge worker:")]
    runs = Counter(ledger.read_text().splitlines())
    assert {text: runs[text] for text in wanted if runs[text] != 1} == {}, "no neighbour twice"
    assert not [line for line in told if "ended" in line or "restarting" in line], "no program of the worker died"
