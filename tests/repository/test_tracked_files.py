"""No tracked file may tie the project to one machine or to one package registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each begins with a class of one character, so that this file does not accuse itself.
FORBIDDEN = {
    "a path of somebody's machine": r"/[r]oot/|/[h]ome/[a-z]|/[U]sers/[a-z]|/[w]ork/|/[t]mp/wt/",
    "the host of a package registry": r"[f]iles\.pythonhosted|[p]ypi\.org|[t]est\.pypi",
    "a line that names an index": r"^--(?:(?:extra-)?[i]ndex-url|[f]ind-links)",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        for match in [pattern.search(path.read_text(errors="replace"))]
        if match
    ]
    assert found == []


def test_no_lock_file_is_tracked() -> None:
    names = {path.name for path in tracked()}
    assert names & {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"} == set()
