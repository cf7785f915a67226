"""The matrix in the documentation is what the records say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_matrix_is_that_of_the_records() -> None:
    argv = [sys.executable, "scripts/matrix.py", "--check"]
    checked = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_record_that_says_something_else_is_seen() -> None:
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import matrix, taskbridge.testing.memory as memory\n"
        "from dataclasses import replace; from taskbridge.capability import refused\n"
        "memory.RECORD = replace(memory.RECORD, expires=refused('to see whether it is noticed'))\n"
        "sys.argv = ['matrix.py', '--check']; sys.exit(matrix.main())"
    )
    checked = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 1
    assert "make matrix" in checked.stderr
