"""What a terminal shows of a published result, whatever its width."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from taskbridge_compare import tables
from taskbridge_compare.live import board
from taskbridge_compare.results import read
from taskbridge_compare.terminal import parts

RESULTS = Path(__file__).parents[2] / "comparisons" / "results"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return read(max(RESULTS.glob("*.json")))


def shown(*what: Any, width: int) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width).print(*what, sep="\n")
    return screen.getvalue()


@pytest.mark.parametrize("width", [100, 120, 240])
def test_a_table_is_split_into_parts_that_fit_and_no_word_is_broken(width: int, published: dict[str, Any]) -> None:
    for table in (tables.semantics(published), tables.speed(published)):
        drawn = shown(*parts(table, width=width), width=width)
        assert max(map(len, drawn.splitlines())) <= width
        words = set(drawn.replace("│", " ").replace("┃", " ").split())
        assert {word for row in table.rows for cell in row for word in cell.text.split()} <= words
        assert {word for name in table.header for word in name.split()} <= words


@pytest.mark.parametrize("width", [80, 120])
def test_every_row_of_a_whole_comparison_is_on_one_screen_while_it_runs(width: int, published: dict[str, Any]) -> None:
    table = tables.semantics({**published, "cells": published["cells"][:100]})
    lines = shown(board(table, Text("news"), width=width), width=width).splitlines()
    assert len(lines) < len(table.rows) + 10
    for row in table.rows:
        (line,) = [line for line in lines if line.split()[:2] == [row[0].text, row[1].text]]
        signs = line.split()[2:]
        assert [sign == "·" for sign in signs] == [not cell.is_known for cell in row[2:]]
    assert {"+", "!", "·"} <= set("".join(lines))
