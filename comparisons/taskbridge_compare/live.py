"""What is seen while a run goes on: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from taskbridge_compare import tables

if TYPE_CHECKING:
    from taskbridge_compare.results import Result

_STYLES = {"good": "green", "bad": "bold red", "mixed": "yellow", "plain": "dim"}
_WIDTH = 240
_SIGNS = {"good": "+", "bad": "!", "mixed": "~", "plain": " "}


class Progress:
    """Shows each cell as it comes. A context manager."""

    def __init__(self, result: Result, stream: TextIO | None = None) -> None:
        self._result = result
        self._console = console(stream or sys.stderr)
        self._lock = threading.Lock()
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None

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
                self._live.update(rich_table(tables.semantics(self._result.plain())))
            else:
                self._console.print(Text(line(kind, news)), soft_wrap=True)


def console(stream: TextIO) -> Console:
    """As wide as the terminal; wide enough for a table elsewhere."""
    return Console(file=stream, width=None if stream.isatty() else _WIDTH)


def line(kind: str, news: dict[str, Any]) -> str:
    """News as one plain line."""
    where = f"{news['backend']:<20} {news['profile']:<10}"
    if kind == "not_run":
        return f"  {where} not run: {news['reason']}"
    if kind == "cell":
        verdict = news["verdict"]
        sign = _SIGNS[tables.tone(verdict["outcome"])]
        return f"{sign} {where} {news['experiment']:<15} {verdict['text']}: {verdict['detail']}"
    return f"  {where} {news['case']:<15} {news['text']}"


def rich_table(table: tables.Table) -> RichTable:
    """A table for a terminal."""
    shown = RichTable(title=table.title, title_justify="left", header_style="bold", pad_edge=False)
    for name in table.header:
        shown.add_column(name, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style=_STYLES[cell.tone]) for cell in row))
    return shown
