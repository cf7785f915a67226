"""What only the stores on SQL promise: their tables, their sweep, and the caller's own connections."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest

from taskbridge.store import (
    DetailStatus,
    NewRecord,
    Started,
    Succeeded,
    Transition,
    columns,
    open_store,
    schema,
    sql_tables,
)
from taskbridge.store.database import CallersDatabase, Cursor, OwnDatabase
from taskbridge.store.dialect import POSTGRESQL, SQLITE
from taskbridge.store.postgresql import postgresql_database
from taskbridge.store.sql import SQLStore
from taskbridge.store.sqlite import sqlite_database
from tests.store import writers
from tests.store.processes import WRITERS, together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskbridge.services import Server

NOW = datetime.now(UTC)
LATER_STEP = ("ALTER TABLE taskbridge_results ADD COLUMN colour TEXT",)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnDatabase]:
    if request.param == "sqlite":
        opened = sqlite_database(tmp_path / "results.db")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        opened = postgresql_database(server.fresh_url())
    yield opened
    opened.close()


def version(database: OwnDatabase) -> int:
    return database.run(lambda cursor: schema.version(cursor, database.dialect))


def upgrade(database: OwnDatabase, *steps: tuple[str, ...]) -> None:
    database.in_transaction(lambda cursor: schema.upgrade(cursor, database.dialect, steps=steps))


def count(database: OwnDatabase) -> int:
    def ask(cursor: Cursor) -> int:
        cursor.execute("SELECT count(*) FROM taskbridge_results")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    return database.run(ask)


FIRST_STEP_COLUMNS = columns.NAMES[: columns.NAMES.index("execution")]
"""Step 1 had those of today's columns that come before `execution`."""


def as_step_one_wrote(database: OwnDatabase, job: NewRecord, transition: Transition) -> None:
    upgrade(database, schema.STEPS[0])
    row = columns.of_transition(job, transition)
    marks = ", ".join("?" * len(FIRST_STEP_COLUMNS))
    statement = f"INSERT INTO taskbridge_results ({', '.join(FIRST_STEP_COLUMNS)}) VALUES ({marks})"

    def insert(cursor: Cursor) -> None:
        cursor.execute(database.dialect.sql(statement), [row[name] for name in FIRST_STEP_COLUMNS])

    database.run(insert)


def test_a_database_of_the_first_step_is_brought_up_to_date_with_its_records(
    database: OwnDatabase, job: NewRecord
) -> None:
    assert version(database) == 0
    as_step_one_wrote(database, job, Started(attempt=2, at=NOW))
    assert version(database) == 1
    store = SQLStore(database)
    record = store.read(job.id)
    assert record is not None
    assert (record.detail_status, record.attempts) == (DetailStatus.RUNNING, 2)
    assert version(database) == len(schema.STEPS)
    assert not store.record(job, Succeeded(attempt=1, at=NOW, value="of a zombie"))
    assert store.record(job, Succeeded(attempt=2, at=NOW, value=1))
    assert store.acquire("a lease", holder="us", span=timedelta(seconds=9)) is not None
    before = store.read(job.id)
    for _ in range(2):
        upgrade(database, *schema.STEPS, LATER_STEP)
        assert version(database) == len(schema.STEPS) + 1
    assert store.read(job.id) == before is not None


def test_code_of_the_first_step_writes_on_beside_the_new(database: OwnDatabase, job: NewRecord) -> None:
    store = SQLStore(database)
    store.create_tables()
    as_step_one_wrote(database, job, Started(attempt=1, at=NOW))
    assert store.record(job, Succeeded(attempt=1, at=NOW, value=1))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_bring_a_database_of_the_first_step_up_to_date_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, job: NewRecord
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/results.db"
        database = sqlite_database(tmp_path / "results.db")
    else:
        url = request.getfixturevalue("postgres_server").fresh_url()
        database = postgresql_database(url)
    as_step_one_wrote(database, job, Succeeded(attempt=1, at=NOW, value=1))
    with together(writers.open_for_the_first_time, url):
        pass
    assert version(database) == len(schema.STEPS)
    store = SQLStore(database)
    record = store.read(job.id)
    assert record is not None
    assert record.value == 1
    assert all(store.read(f"first-{number}") is not None for number in range(WRITERS))
    database.close()


def test_who_comes_while_another_makes_the_tables_waits_for_them(database: OwnDatabase, job: NewRecord) -> None:
    failures: list[Exception] = []

    def queue() -> None:
        try:
            SQLStore(database).queued([job])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    newcomer = threading.Thread(target=queue)

    def make_slowly(cursor: Cursor) -> None:
        schema.upgrade(cursor, database.dialect)
        newcomer.start()
        newcomer.join(timeout=0.4)
        assert newcomer.is_alive()

    database.in_transaction(make_slowly)
    newcomer.join(timeout=10)
    assert failures == []
    assert SQLStore(database).read(job.id) is not None


