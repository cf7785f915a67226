"""One real fault, from the command line to the raw events: a killed consumer of Huey on an SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from click.testing import CliRunner

from taskbridge.cli.compare import command
from taskbridge_compare.results import judge_again, read
from taskbridge_compare.tables import semantics

if TYPE_CHECKING:
    from pathlib import Path


def test_a_killed_huey_loses_its_job_and_the_published_events_say_so_again(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.process_iter()}
    path = tmp_path / "result.json"
    arguments = ["--backends", "huey+sqlite", "--profile", "native", "--only", "tree_kill", "--quick", "--no-speed"]
    done = CliRunner().invoke(command, [*arguments, "--json", str(path)])
    assert done.exit_code == 0, done.output
    result = read(path)
    (cell,) = result["cells"]
    assert cell["verdict"]["outcome"] == "lost", cell
    assert judge_again(result, cell) == cell["verdict"]
    kinds = [event["kind"] for event in result["events"][cell["events"]]]
    assert kinds.index("start") < kinds.index("fault") < kinds.index("residual")
    assert [one.text for one in semantics(result).rows[0]] == ["huey+sqlite", "native", "lost"]
    left = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
    assert not left, "no process is left behind"


def test_an_unknown_backend_or_experiment_is_refused_with_a_suggestion() -> None:
    done = CliRunner().invoke(command, ["--backends", "hueyy+sqlite"])
    assert (done.exit_code, "did you mean huey+sqlite?" in done.output) == (1, True)
    done = CliRunner().invoke(command, ["--only", "three_kill"])
    assert (done.exit_code, "no such experiment" in done.output) == (1, True)
