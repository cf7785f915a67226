"""A fork waits until no other thread holds a SQLite file: the child would find it locked for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("kind", "planted"), [("store", ""), ("huey", ""), ("django", ""), ("store", "no_wait")])
def test_a_child_is_not_locked_out_by_what_a_thread_of_its_parent_held(tmp_path: Path, kind: str, planted: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.store.forking", kind, str(tmp_path / "a.db"), planted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == (1 if planted else 0), run.stderr
