"""Imports point one way: no file needs, when it is loaded or while it runs, one that needs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".".join(path.relative_to(parent).with_suffix("").parts).removesuffix(".__init__"): path
    for parent in (ROOT, ROOT / "backends", ROOT / "comparisons")
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
def use():
    import taskbridge.task
    importlib.import_module("taskbridge.signing")
if TYPE_CHECKING:
    from taskbridge.hooks import Hooks
"""
    assert needs("taskbridge.key", code) == {f"taskbridge.{name}" for name in ("retry", "errors", "task", "signing")}


def needs(name: str, code: str) -> set[str]:
    """The files of ours that this one imports, in functions too."""
    return {found for node in reached(ast.parse(code)) for found in named(node)} & FILES.keys() - {name}


def reached(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from reached(child)


def named(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names):
            return {alias.name for alias in names}
        case ast.ImportFrom(str(module), names, 0):
            inside = {f"{module}.{alias.name}" for alias in names}
            return inside if inside <= FILES.keys() else inside | {module}
        case ast.Call(ast.Attribute(attr="import_module"), [ast.Constant(str(module))]):
            return {module}
    assert not isinstance(node, ast.ImportFrom), "a relative import"
    return set()
