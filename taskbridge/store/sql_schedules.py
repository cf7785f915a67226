"""Schedules in SQL: a row each, and one guarded statement for each step of a tick."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store.columns import microseconds
from taskbridge.store.sql_tables import SQLTables, batches
from taskbridge.store.standing import COLUMNS, standing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from taskbridge.store.database import Database
    from taskbridge.store.standing import Standing

_MICROSECOND: Final = timedelta(microseconds=1)
_TABLE: Final = "taskbridge_schedules"
_ENTER: Final = f"""
    INSERT INTO {_TABLE} AS r (name, timetable, done_until) VALUES (?, ?, {{now}})
    ON CONFLICT (name) DO UPDATE SET
        timetable = excluded.timetable,
        done_until = CASE
            WHEN r.timetable = excluded.timetable OR r.done_until > excluded.done_until THEN r.done_until
            ELSE excluded.done_until
        END
    RETURNING {", ".join(COLUMNS)}
"""  # noqa: S608 - constants only
_CLAIM: Final = f"""
    UPDATE {_TABLE} SET
        token = CASE WHEN token >= {{now}} THEN token + 1 ELSE {{now}} END,
        claimed_until = {{now}} + ?
    WHERE name = ? AND done_until < ? AND ? <= {{now}} AND claimed_until <= {{now}} AND is_paused = 0
    RETURNING token
"""  # noqa: S608 - as above
_DONE: Final = f"""
    UPDATE {_TABLE} SET done_until = ?, claimed_until = 0, last_tick = ?, last_job = ? WHERE name = ? AND token = ?
"""  # noqa: S608 - as above
_RELEASE: Final = f"UPDATE {_TABLE} SET claimed_until = 0 WHERE name = ? AND token = ?"  # noqa: S608 - as above
_PASS_OVER: Final = f"""
    UPDATE {_TABLE} SET done_until = ? WHERE name = ? AND done_until < ? AND claimed_until <= {{now}}
"""  # noqa: S608 - as above
_PAUSE: Final = f"UPDATE {_TABLE} SET is_paused = 1 WHERE name = ?"  # noqa: S608 - as above
_RESUME: Final = f"""
    UPDATE {_TABLE} SET
        done_until = CASE WHEN is_paused = 1 AND done_until < {{now}} THEN {{now}} ELSE done_until END,
        is_paused = 0
    WHERE name = ?
"""  # noqa: S608 - as above


class SQLScheduleStore(SQLTables):
    """A `ScheduleStore` in the table `taskbridge_schedules`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        texts = (_ENTER, _CLAIM, _DONE, _RELEASE, _PASS_OVER, _PAUSE, _RESUME)
        self._schedule = {text: self._dialect.sql(text.format(now=self._dialect.now)) for text in texts}

    def enter(self, name: str, timetable: str, /) -> Standing:
        self._prepare()
        (row,) = self._fetch(self._schedule[_ENTER], (name, timetable))
        return standing(row)

    def standings(self, names: Sequence[str], /) -> dict[str, Standing]:
        self._prepare()
        found: dict[str, Standing] = {}
        for batch in batches(sorted(set(names))):
            marks = ", ".join("?" * len(batch))
            statement = f"SELECT {', '.join(COLUMNS)} FROM {_TABLE} WHERE name IN ({marks})"  # noqa: S608 - constants and placeholders only
            rows = self._fetch(self._dialect.sql(statement), batch)
            found |= {row[0]: standing(row) for row in rows}
        return found

    def claim_tick(self, name: str, nominal: datetime, /, *, span: timedelta) -> int | None:
        self._prepare()
        at = microseconds(nominal)
        rows = self._fetch(self._schedule[_CLAIM], (span // _MICROSECOND, name, at, at))
        return int(rows[0][0]) if rows else None

    def tick_done(self, name: str, nominal: datetime, token: int, /, *, job_id: str) -> bool:
        self._prepare()
        at = microseconds(nominal)
        return self._execute(self._schedule[_DONE], (at, at, job_id, name, token)) > 0

    def release_tick(self, name: str, token: int, /) -> None:
        self._prepare()
        self._execute(self._schedule[_RELEASE], (name, token))

    def pass_over(self, name: str, until: datetime, /) -> None:
        self._prepare()
        at = microseconds(until)
        self._execute(self._schedule[_PASS_OVER], (at, name, at))

    def pause(self, name: str, /) -> bool:
        self._prepare()
        return self._execute(self._schedule[_PAUSE], (name,)) > 0

    def resume(self, name: str, /) -> bool:
        self._prepare()
        return self._execute(self._schedule[_RESUME], (name,)) > 0
