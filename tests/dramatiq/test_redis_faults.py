"""Dramatiq on Redis when something fails: nothing is lost, and nothing waits for the worker's restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

import taskbridge
from taskbridge import services
from taskbridge.services import Options, Server
from tests.dramatiq import application
from tests.dramatiq.conftest import Ledger, start_worker, wait_for

NOW = "dramatiq:default"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test alone, whose data survive its SIGKILL."""
    with services.start("redis", options=Options(persistent=True)) as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "always")
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _configured(server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.clear()
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{server.url}?heartbeat=2")
    taskbridge.configure()


def test_a_retry_that_is_due_while_redis_is_down_is_not_lost(
    server: Server, ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    with start_worker(tmp_path) as worker:
        go = tmp_path / "go"
        application.fail_when_told.enqueue(str(go))
        ledger.wait("told")
        server.kill()
        go.touch()
        worker.wait_for_line("waits in this worker until the broker takes it back", within=timedelta(seconds=45))
        server.restart()
        assert [event["attempt"] for event in ledger.wait("told", count=2)] == [1, 2]
        wait_for(lambda: client.hlen(f"{NOW}.msgs") == 0)


def test_a_delayed_job_that_a_worker_holds_outlives_a_restart_of_redis(
    server: Server, ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    with start_worker(tmp_path):
        due = datetime.now(UTC) + timedelta(seconds=3)
        application.note_text.using(run_after=due).enqueue("held")
        wait_for(lambda: client.llen(f"{NOW}.DQ") == 0)
        server.kill()
        server.restart()
        assert ledger.wait("held")[0]["at"] >= due.timestamp()


def test_what_no_task_can_be_given_and_what_is_exhausted_is_dead_lettered_and_its_neighbours_run(
    ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    application.note_text.enqueue_many([("before",)])
    for redis_id, data in (("bad-1", b"\xff no JSON"), ("bad-2", b'{"queue_name": "default"}'), ("bad-3", b"[1]")):
        client.hset(f"{NOW}.msgs", redis_id, data)
        client.rpush(NOW, redis_id)
    application.nobody_has_it.enqueue()
    application.fail.enqueue("exhausted")
    application.note_text.enqueue_many([("after",), ("after",)])
    with start_worker(tmp_path):
        ledger.wait("before")
        ledger.wait("after", count=2)
        wait_for(lambda: client.zcard(f"{NOW}.XQ") == 5)
        assert client.hget(f"{NOW}.XQ.msgs", "bad-1") == b"\xff no JSON"
        wait_for(lambda: not client.keys("dramatiq:__acks__*"))
    assert len(ledger.events("exhausted")) == 3
    assert client.hlen(f"{NOW}.msgs") == client.hlen(f"{NOW}.DQ.msgs") == 0


def test_a_killed_workers_jobs_run_again_running_fetched_and_delayed_ones(
    ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    first = start_worker(tmp_path, concurrency=1)
    application.hold.enqueue("running", 60)
    ledger.wait("running")
    application.note_text.enqueue("fetched")
    application.note_text.using(run_after=timedelta(seconds=1)).enqueue("delayed")
    wait_for(lambda: client.llen(NOW) == client.llen(f"{NOW}.DQ") == 0)
    killed = time.time()
    first.kill_tree()
    with start_worker(tmp_path, concurrency=2) as second:
        ledger.wait("fetched")
        ledger.wait("delayed")
        again = ledger.wait("running", count=2)
        assert again[1]["at"] - killed < 30, "10 s, on a machine that is not this busy"
        second.kill_tree()


def test_a_warm_stop_gives_back_what_was_not_started(ledger: Ledger, tmp_path: Path, client: Redis) -> None:
    worker = start_worker(tmp_path, concurrency=1)
    application.hold.enqueue("running", 6)
    ledger.wait("running")
    application.note_text.enqueue("not started")
    application.note_text.using(run_after=timedelta(seconds=30)).enqueue("delayed")
    wait_for(lambda: client.llen(NOW) == client.llen(f"{NOW}.DQ") == 0)
    assert worker.stop(grace=timedelta(seconds=45)) == 0
    ledger.wait("running ended")
    ledger.wait("worker stopped")
    assert not ledger.events("not started")
    assert client.llen(NOW) == client.llen(f"{NOW}.DQ") == 1
    assert not client.keys("dramatiq:__acks__*")


def test_what_still_runs_when_the_grace_is_over_goes_back_at_once(
    ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    worker = start_worker(tmp_path, concurrency=1, grace=timedelta(seconds=3))
    application.hold.enqueue("running", 60)
    ledger.wait("running")
    application.note_text.enqueue("behind it")
    wait_for(lambda: client.llen(NOW) == 0)
    assert worker.stop(grace=timedelta(seconds=45)) == 0
    assert client.llen(NOW) == 2
    assert not client.keys("dramatiq:__acks__*")
    assert not client.hgetall("dramatiq:__taskbridge__.crashes.default")


def test_a_job_that_is_due_soon_does_not_wait_behind_thousands_that_are_due_late(
    ledger: Ledger, tmp_path: Path
) -> None:
    application.note_text.using(run_after=timedelta(days=2)).enqueue_many([("late",)] * 2500)
    application.note_text.using(run_after=timedelta(seconds=1)).enqueue("soon")
    with start_worker(tmp_path, concurrency=1) as worker:
        ledger.wait("soon")
        worker.kill_tree()
