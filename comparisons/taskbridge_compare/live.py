"""What is seen while a run goes on: a board of signs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Group
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from taskbridge_compare import tables
from taskbridge_compare.terminal import NAMES, SIGNS, console, mark

if TYPE_CHECKING:
    from rich.console import RenderableType

    from taskbridge_compare.results import Result

_GAP = 2
_WAITING = Text("·", style="dim")
_LEGEND = Text(
    "+ as one would wish   ! lost, doubled or not rerun   ~ in between   - said, not judged   · not yet", style="dim"
)


class Progress:
    """Shows each cell as it comes. A context manager."""

    def __init__(self, result: Result, stream: TextIO | None = None) -> None:
        self._result = result
        self._console = console(stream or sys.stderr)
        self._lock = threading.Lock()
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tell(self, kind: str, news: dict[str, Any]) -> None:
        """A new cell, a new number, or a row that cannot be run."""
        with self._lock:
            if self._live:
                words = Text(line(kind, news), no_wrap=True)
                self._live.update(board(tables.semantics(self._result.plain()), words, width=self._console.width))
            else:
                self._console.print(Text(line(kind, news)), soft_wrap=True)


def line(kind: str, news: dict[str, Any]) -> str:
    """News as one plain line."""
    where = f"{news['backend']:<20} {news['profile']:<10}"
    if kind == "not_run":
        return f"  {where} not run: {news['reason']}"
    if kind == "cell":
        verdict = news["verdict"]
        sign = SIGNS[tables.tone(verdict["outcome"])]
        return f"{sign} {where} {news['experiment']:<15} {verdict['text']}: {verdict['detail']}"
    return f"  {where} {news['case']:<15} {news['text']}"


def board(table: tables.Table, news: Text, *, width: int) -> RenderableType:
    """A sign a cell, a line a row, and the news below: twenty rows fit on one screen of 80 columns."""
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    names = [
        max(map(len, (name, *(row[column].text for row in table.rows)))) for column, name in enumerate(table.header)
    ]
    share = (width - sum(names[:NAMES]) - NAMES * _GAP) // max(1, len(names) - NAMES) - _GAP
    for column, name in enumerate(table.header):
        wanted = names[column] if column < NAMES else min(max(map(len, name.split())), share)
        shown.add_column(name, width=max(1, wanted), overflow="fold", vertical="bottom")
    for row in table.rows:
        signs = (mark(cell) if cell.is_known else _WAITING for cell in row[NAMES:])
        shown.add_row(*(cell.text for cell in row[:NAMES]), *signs)
    return Group(shown, Text(), news, _LEGEND)
