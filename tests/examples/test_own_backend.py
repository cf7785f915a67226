"""The backend of backends/README.md, installed as a third party's would be, passes the conformance suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskbridge.process import Command, Process
from tests.conformance.run import run_suite
from tests.examples.example import BIN, EXAMPLES, until

PROJECT = EXAMPLES / "own_backend"
TASKS = """
import os, pathlib, signal
from taskbridge import task

@task
def dies_once(path: str) -> None:
    seen = pathlib.Path(path)
    if not seen.exists():
        seen.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    seen.with_suffix(".done").touch()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the backend is found through its entry point."""
    target = tmp_path_factory.mktemp("installed")
    argv = [str(BIN / "uv"), "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*argv, "--python", sys.executable, "--target", str(target), str(PROJECT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return {"PYTHONPATH": str(target)}


@pytest.mark.timeout(420)
def test_it_passes_the_conformance_suite(installed: dict[str, str], tmp_path: Path) -> None:
    ran = run_suite("folder:///./jobs", tmp_path, **installed)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


@pytest.mark.timeout(120)
def test_a_job_whose_worker_is_killed_runs_again(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    environment = {"TASKBRIDGE_URL": "folder:///./jobs", **installed}
    worker = Command(
        argv=(str(BIN / "taskbridge"), "worker", "-A", "tasks"), environment=environment, directory=tmp_path
    )
    seen = tmp_path / "seen"
    with Process(worker, log=tmp_path / "worker.log"):
        subprocess.run(
            [sys.executable, "-c", f"import tasks; tasks.dies_once.enqueue({str(seen)!r})"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            check=True,
            timeout=60,
        )
        until(seen.with_suffix(".done").exists, "the second attempt")
        assert seen.read_text().isdecimal()


def test_it_is_as_short_as_its_description_says() -> None:
    assert len((PROJECT / "taskbridge_folder.py").read_text().splitlines()) < 150
