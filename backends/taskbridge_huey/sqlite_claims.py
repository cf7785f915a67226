"""Claims in a SQLite file: a row moves from Huey's table of tasks to a table of claims in one transaction."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store.forks import unforked
from taskbridge_huey.claim import LEASE_SECONDS, Claim, Due, Successor, marked, unmarked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from huey.storage import SqliteStorage

_CLAIMS: Final = (
    "create table if not exists taskbridge_claim (id integer not null primary key autoincrement, queue text not null, "
    "worker text not null, data blob not null, priority real not null, task integer not null)"
)
_LEASES: Final = "create table if not exists taskbridge_lease (worker text not null primary key, expires real not null)"
_MARKS: Final = "create table if not exists taskbridge_mark (worker text not null primary key, mark text not null)"
_FORGET: Final = "delete from kv where queue = ? and key = ?"
# The clock counts from the machine's start, the same in all its processes: after a restart an old lease lies too far
# ahead to be one.
_ABANDONED: Final = (
    "queue = ? and worker not in (select worker from taskbridge_lease where expires > ? and expires <= ?)"
)


class SqliteClaims:
    """The claims in the file of a `huey.storage.SqliteStorage`."""

    is_blocking: bool = False
    unavailable: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage = storage
        self._renewing: tuple[int, Any] = (0, None)
        self._inherited: list[Any] = []

    def prepare(self) -> None:
        with self._storage.db(commit=True) as cursor:
            cursor.execute(_CLAIMS)
            cursor.execute(_LEASES)
            cursor.execute(_MARKS)

    def claim(self, worker: str, settled: Claim | None, forgotten: Sequence[str] = (), /) -> Claim | None:
        name = self._storage.name
        if (
            settled is None
            and not forgotten
            and not self._storage.sql("select 1 from task where queue = ? limit 1", (name,), results=True)
        ):
            return None
        with self._storage.db(commit=True) as cursor:
            if settled is not None:
                _remove(cursor, worker, settled)
            for key in forgotten:
                cursor.execute(_FORGET, (name, key))
            cursor.execute(
                "select id, data, priority from task where queue = ? order by priority desc, id limit 1", (name,)
            )
            found = cursor.fetchone()
            if found is None:
                return None
            task, element, priority = found
            cursor.execute("delete from task where id = ?", (task,))
            cursor.execute(
                "insert into taskbridge_claim (queue, worker, data, priority, task) values (?, ?, ?, ?, ?)",
                (name, worker, element, priority, task),
            )
            row = cursor.lastrowid
        element = _bytes(element)
        data, crashes = unmarked(element)
        return Claim(element, data, crashes, row)

    def forget(self, keys: Sequence[str], /) -> None:
        with self._storage.db(commit=True) as cursor:
            for key in keys:
                cursor.execute(_FORGET, (self._storage.name, key))

    def settle(self, worker: str, claim: Claim, successors: Sequence[Successor], /) -> bool:
        with self._storage.db(commit=True) as cursor:
            if not _remove(cursor, worker, claim):
                return False
            self._add(cursor, successors)
        return True

    def is_held(self, worker: str, claim: Claim, /) -> bool:
        query = "select 1 from taskbridge_claim where id = ? and worker = ?"
        return bool(self._storage.sql(query, (claim.row, worker), results=True))

    def give_back(self, worker: str, token: str | None = None, /, *, has_crashed: bool) -> int:
        with self._storage.db(commit=True) as cursor:
            where = "queue = ? and worker = ?" + ("" if token is None else f" and id = {int(token)}")
            number = self._give_back(cursor, where, (self._storage.name, worker), has_crashed=has_crashed)
            if token is None:
                _end(cursor, worker)
        return number

    def renew(self, workers: Sequence[str], mark: str, /) -> dict[str, set[str]]:
        expires = time.monotonic() + LEASE_SECONDS
        statement = (
            "insert into taskbridge_lease (worker, expires) values (?, ?) "
            "on conflict (worker) do update set expires = excluded.expires"
        )
        with unforked:
            connection = self._connection()
            connection.execute("begin immediate")
            try:
                for worker in workers:
                    connection.execute(statement, (worker, expires))
                    connection.execute(
                        "insert or replace into taskbridge_mark (worker, mark) values (?, ?)", (worker, mark)
                    )
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        return {}

    def marks(self) -> Mapping[str, str]:
        return dict(self._storage.sql("select worker, mark from taskbridge_mark", results=True))

    def recover(self, dead: Sequence[str] = (), /) -> int:
        if dead:
            with self._storage.db(commit=True) as cursor:
                for worker in dead:
                    _end(cursor, worker)
        query = f"select 1 from taskbridge_claim where {_ABANDONED} limit 1"  # noqa: S608 - our own words
        if not self._storage.sql(query, (self._storage.name, *_lease_bounds()), results=True):
            return 0
        with self._storage.db(commit=True) as cursor:
            soonest, latest = _lease_bounds()
            number = self._give_back(cursor, _ABANDONED, (self._storage.name, soonest, latest), has_crashed=True)
            cursor.execute("delete from taskbridge_lease where expires not between ? and ?", (soonest - 60, latest))
            cursor.execute("delete from taskbridge_mark where worker not in (select worker from taskbridge_lease)")
        return number

    def due(self, now: datetime, limit: int, /) -> Sequence[Due]:
        query = "select id, data from schedule where queue = ? and timestamp <= ? order by timestamp, id limit ?"
        found = self._storage.sql(query, (self._storage.name, now.timestamp(), limit), results=True)
        return [Due(_bytes(data), row) for row, data in found]

    def move(self, due: Due, successors: Sequence[Successor], /) -> bool:
        with self._storage.db(commit=True) as cursor:
            cursor.execute("delete from schedule where id = ?", (due.row,))
            if cursor.rowcount != 1:
                return False
            self._add(cursor, successors)
        return True

    def _add(self, cursor: Any, successors: Sequence[Successor]) -> None:
        for successor in successors:
            values: tuple[Any, ...]
            if successor.due is None:
                statement = "insert into task (queue, data, priority) values (?, ?, ?)"
                values = (self._storage.name, memoryview(successor.data), successor.priority)
            else:
                statement = "insert into schedule (queue, data, timestamp) values (?, ?, ?)"
                values = (self._storage.name, memoryview(successor.data), successor.due.timestamp())
            cursor.execute(statement, values)

    def _give_back(self, cursor: Any, where: str, parameters: tuple[Any, ...], *, has_crashed: bool) -> int:
        cursor.execute(f"select id, data, priority, task from taskbridge_claim where {where}", parameters)  # noqa: S608 - our own words
        found = cursor.fetchall()
        for row, element, priority, task in found:
            data, crashes = unmarked(_bytes(element))
            kept = marked(data, crashes + has_crashed)
            # Its old number, so that it stands before what came later, unless SQLite has given that to another row.
            cursor.execute(
                "insert into task (id, queue, data, priority) "
                "values (case when exists (select 1 from task where id = ?) then null else ? end, ?, ?, ?)",
                (task, task, self._storage.name, memoryview(kept), priority),
            )
            cursor.execute("delete from taskbridge_claim where id = ?", (row,))
        return len(found)

    def _connection(self) -> Any:
        # Of its own, since the worker's may wait for a lock while a lease runs out; and this write needs no disk.
        pid, connection = self._renewing
        if connection is None or pid != os.getpid():
            self._inherited.append(connection)
            connection = self._storage._create_connection()  # noqa: SLF001 - with the application's own settings
            connection.execute("pragma synchronous=normal")
            self._renewing = (os.getpid(), connection)
        return connection


def _remove(cursor: Any, worker: str, claim: Claim) -> bool:
    cursor.execute("delete from taskbridge_claim where id = ? and worker = ?", (claim.row, worker))
    return bool(cursor.rowcount == 1)


def _end(cursor: Any, worker: str) -> None:
    cursor.execute("delete from taskbridge_lease where worker = ?", (worker,))
    cursor.execute("delete from taskbridge_mark where worker = ?", (worker,))


def _lease_bounds() -> tuple[float, float]:
    now = time.monotonic()
    return now, now + 2 * LEASE_SECONDS


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
