"""The row with planted bugs goes red, and every table comes back from the file alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from taskbridge.cli.compare import command
from taskbridge_compare import tables
from taskbridge_compare.report_html import render
from taskbridge_compare.results import judge_again, read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(120)
def test_drops_doubles_late_runs_and_inverted_priority_are_seen(tmp_path: Path) -> None:
    path, page = tmp_path / "result.json", tmp_path / "report.html"
    only = "accounting,expiry,priority,tree_kill"
    arguments = ["--backends", "planted", "--only", only, "--quick", "--no-speed", "--json", str(path)]
    done = CliRunner().invoke(command, [*arguments, "--html", str(page)])
    assert done.exit_code == 0, done.output
    result = read(path)
    verdicts = {cell["experiment"]: cell["verdict"] for cell in result["cells"]}
    assert verdicts["accounting"]["text"] == "4 of 40 lost, 4 duplicated"
    assert verdicts["expiry"]["outcome"] == "wrong"
    assert verdicts["priority"]["text"] == "inverted"
    assert verdicts["tree_kill"]["outcome"] in ("lost", "duplicated")
    tones = {cell.tone for row in tables.semantics(result).rows for cell in row[2:]}
    assert tones == {"bad"}, "every cell of the planted row is red"

    for cell in result["cells"]:
        assert judge_again(result, cell) == cell["verdict"], "a verdict can be made again from raw events"
    text = page.read_text()
    assert text == render(json.loads(path.read_text())), "the page is made of the file alone"
    for address in ("http://", "https://", "src=", "@import", "url("):
        assert address not in text, "the page asks nobody for anything"
    assert "<svg" in text
