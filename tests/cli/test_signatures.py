"""`taskbridge signatures` in a project of its own, as CI calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FIRST = """
from taskbridge import task

@task
def receipt(order_id: int, note: str = "") -> None: ...

@task
def refund(order_id: int) -> None: ...
"""
COMPATIBLE = FIRST.replace('note: str = ""', 'note: str = "", *, copies: int = 1')
INCOMPATIBLE = FIRST.replace("refund(order_id: int)", "refund(order: int)")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shopcode.py").write_text(FIRST)
    assert run(tmp_path, "lock").stdout == "taskbridge-signatures.json: 2 tasks.\n"
    return tmp_path


def run(folder: Path, *argv: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "taskbridge", "signatures", *argv, "-A", "shopcode"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran


def test_the_same_code_is_compatible_and_gives_the_same_file(project: Path) -> None:
    before = (project / "taskbridge-signatures.json").read_bytes()
    assert run(project, "check").stdout == ""
    run(project, "lock")
    assert (project / "taskbridge-signatures.json").read_bytes() == before


def test_changes_are_told_apart_with_the_remedy_and_the_exit_code(project: Path) -> None:
    (project / "shopcode.py").write_text(COMPATIBLE)
    assert (
        "compatible: shopcode.receipt: the parameter 'copies' is new, with a default." in run(project, "check").stdout
    )
    (project / "shopcode.py").write_text(INCOMPATIBLE)
    told = run(project, "check", code=1)
    assert "INCOMPATIBLE: shopcode.refund: the parameter 'order_id' is gone. Keep it, with a default" in told.stdout
    assert "incompatible" in told.stderr
    lines = [json.loads(line) for line in run(project, "check", "--json", code=1).stdout.splitlines()]
    assert {(line["schema"], line["task"], line["is_compatible"]) for line in lines} == {(1, "shopcode.refund", False)}


def test_recorded_messages_are_read_by_the_new_code(project: Path) -> None:
    recorded = project / "messages"
    recorded.mkdir()
    (recorded / "good.json").write_text('{"task": "shopcode.refund", "kwargs": {"order_id": 1}, "id": "more"}')
    assert "1 messages read, 0 incompatible" in run(project, "check", "--messages", "messages").stderr
    (recorded / "bad.json").write_text('{"task": "shopcode.refund", "args": ["one"]}')
    (recorded / "gone.json").write_text('{"task": "shopcode.gone"}')
    (recorded / "none.json").write_text("[1")
    told = run(project, "check", "--messages", "messages", code=1).stdout
    for words in ("bad.json: A message for shopcode.refund cannot be read", "No task is called", "no recorded message"):
        assert words in told
    assert "good.json" not in told


def test_what_is_missing_is_said(project: Path) -> None:
    (project / "empty").mkdir()
    assert "no recorded message" in run(project, "check", "--messages", "empty", code=2).stderr
    assert "taskbridge signatures lock" in run(project, "check", "--file", "other.json", code=2).stderr
    (project / "broken.json").write_text("{}")
    assert "cannot be read" in run(project, "check", "--file", "broken.json", code=2).stderr
    (project / "shopcode.py").write_text("")
    assert "No task is declared" in run(project, "check", code=2).stderr
