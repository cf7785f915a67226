"""What is published can be judged again, and every table comes back from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbridge_compare import tables
from taskbridge_compare.drivers import rows
from taskbridge_compare.experiments import EXPERIMENTS
from taskbridge_compare.report_html import render
from taskbridge_compare.results import judge_again, read

PUBLISHED = sorted((Path(__file__).parents[2] / "comparisons" / "results").glob("*.json"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_a_published_result_still_says_what_it_said(path: Path) -> None:
    result = read(path)
    assert len(result["rows"]) + len(result["not_run"]) >= 2 * len([row for row in rows() if row.profile == "native"])
    assert len(result["cells"]) == len(result["rows"]) * len(EXPERIMENTS)
    for cell in result["cells"]:
        assert judge_again(result, cell) == cell["verdict"], cell["events"]
    for number in result["speed"]:
        assert number["samples"] in result["samples"]
    texts = {cell.text for row in tables.semantics(result).rows for cell in row}
    assert "" not in texts
    assert "unknown" not in texts
    assert render(result).count("<svg") > len(result["rows"])
