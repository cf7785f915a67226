"""Compile requirements/*.txt from pyproject.toml: exact versions with hashes, for every Python and platform we support.

    .venv/bin/python scripts/requirements.py [--upgrade] [--check]

The files name no index and no machine, so that they install from wherever pip is configured to look. Only wheels are
taken, so that nothing is compiled on a newcomer's machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
HEADER = "# Compiled from pyproject.toml by `make requirements`: edit that file, not this one.\n"
UV = ("uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--universal", "--python-version", "3.11")
STYLE = ("--generate-hashes", "--emit-build-options", "--only-binary", ":all:", "--annotation-style", "line")
# dev comes first: compare takes its versions from it, since one environment grows from the one into the other.
SETS = {"dev": ("--extra", "all", "--group", "dev"), "compare": ("--extra", "compare", "--group", "build")}


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile requirements/*.txt from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not those already pinned")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compiled = compile_all(Path(scratch), upgrade=arguments.upgrade)
    stale = [name for name, text in compiled.items() if text != read(FOLDER / f"{name}.txt")]
    if arguments.check:
        for name in stale:
            sys.stderr.write(f"requirements/{name}.txt does not match pyproject.toml: run `make requirements`\n")
        return bool(stale)
    for name in stale:
        (FOLDER / f"{name}.txt").write_text(compiled[name])
    return 0


def compile_all(scratch: Path, *, upgrade: bool) -> dict[str, str]:
    dev, constraints = scratch / "dev.txt", scratch / "constraints.txt"
    dev.write_text("" if upgrade else read(FOLDER / "dev.txt"))
    compile_one([*SETS["dev"], "--output-file", str(dev)])
    constraints.write_text(dev.read_text())
    compare = scratch / "compare.txt"
    compile_one([*SETS["compare"], "--constraints", str(constraints), "--output-file", str(compare)])
    small = without_constraint_notes(compare.read_text(), constraints)
    return {"dev": HEADER + dev.read_text(), "compare": HEADER + small}


def compile_one(arguments: Sequence[str]) -> None:
    uv = Path(sys.executable).with_name(UV[0])
    subprocess.run(
        [str(uv), *UV[1:], *STYLE, *arguments, "pyproject.toml"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )


def without_constraint_notes(text: str, constraints: Path) -> str:
    """uv names the constraint file, by its path, beside each requirement that it held."""
    return text.replace(f"-c {constraints}, ", "").replace(f", -c {constraints}", "")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
