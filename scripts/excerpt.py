"""Write the README's excerpt of the newest published comparison, between its two marks.

.venv/bin/python scripts/excerpt.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from taskbridge_compare.results import read
from taskbridge_compare.tables import semantics, warning

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "README.md"
RESULTS = ROOT / "comparisons" / "results"
BEGIN, END = "<!-- Written by `make pages` from the newest result. -->\n", "<!-- End of the excerpt. -->\n"
SHOWN = {
    "worker killed": ("native", "taskbridge"),
    "SIGTERM": ("native", "taskbridge"),
    "time limit": ("native", "taskbridge"),
}
"""Question to the profiles that are shown of it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the README's excerpt of the newest published comparison.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    is_check = parser.parse_args().check
    newest = max(RESULTS.glob("*.json"))
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = f"{before}{BEGIN}{excerpt(newest)}{END}{after}"
    if is_check and wanted != text:
        sys.stderr.write(f"README.md does not show {newest.name}: run `make pages`\n")
        return 1
    if not is_check:
        PAGE.write_text(wanted)
    return 0


def excerpt(path: Path) -> str:
    result = read(path)
    link = f"[{path.stem}]({path.relative_to(ROOT).as_posix()})"
    sentences = (
        f"From the run of {link}, which watched each cell for {result['window_seconds']:g} s.",
        warning(result),
        "In each cell: the engine as its own tutorial has it / with TaskBridge. A lost job is nowhere; one that is not",
        "rerun lies on the broker still.",
    )
    words = " ".join(filter(None, sentences))
    return f"\n{fill(words, 120, break_long_words=False, break_on_hyphens=False)}\n\n{table(result)}\n"


def table(result: Mapping[str, Any]) -> str:
    made = semantics(result)
    found = {
        (row[0].text, row[1].text, question): cell.text
        for row in made.rows
        for question, cell in zip(made.header, row, strict=True)
    }
    lines = [["backend", *SHOWN], ["---"] * (len(SHOWN) + 1)]
    for backend in dict.fromkeys(row[0].text for row in made.rows):
        cells = [
            " / ".join(found.get((backend, profile, question), "unknown") for profile in profiles)
            for question, profiles in SHOWN.items()
        ]
        lines.append([backend, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
