"""Dead letters in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskbridge.store import columns, letter_columns
from taskbridge.store.columns import microseconds
from taskbridge.store.sql_tables import SQLTables, batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from taskbridge.store.database import Database
    from taskbridge.store.letter import DeadLetter, Selection

PAGE: Final = 100
"""Letters that are read at once: each may hold a large message."""

_TABLE: Final = "taskbridge_dead_letters"
_NAMES: Final = ", ".join(letter_columns.NAMES)
_REPLACED: Final = [name for name in letter_columns.NAMES if name not in ("id", "life", "redrives", "history")]
_BURY: Final = f"""
    INSERT INTO {_TABLE} AS r ({_NAMES}) VALUES ({", ".join("?" * len(letter_columns.NAMES))})
    ON CONFLICT (id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _REPLACED)},
        life = CASE WHEN excluded.payload IS NULL THEN excluded.life ELSE r.redrives END,
        redrives = CASE WHEN excluded.redrives > r.redrives THEN excluded.redrives ELSE r.redrives END,
        history = CASE
            WHEN length(r.history) > {letter_columns.HISTORY_LIMIT} THEN r.history
            ELSE r.history || excluded.history
        END
    WHERE excluded.life >= r.life OR excluded.payload IS NOT NULL
"""  # noqa: S608 - constants only
_REDRIVEN: Final = f"""
    UPDATE {_TABLE} SET redrives = CASE WHEN redrives < ? THEN ? ELSE redrives END, history = history || ? WHERE id = ?
"""  # noqa: S608 - as above


class SQLDeadLetterStore(SQLTables):
    """A `DeadLetterStore` in the table `taskbridge_dead_letters`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._bury = self._dialect.sql(_BURY)
        self._redriven = self._dialect.sql(_REDRIVEN)

    def bury(self, letter: DeadLetter, /) -> None:
        self._prepare()
        row = letter_columns.of_letter(letter)
        self._execute(self._bury, [row[name] for name in letter_columns.NAMES])
        self._sweep_if_due()

    def letters(self, selection: Selection, /) -> Iterator[DeadLetter]:
        self._prepare()
        last: tuple[int, str] | None = None
        while True:
            statement, parameters = _query(selection, last)
            rows = self._fetch(self._dialect.sql(statement), parameters)
            for row in rows:
                named = dict(zip(letter_columns.NAMES, row, strict=True))
                last = (int(named["buried_at"]), str(named["id"]))
                yield letter_columns.to_letter(named)
            if len(rows) < PAGE:
                return

    def redriven(self, letter_id: str, /, *, number: int, at: datetime) -> None:
        self._prepare()
        line = letter_columns.redrive_line(number=number, at=at)
        self._execute(self._redriven, (number, number, line, letter_id))

    def discard(self, ids: Sequence[str], /) -> int:
        self._prepare()
        deleted = 0
        for batch in batches(sorted(set(ids))):
            marks = ", ".join("?" * len(batch))
            statement = f"DELETE FROM {_TABLE} WHERE id IN ({marks})"  # noqa: S608 - constants and placeholders only
            deleted += self._execute(self._dialect.sql(statement), batch)
        return deleted


def _query(selection: Selection, last: tuple[int, str] | None) -> tuple[str, list[object]]:
    conditions, parameters = ["expires_at > ?"], list[object]([columns.now()])
    for name in ("task", "queue_name", "backend", "reason"):
        if (wanted := getattr(selection, name)) is not None:
            conditions.append(f"{name} = ?")
            parameters.append(wanted)
    if selection.ids:
        conditions.append(f"id IN ({', '.join('?' * len(selection.ids))})")
        parameters += selection.ids
    if selection.since is not None:
        conditions.append("buried_at >= ?")
        parameters.append(microseconds(selection.since))
    if selection.before is not None:
        conditions.append("buried_at < ?")
        parameters.append(microseconds(selection.before))
    if selection.state is not None:
        conditions.append("redrives > life" if selection.state == "redriven" else "redrives <= life")
    if last is not None:
        conditions.append("(buried_at, id) > (?, ?)")
        parameters += last
    statement = (
        f"SELECT {_NAMES} FROM {_TABLE} WHERE {' AND '.join(conditions)} "  # noqa: S608 - constants and placeholders only
        f"ORDER BY buried_at, id LIMIT {PAGE}"
    )
    return statement, parameters
