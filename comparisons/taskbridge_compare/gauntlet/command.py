"""The command line of the gauntlet."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge_compare.drivers import RowsError, choose
from taskbridge_compare.gauntlet import record, table
from taskbridge_compare.gauntlet.faults import FAULTS
from taskbridge_compare.gauntlet.plan import Cell
from taskbridge_compare.gauntlet.run import Gauntlet
from taskbridge_compare.gauntlet.size import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOUND_RED = 3
_INTERRUPTED = 130
# What it takes to repeat a drain; the folders are nobody else's.
_REPEATED = ("backends", "profiles", "faults", "jobs", "kills", "repeats", "beside", "patience", "settle")


def main(words: Sequence[str] | None = None) -> int:
    """0: every cell is green, or only native ones are not. 3: one of TaskBridge's is red or unknown."""
    arguments = _parser().parse_args(words)
    try:
        cells = _cells(arguments)
    except (RowsError, ValueError) as error:
        print(f"gauntlet: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return 2
    if arguments.restate:
        for path in sorted(arguments.out.glob("*.json.gz")):
            record.restate(path)
    if arguments.table or arguments.restate:
        _show(arguments.out)
        return 0
    given = [f"--{name}={value}" for name, value in vars(arguments).items() if name in _REPEATED]
    typed = shlex.join(["python", "-m", "taskbridge_compare.gauntlet", *given])
    gauntlet = Gauntlet(
        cells=cells,
        folder=arguments.out,
        beside=arguments.beside,
        tell=lambda line: print(line, flush=True),  # noqa: T201 - this is a command
        command=typed,
        keep_logs=arguments.logs,
    )
    try:
        gauntlet.execute()
    except KeyboardInterrupt:
        print("gauntlet: stopped; the same command goes on with what is left", file=sys.stderr)  # noqa: T201 - this is a command
        return _INTERRUPTED
    _show(arguments.out)
    wanted = [cell for cell in cells if cell.driver.profile != "native"]
    green = all(cell.name in gauntlet.judged and gauntlet.judged[cell.name].colour == "green" for cell in wanted)
    return 0 if green else _FOUND_RED


def _show(folder: Path) -> None:
    """The table of all that lies there, on standard output and as a page beside it."""
    headers = [record.read_header(path) for path in sorted(folder.glob("*.json.gz"))]
    if headers:
        (folder / "README.md").write_text(table.page(headers))
    print(table.markdown(headers))  # noqa: T201 - this is a command


def _cells(arguments: argparse.Namespace) -> list[Cell]:
    drivers = choose([name for name in arguments.backends.split(",") if name])
    drivers = [driver for driver in drivers if driver.profile in (*arguments.profiles.split(","), "planted")]
    size = Size(jobs=arguments.jobs, strikes=arguments.kills, patience=arguments.patience, settle=arguments.settle)
    cells = []
    for name in FAULTS if arguments.faults == "all" else arguments.faults.split(","):
        if name not in FAULTS:
            raise ValueError(f"--faults {name}: no such fault; there are {', '.join(FAULTS)}, and all")
        cells += [
            Cell(driver=driver, fault=FAULTS[name], repeat=repeat, size=size)
            for repeat in range(1, arguments.repeats + 1)
            for driver in drivers
            if not FAULTS[name].inapplicable(driver.broker)
        ]
    return cells


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m taskbridge_compare.gauntlet", description=__doc__)
    parser.add_argument("--backends", default="", help="with commas: rq, huey+sqlite, ...; all, if none")
    parser.add_argument("--profiles", default="taskbridge", help="taskbridge, native or both, with commas")
    parser.add_argument("--faults", default="sigkill", help=f"all, or with commas: {', '.join(FAULTS)}")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20, help="strikes that have to count")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--beside", type=int, default=2, help="cells at a time")
    parser.add_argument("--patience", type=float, default=40.0, help="seconds without progress before it gives up")
    parser.add_argument("--settle", type=float, default=12.0, help="seconds after the last job")
    parser.add_argument("--out", type=Path, default=Path("gauntlet-results"), help="a folder for one file a cell")
    parser.add_argument("--table", action="store_true", help="run nothing; the table of all that lies in --out")
    parser.add_argument("--restate", action="store_true", help="run nothing; judge all that lies in --out again")
    parser.add_argument("--logs", type=Path, help="a folder for the workers' logs of cells that are not green")
    return parser
