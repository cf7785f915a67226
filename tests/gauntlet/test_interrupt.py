"""Ctrl-C in the middle of a drain leaves nothing behind, and the same command goes on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SECONDS = 40


@pytest.mark.timeout(120)
def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    temporary, out = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    arguments = ["--backends", "lease+sound", "--profiles", "planted", "--repeats", "1", "--out", str(out)]
    gauntlet = subprocess.Popen(
        [sys.executable, "-m", "taskbridge_compare.gauntlet", *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + SECONDS
        while not any("worker-1.log" in path.name for path in temporary.rglob("*")) and time.monotonic() < until:
            time.sleep(0.05)
        begun = psutil.Process(gauntlet.pid).children(recursive=True)
        assert begun, "a worker runs"
        gauntlet.send_signal(signal.SIGINT)
        output, _ = gauntlet.communicate(timeout=SECONDS)
    finally:
        gauntlet.kill()
        gauntlet.wait()
    assert gauntlet.returncode == 130, output
    assert "the same command goes on" in output
    _, alive = psutil.wait_procs(begun, timeout=10)
    assert not alive, alive
    assert not list(temporary.glob("taskbridge-*")), "every folder is removed"
    assert not list(out.glob("*")), "half a drain is no result"
