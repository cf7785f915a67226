"""What is said of tests that failed in a whole run: accident or fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "alone.py"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:xdist"]

BUSY = "import os\n\ndef test_it(): assert 'BUSY' not in os.environ\n"
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
    whole = subprocess.run(
        PYTEST, cwd=tmp_path, env={"PATH": "", "BUSY": "yes"}, capture_output=True, text=True, timeout=50, check=False
    )
    assert whole.returncode != 0
    again = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=50, check=False
    )
    assert again.returncode == answer, again.stdout
    assert says in again.stdout
