"""Runs the code blocks of a Markdown page, in order, in one folder.

A `python` block runs as a script, or is written to the file that its first line names (`# shop.py`) and imported. A
shell block (`sh`, `bash`) runs under bash, unless `<!-- not run: the reason -->` stands right above it. A block below
`<!-- output -->` is what the block before it prints; how lines are broken does not count. Any other block whose first
line names a file is written to it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?:<!-- (?:not run: (?P<reason>\S[^\n]*?)|(?P<output>output)) -->\n+)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
FILE_NAME = re.compile(r"# ([\w-]+\.\w+)\n")
SHELL = ("sh", "bash")
DEADLINE = 60.0


class BlockFailed(AssertionError):
    """A block of a page does not do what the page says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: where it begins, what it is written in, and why it is not run, if so."""

    line: int
    language: str
    code: str
    reason: str | None
    is_output: bool

    def argv(self, folder: Path) -> list[str] | None:
        """The command that runs it; None if there is nothing to run."""
        named = FILE_NAME.match(self.code)
        if named:
            (folder / named.group(1)).write_text(self.code)
        if self.language in SHELL:
            return None if self.reason else ["bash", "-euo", "pipefail", "-c", self.code]
        if self.language != "python":
            return None
        if named:
            return [sys.executable, "-c", f"import {Path(named.group(1)).stem}"]
        script = folder / f"block_at_line_{self.line}.py"
        script.write_text(self.code)
        return [sys.executable, str(script)]


def blocks(text: str) -> list[Block]:
    return [
        Block(
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            code=found["code"],
            reason=found["reason"],
            is_output=found["output"] is not None,
        )
        for found in FENCE.finditer(text)
    ]


def run_page(page: Path, folder: Path) -> int:
    """Run every block of a page; the number that ran."""
    (folder / "pyproject.toml").touch()  # where the default backend puts its file
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKBRIDGE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(folder)
    ran = 0
    output = ""
    for block in blocks(page.read_text()):
        if block.is_output:
            if block.code.split() != output.split():
                raise BlockFailed(
                    f"{page.name}, line {block.line}: the {block.language} block ends with 1, since "
                    f"the block before it prints\n{output}"
                )
            continue
        argv = block.argv(folder)
        if argv is None:
            continue
        status, output = run(argv, folder, environment)
        if status:
            raise BlockFailed(
                f"{page.name}, line {block.line}: the {block.language} block ends with {status}\n{output}"
            )
        ran += 1
    return ran


def run(argv: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0] + f"\nstill running after {DEADLINE:.0f} s"
    return process.returncode, output
