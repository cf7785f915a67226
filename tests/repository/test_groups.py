"""Tests of one group run in one process: each process more would start a RabbitMQ of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GROUPED = """
import os

import pytest

@pytest.mark.xdist_group("one broker")
@pytest.mark.parametrize("number", range(6))
def test_grouped(number):
    with open("ran", "a") as file:
        file.write(f"{os.getpid()}\\n")
"""


def test_a_group_is_not_spread_over_processes(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    run = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup", ".")
    subprocess.run(run, cwd=tmp_path, check=True, timeout=100, stdout=subprocess.DEVNULL)
    ran = (tmp_path / "ran").read_text().split()
    assert len(ran) == 6
    assert len(set(ran)) == 1
