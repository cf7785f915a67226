"""What every store does with jobs that wait for their time, whatever it stands on."""

from __future__ import annotations

import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

from taskbridge.message import Headers, Message
from taskbridge.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.store import Store

LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=60)
MANY = 100_000


@pytest.fixture
def alias() -> str:
    return f"alias %s ? {uuid.uuid4().hex}"


def due(offset: timedelta, **fields: object) -> Message:
    message = Message(uuid.uuid4().hex, "shop.receipt", [1, "ü\x00\u2028", None], {"a": {"b": [1.5]}})
    message.run_after = datetime.now(UTC) + offset
    message.headers = Headers(metadata={"tenant": "a"}, expires=datetime.now(UTC) + LONG)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def test_what_is_due_comes_back_as_it_was_oldest_first(store: Store, alias: str) -> None:
    messages = [due(-timedelta(seconds=number), native={"x": [number]}, priority=number) for number in (3, 1, 2)]
    store.hold(alias, messages)
    claimed = store.claim_due(alias, limit=10, span=LONG)
    assert list(claimed.messages) == [messages[0], messages[2], messages[1]]


def test_what_is_not_due_stays_and_the_time_until_then_is_known(store: Store, alias: str) -> None:
    assert store.until_due(alias) is None
    store.hold(alias, [due(timedelta(hours=2)), due(timedelta(hours=1))])
    left = store.until_due(alias)
    assert left is not None
    assert timedelta(minutes=59) < left <= timedelta(minutes=61)
    assert store.claim_due(alias, limit=10, span=LONG).messages == []
    store.hold(alias, [due(-SHORT)])
    overdue = store.until_due(alias)
    assert overdue is not None
    assert overdue < timedelta(0)
    assert len(store.claim_due(alias, limit=10, span=LONG).messages) == 1


def test_of_one_backend_only_its_own(store: Store, alias: str) -> None:
    store.hold(alias, [due(-SHORT)])
    assert store.until_due(f"{alias} other") is None
    assert store.claim_due(f"{alias} other", limit=10, span=LONG).messages == []


def test_claimed_jobs_are_nobody_elses_until_the_claim_ends(store: Store, alias: str) -> None:
    messages = [due(-timedelta(seconds=number)) for number in range(5, 0, -1)]
    store.hold(alias, messages)
    first = store.claim_due(alias, limit=3, span=LONG)
    second = store.claim_due(alias, limit=3, span=SHORT)
    assert [len(first.messages), len(second.messages)] == [3, 2]
    assert store.claim_due(alias, limit=3, span=LONG).messages == []
    time.sleep(2 * SHORT.total_seconds())
    again = store.claim_due(alias, limit=3, span=LONG)
    assert [message.id for message in again.messages] == [message.id for message in second.messages]
    # Whose claim has ended can no longer settle what another has claimed.
    store.handed_over(second)
    store.give_back(second)
    assert store.claim_due(alias, limit=3, span=LONG).messages == []
    store.give_back(again)
    assert len(store.claim_due(alias, limit=3, span=LONG).messages) == 2


def test_what_was_handed_over_is_forgotten(store: Store, alias: str) -> None:
    store.hold(alias, [due(-SHORT), due(-SHORT)])
    store.handed_over(store.claim_due(alias, limit=10, span=SHORT))
    time.sleep(2 * SHORT.total_seconds())
    assert store.until_due(alias) is None


def test_a_job_that_is_held_twice_waits_once(store: Store, alias: str) -> None:
    message = due(-SHORT)
    store.hold(alias, [message, message])
    store.hold(alias, [message])
    assert len(store.claim_due(alias, limit=10, span=LONG).messages) == 1


def test_a_withdrawn_job_is_not_handed_over(store: Store, alias: str) -> None:
    kept, dropped = due(-SHORT), due(-SHORT)
    store.hold(alias, [kept, dropped])
    assert store.withdraw(alias, [dropped.id, "unknown"]) == 1
    assert store.withdraw(alias, [dropped.id]) == 0
    assert [message.id for message in store.claim_due(alias, limit=10, span=LONG).messages] == [kept.id]


def test_each_of_many_claimers_gets_other_jobs(durable_url: str) -> None:
    alias = uuid.uuid4().hex
    store = open_store(durable_url)
    messages = [due(-SHORT) for _ in range(600)]
    store.hold(alias, messages)

    def claim_all(_number: int) -> list[str]:
        ids: list[str] = []
        while (claimed := store.claim_due(alias, limit=10, span=LONG)).messages:
            ids += [message.id for message in claimed.messages]
            store.handed_over(claimed)
        return ids

    # Each thread has a connection of its own, as each process would.
    with ThreadPoolExecutor(4) as threads:
        ids = [job_id for claimed in threads.map(claim_all, range(4)) for job_id in claimed]
    assert sorted(ids) == sorted(message.id for message in messages)
    assert store.until_due(alias) is None
    store.close()


def test_a_row_that_is_no_message_holds_up_no_other(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    store = open_store(f"sqlite:///{path}")
    good = due(-SHORT)
    store.hold("default", [good])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO taskbridge_waiting VALUES ('bad', 'default', 1, '{')")
    assert [message.id for message in store.claim_due("default", limit=10, span=LONG).messages] == [good.id]
    store.close()


def test_with_many_that_wait_each_question_is_answered_from_the_index(tmp_path: Path, postgres_url: str) -> None:
    rows = "SELECT 'id' || n, 'default', 9000000000000000 + n, '{}' FROM "
    store = open_store(f"sqlite:///{tmp_path}/results.db")
    assert store.until_due("default") is None
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection, connection:
        counted = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY}) SELECT n FROM c)"
        connection.execute(f"INSERT INTO taskbridge_waiting {rows}{counted}")
        for question in ("SELECT min(due_at)", "SELECT id"):
            asked = f"EXPLAIN QUERY PLAN {question} FROM taskbridge_waiting WHERE backend = 'default' AND due_at <= 5"
            plan = " ".join(str(row) for row in connection.execute(asked))
            assert "SEARCH" in plan
            assert "taskbridge_waiting_due_at" in plan
    store.close()
    store = open_store(postgres_url)
    assert store.until_due("default") is None
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"INSERT INTO taskbridge_waiting {rows} generate_series(1, {MANY}) AS n")
        server.execute("ANALYZE taskbridge_waiting")
        for question in ("SELECT min(due_at)", "SELECT id"):
            asked = f"EXPLAIN {question} FROM taskbridge_waiting WHERE backend = 'default' AND due_at <= 5"
            plan = " ".join(str(row) for row in server.execute(asked))
            assert "Index" in plan
            assert "Seq Scan" not in plan
    store.close()


def test_redis_touches_only_what_is_due_of_many_that_wait(redis_url: str) -> None:
    store = open_store(redis_url)
    client = redis.Redis.from_url(redis_url)
    client.zadd("taskbridge:waiting:many", {f"id{number}": 9e15 + number for number in range(MANY)})
    due_now = [due(-SHORT) for _ in range(10)]
    store.hold("many", due_now)
    assert store.until_due("many") is not None
    client.config_resetstat()
    client.slowlog_reset()
    claimed = store.claim_due("many", limit=1_000, span=LONG)
    store.handed_over(claimed)
    assert len(claimed.messages) == 10
    calls = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    assert sum(calls.get(f"cmdstat_{name}", 0) for name in ("zrangebyscore", "hmget", "zadd")) == 3
    assert sum(calls.get(f"cmdstat_{name}", 0) for name in ("zscore", "zrem", "hdel")) == 12
    client.close()
    store.close()
