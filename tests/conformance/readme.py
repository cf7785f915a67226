"""The list of behaviours in the suite's README: `python -m tests.conformance.readme` writes it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

SUITE: Final = Path(__file__).parents[2] / "taskbridge" / "testing" / "suite"
README: Final = SUITE / "README.md"
MARK: Final = "<!-- The list below is made by: python -m tests.conformance.readme -->\n"


def behaviours() -> str:
    """Every test function of the suite as a sentence, under what its file is about."""
    parts = []
    for path in sorted(SUITE.glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        functions = [
            node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        lines = [f"- {_sentence(function.name)}{_asks(function)}\n" for function in functions]
        parts.append(f"\n### {path.stem}\n\n{ast.get_docstring(module)}\n\n{''.join(lines)}")
    return "".join(parts)


def functions(module: ast.Module) -> list[ast.FunctionDef]:
    """The test functions of a module."""
    return [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def expected() -> str:
    """The README as it should be."""
    head, mark, _ = README.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{README.name} has lost its mark"
    return f"{head}{MARK}{behaviours()}"


def _sentence(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _asks(function: ast.FunctionDef) -> str:
    """The options of the record on which a behaviour depends."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "behaviour":
            options = [
                f"`{ast.literal_eval(argument)}`" for argument in decorator.args if isinstance(argument, ast.Constant)
            ]
            return f" ({', '.join(options)})" if options else ""
    return ""


if __name__ == "__main__":
    README.write_text(expected(), encoding="utf-8")
