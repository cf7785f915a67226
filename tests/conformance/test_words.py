"""What the suite's own files must be: complete in their list, and without the name of any backend."""

from __future__ import annotations

import ast
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from taskbridge.router import GROUP
from tests.conformance.readme import README, SUITE, expected, functions

FILES = sorted(SUITE.glob("*.py"))
OURS = {"taskbridge", "memory", "planted"}
XFAILS_OF_ONE_BACKEND = 3


def test_the_readme_lists_every_behaviour() -> None:
    assert README.read_text(encoding="utf-8") == expected(), "run: python -m tests.conformance.readme"


def test_every_behaviour_has_a_name_of_its_own() -> None:
    names = [function.name for path in FILES for function in functions(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(names) == len(set(names))
    assert len(names) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_of_the_suite_names_a_backend(path: Path) -> None:
    engines = {entry.name for entry in entry_points(group=GROUP)}
    brokers = {"redis", "rediss", "valkey", "amqp", "amqps", "rabbitmq", "sqlite", "postgres", "postgresql", "kombu"}
    words = set(re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower()))
    assert words & (engines | brokers) - OURS == set()


def test_an_expected_failure_is_strict_names_its_cause_and_asks_the_record() -> None:
    marks = [(path, node) for path in FILES for node in ast.walk(ast.parse(path.read_text())) if _is_xfail(node)]
    assert len(marks) <= XFAILS_OF_ONE_BACKEND
    for path, node in marks:
        text = ast.get_source_segment(path.read_text(), node) or ""
        assert "strict=True" in text, text
        assert "https://" in text, text
        assert "expected[" in text or "isinstance(" in text, text


def _is_xfail(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "xfail"
