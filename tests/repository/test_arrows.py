"""Imports point one way: no file needs, when it is loaded or while it runs, one that needs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARENTS = (ROOT, ROOT / "backends", ROOT / "comparisons")
FILES = {
    ".".join(path.relative_to(parent).with_suffix("").parts).removesuffix(".__init__"): path
    for parent in PARENTS
    for package in parent.glob("taskbridge*")
    for path in package.rglob("*.py")
}


def test_no_imports_go_round_in_a_circle() -> None:
    assert len(FILES) > 400
    try:
        TopologicalSorter({name: needs(name, path.read_text()) for name, path in FILES.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_an_import_counts_wherever_it_is_written_unless_it_is_for_types_alone() -> None:
    code = """
from taskbridge import retry
from taskbridge.errors import InvalidTask
def use(): import taskbridge.task
if TYPE_CHECKING:
    from taskbridge.hooks import Hooks
"""
    assert needs("taskbridge.key", code) == {"taskbridge.retry", "taskbridge.errors", "taskbridge.task"}


def needs(name: str, code: str) -> set[str]:
    """The files of ours that this one imports, in functions too."""
    found = set()
    for node in imports(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.module is not None, f"{name} has a relative import"
            assert node.level == 0, f"{name} has a relative import"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside if inside <= FILES.keys() else inside | {node.module}
    return found & FILES.keys() - {name}


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from imports(child)
