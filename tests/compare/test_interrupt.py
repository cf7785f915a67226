from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest


@pytest.mark.timeout(120)
@pytest.mark.parametrize("backend", ["huey+sqlite", "dramatiq+redis"])  # Dramatiq shares memory by temporary files
def test_ctrl_c_leaves_no_process_and_no_folder(backend: str, tmp_path: Path) -> None:
    script = str(Path(sys.executable).with_name("taskbridge"))
    arguments = ["compare", "--backends", backend, "--quick", "--no-speed", "--json", str(tmp_path / "r.json")]
    comparison = subprocess.Popen(
        [sys.executable, script, *arguments],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert comparison.stdout is not None
        for line in comparison.stdout:  # until the first cell is known: workers run
            if backend in line:
                assert "expiry" in line, "the first experiment"
                break
        begun = psutil.Process(comparison.pid).children(recursive=True)
        assert begun
        comparison.send_signal(signal.SIGINT)
        rest, _ = comparison.communicate(timeout=60)
    finally:
        comparison.kill()
        comparison.wait()
    assert comparison.returncode == 130, rest
    _, alive = psutil.wait_procs(begun, timeout=10)
    assert not alive, f"still there: {[process.cmdline() for process in alive]}"
    assert list(tmp_path.iterdir()) == [], "no folder and no half result"
    assert tempfile.gettempdir() != str(tmp_path)
