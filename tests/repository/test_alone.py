"""What is said of tests that failed in a whole run: accident or fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "alone.py"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly"]
IN_GROUPS = ["-n", "1", "--dist", "loadgroup"]

BUSY = """
import os
import pytest

@pytest.mark.xdist_group("one-at-a-time")
@pytest.mark.parametrize("who", ["ann@example"])
def test_it(who): assert 'BUSY' not in os.environ
"""
BROKEN = "def test_it(): assert False\n"
MANY = "import pytest\n\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n): assert False\n"
UNREADABLE = "import nothing_of_that_name\n"


@pytest.mark.parametrize(
    ("code", "answer", "says"),
    [(BUSY, 0, "passed alone"), (BROKEN, 1, "Once more, alone"), (MANY, 1, ""), (UNREADABLE, 1, "")],
    ids=["busy", "broken", "many", "unreadable"],
)
def test_only_a_few_that_pass_alone_are_an_accident(code: str, answer: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(code)
    argv = [*PYTEST, *(IN_GROUPS if code == BUSY else ("-p", "no:xdist"))]
    whole = subprocess.run(
        argv, cwd=tmp_path, env={"PATH": "", "BUSY": "yes"}, capture_output=True, text=True, timeout=50, check=False
    )
    assert whole.returncode != 0
    again = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=50, check=False
    )
    assert again.returncode == answer, again.stdout
    assert says in again.stdout