def test_code_that_is_behind_the_database_goes_on_working(database: OwnDatabase, job: NewRecord) -> None:
    upgrade(database, *schema.STEPS, LATER_STEP)
    store = SQLStore(database)
    store.queued([job])
    store.create_tables()
    assert store.read(job.id) is not None
    assert version(database) == len(schema.STEPS) + 1


def test_a_step_that_fails_leaves_nothing_behind(database: OwnDatabase) -> None:
    errors = (sqlite3.Error, psycopg.Error, Exception)
    with pytest.raises(errors, match="nonsense"):
        upgrade(database, ("CREATE TABLE half (id TEXT)", "nonsense"))
    assert version(database) == 0
    upgrade(database, ("CREATE TABLE half (id TEXT)",))
    assert version(database) == 1


def test_a_sweep_deletes_what_has_expired_and_nothing_else(
    database: OwnDatabase, job: NewRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_tables, "SWEEP_BATCH", 10)
    store = SQLStore(database)
    store.queued([job])
    long_ago = NOW - timedelta(days=2)
    for number in range(25):
        store.record(msgspec.structs.replace(job, id=f"old-{number}"), Succeeded(attempt=1, at=long_ago, value=1))
    assert count(database) == 26
    assert store.sweep() == 25
    assert count(database) == 1
    assert store.read(job.id) is not None
    assert store.sweep() == 0


def test_expired_records_are_swept_beside_the_writes_when_it_is_time(
    database: OwnDatabase, job: NewRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLStore(database)
    old = msgspec.structs.replace(job, id="old")
    store.record(old, Succeeded(attempt=1, at=NOW - timedelta(days=2), value=1))
    store.record(job, Succeeded(attempt=1, at=NOW, value=1))
    assert count(database) == 2
    monkeypatch.setattr(sql_tables, "SWEEP_EVERY", timedelta(0))
    store.record(job, Succeeded(attempt=1, at=NOW, value=1))
    assert count(database) == 1


def test_leases_and_counters_that_ended_a_day_ago_are_swept_and_tokens_rise_on(database: OwnDatabase) -> None:
    store = SQLStore(database)
    before = store.acquire("old", holder="a", span=timedelta(minutes=1))
    assert before is not None
    begun = time.monotonic()
    while time.monotonic() < begun + 0.01:
        time.sleep(0.005)
    assert store.acquire("ended", holder="a", span=timedelta(0)) is not None
    assert store.count("old", span=timedelta(minutes=1)) == 1

    def age(cursor: Cursor) -> None:
        for table in ("taskbridge_leases", "taskbridge_counters"):
            cursor.execute(f"UPDATE {table} SET until = until - 2 * 86400000000 WHERE name = 'old'")

    database.run(age)
    assert store.sweep() == 2
    after = store.acquire("old", holder="b", span=timedelta(minutes=1))
    assert after is not None
    assert after.token > before.token
    assert store.count("old", span=timedelta(minutes=1)) == 1


def test_a_connection_that_the_server_dropped_is_opened_anew(postgres_url: str, job: NewRecord) -> None:
    store = open_store(postgres_url)
    store.queued([job])
    with psycopg.connect(postgres_url, autocommit=True) as killer:
        killed = killer.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert killed is not None
        assert killed[0] >= 1
    store.record(job, Succeeded(attempt=1, at=NOW, value=1))
    assert store.read(job.id) is not None
    store.close()


def test_threads_give_their_connections_back_when_they_end(postgres_url: str, job: NewRecord) -> None:
    store = open_store(f"{postgres_url}?application_name=threads")
    for _ in range(5):
        thread = threading.Thread(target=store.queued, args=([job],))
        thread.start()
        thread.join(timeout=10)
    with psycopg.connect(postgres_url, autocommit=True) as watcher:
        question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'threads'"
        for _ in range(1_500):
            row = watcher.execute(question).fetchone()
            if row == (0,):
                break
            watcher.execute("SELECT pg_sleep(0.02)")
        assert row == (0,)
    store.close()


def test_a_store_may_be_used_again_after_it_was_closed(database: OwnDatabase, job: NewRecord) -> None:
    store = SQLStore(database)
    store.queued([job])
    store.close()
    assert store.read(job.id) is not None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_on_the_callers_connection_a_record_is_part_of_the_callers_transaction(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, job: NewRecord
) -> None:
    connection: Any
    if kind == "sqlite":
        connection, dialect = sqlite3.connect(tmp_path / "a.db"), SQLITE
    else:
        connection, dialect = psycopg.connect(request.getfixturevalue("postgres_server").fresh_url()), POSTGRESQL
    with contextlib.closing(connection):
        store = SQLStore(CallersDatabase(lambda: connection, dialect))
        store.create_tables()
        connection.commit()
        store.queued([job])
        assert store.read(job.id) is not None
        connection.rollback()
        assert store.read(job.id) is None
        store.record(job, Succeeded(attempt=1, at=NOW, value=1))
        connection.commit()
        connection.rollback()
        store.close()
        assert store.read(job.id) is not None
