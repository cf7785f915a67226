"""The matrix is what the records say, and the README's excerpt what the newest published comparison found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["matrix.py", "excerpt.py"])
def test_what_is_committed_is_what_the_script_writes(script: str) -> None:
    argv = [sys.executable, f"scripts/{script}", "--check"]
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
    assert "make pages" in checked.stderr


def test_a_newer_result_is_seen(tmp_path: Path) -> None:
    newest = max((ROOT / "comparisons" / "results").glob("*.json"))
    changed = newest.read_text().replace("finished", "not finished")
    (tmp_path / "comparisons" / "results").mkdir(parents=True)
    (tmp_path / "comparisons" / "results" / "9999-01-01.json").write_text(changed)
    code = (
        "import sys, pathlib; sys.path.insert(0, 'scripts'); import excerpt\n"
        f"excerpt.ROOT = pathlib.Path({str(tmp_path)!r}); excerpt.RESULTS = excerpt.ROOT / 'comparisons' / 'results'\n"
        "sys.argv = ['excerpt.py', '--check']; sys.exit(excerpt.main())"
    )
    checked = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 1
    assert "README.md does not show 9999-01-01.json" in checked.stderr
