"""A user's own tasks, with a module beside theirs, an option on a decorator and an `async def`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from taskbridge.cli.compare import command
from taskbridge_compare.results import read

if TYPE_CHECKING:
    from pathlib import Path

_TASKS = """
import taskbridge
from taskbridge import Retry
from beside import double

@taskbridge.task(retry=Retry(2, on=(Exception,)))
def short(number): return double(number)

@taskbridge.task
async def other(number): return double(number)
"""
_WORKLOAD = """
module = "work"
[tasks.short]
role = "short"
share = 1
arguments = { number = 1 }
[tasks.other]
role = "long"
share = 1
arguments = { number = 2 }
[tasks.third]
role = "failing"
function = "short"
arguments = { number = 3 }
[tasks.fourth]
role = "scheduled"
function = "short"
arguments = { number = 4 }
[tasks.fifth]
role = "payload"
function = "short"
arguments = { number = 5 }
"""


@pytest.mark.timeout(120)
def test_a_users_own_workload_runs_in_both_profiles(tmp_path: Path) -> None:
    (tmp_path / "work.toml").write_text(_WORKLOAD)
    (tmp_path / "work.py").write_text(_TASKS)
    (tmp_path / "beside.py").write_text("def double(number): return 2 * number\n")
    path = tmp_path / "result.json"
    arguments = [str(tmp_path / "work.toml"), "--backends", "huey+sqlite", "--only", "accounting", "--quick"]
    done = CliRunner().invoke(command, [*arguments, "--no-speed", "--json", str(path)])
    assert done.exit_code == 0, done.output
    verdicts = {cell["profile"]: cell["verdict"] for cell in read(path)["cells"]}
    assert {profile: verdict["text"] for profile, verdict in verdicts.items()} == {
        "native": "40 of 40",
        "taskbridge": "40 of 40",
    }, verdicts
