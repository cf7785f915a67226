"""Tables on a terminal: in as many parts as its width asks for, so that no word is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge_compare.tables import Cell, Table

STYLES: Final = {"good": "green", "bad": "bold red", "mixed": "yellow", "plain": "dim"}
SIGNS: Final = {"good": "+", "bad": "!", "mixed": "~", "plain": "-"}
NAMES: Final = 2
"""Columns that name a row, and stand in each part: backend and profile."""

_ELSEWHERE: Final = 240
_COMFORTABLE: Final = 20
_BORDER: Final = 3


def console(stream: TextIO) -> Console:
    """As wide as the terminal; wide enough for a table elsewhere."""
    return Console(file=stream, width=None if stream.isatty() else _ELSEWHERE)


def parts(table: Table, *, width: int) -> Iterator[RichTable]:
    """A table as one or more that are no wider than `width`, if its longest words allow it."""
    widths = [_column_width(table, column) for column in range(len(table.header))]
    of_names = sum(widths[:NAMES]) + NAMES * _BORDER
    columns: list[int] = []
    used = of_names
    title = table.title
    for column in range(NAMES, len(widths)):
        if columns and used + widths[column] + _BORDER > width:
            yield _part(table, title, columns, widths)
            columns, used, title = [], of_names, f"{table.title} (continued)"
        columns.append(column)
        used += widths[column] + _BORDER
    if columns:
        yield _part(table, title, columns, widths)


def _part(table: Table, title: str, columns: list[int], widths: list[int]) -> RichTable:
    shown = RichTable(title=title, title_justify="left", header_style="bold")
    chosen = [*range(NAMES), *columns]
    for column in chosen:
        shown.add_column(table.header[column], min_width=widths[column], overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(row[column].text, style=STYLES[row[column].tone]) for column in chosen))
    return shown


def _column_width(table: Table, column: int) -> int:
    texts = [table.header[column], *(row[column].text for row in table.rows)]
    longest_word = max(len(word) for text in texts for word in text.split() or [""])
    return max(longest_word, min(_COMFORTABLE, max(map(len, texts))))


def mark(cell: Cell) -> Text:
    """A cell as one sign."""
    return Text(SIGNS[cell.tone], style=STYLES[cell.tone])
