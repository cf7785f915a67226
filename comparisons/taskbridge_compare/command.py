"""What the verb `taskbridge compare` does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from taskbridge_compare import tables
from taskbridge_compare.drivers import RowsError, choose
from taskbridge_compare.experiments import EXPERIMENTS
from taskbridge_compare.live import Progress
from taskbridge_compare.results import Result, read
from taskbridge_compare.runner import Plan, Run
from taskbridge_compare.terminal import console, parts
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Mode = Literal["quick", "default", "full"]
# `full` waits out the longest bound that is short enough to wait for: RQ's registry and its idle worker's read.
WINDOWS: dict[Mode, float] = {"quick": 8.0, "default": 20.0, "full": 600.0}
_FOUND_NOTHING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The verb's arguments."""

    workload: Path | None
    backends: tuple[str, ...]
    profiles: tuple[str, ...]
    experiments: tuple[str, ...]
    speed: bool
    mode: Mode
    json_path: Path | None
    html_path: Path | None
    from_path: Path | None
    typed: str


def compare(request: Request) -> int:
    """Run, show and write. Returns an exit code: 0, or 3 if nothing could run. Raises ValueError for a bad request."""
    plain = read(request.from_path) if request.from_path is not None else _run(request)
    show(plain)
    if not plain["rows"]:
        print("compare: nothing of what was asked for can be run here; see above for why", file=sys.stderr)  # noqa: T201 - this is a command
    if request.html_path is not None:
        from taskbridge_compare.report_html import render

        request.html_path.write_text(render(plain))
        print(f"report: {request.html_path}", file=sys.stderr)  # noqa: T201 - this is a command
    return 0 if plain["rows"] else _FOUND_NOTHING


def _run(request: Request) -> dict[str, Any]:
    for name in request.experiments:
        if name not in EXPERIMENTS:
            raise RowsError(f"--only {name}: no such experiment; there are {', '.join(EXPERIMENTS)}")
    drivers = choose(request.backends)
    if request.profiles:
        drivers = [driver for driver in drivers if driver.profile in request.profiles]
    plan = Plan(
        drivers=drivers,
        workload=load(request.workload or SHIPPED),
        window=WINDOWS[request.mode],
        command=request.typed,
        mode=request.mode,
        experiments=frozenset(request.experiments) or None,
        speed=request.speed,
        bridged=not request.profiles or "taskbridge" in request.profiles,
    )
    result = Result()
    with Progress(result) as progress:
        Run(plan, progress.tell, result).execute()
    if request.json_path is not None:
        result.write(request.json_path)
    return result.plain()


def show(plain: Mapping[str, Any]) -> None:
    """The summary on standard output."""
    out = console(sys.stdout)
    for table in (tables.semantics(plain), tables.speed(plain), tables.not_run(plain)):
        if table.rows:
            out.print(*parts(table, width=out.width), sep="\n")
    if words := tables.warning(plain):
        out.print(Text(words, style="yellow"))
    out.print(Text(f"{plain['command']}: {plain.get('seconds', 0):g} s, watched {plain['window_seconds']:g} s a cell"))
