"""Workers on Redis that are killed or paused: what they held is run again, soon, and by one of them alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from redis import Redis

import taskbridge
from taskbridge_compare.faults.cut_rules import Delivery
from taskbridge_compare.faults.proxy import CuttingProxy
from tests.dramatiq import application
from tests.dramatiq.conftest import APPLICATION, START, Ledger, start_worker, wait_for

if TYPE_CHECKING:
    from taskbridge.process import Process
    from taskbridge.services import Server

MESSAGES = "dramatiq:default.msgs"
LEASE_SECONDS = 1


@pytest.fixture
def client(redis_server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """An empty database, which is the default backend's."""
    ledger.clear()
    url = redis_server.fresh_url()
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{url}?heartbeat={LEASE_SECONDS}&crash_budget=2")
    taskbridge.configure()
    with Redis.from_url(url) as client:
        yield client


def worker(folder: Path, *, planted: str = "", concurrency: int = 1, is_awaited: bool = True) -> Process:
    return start_worker(
        folder,
        concurrency=concurrency,
        is_awaited=is_awaited,
        imports=("tests.dramatiq.planted", APPLICATION),
        environment={"TASKBRIDGE_TEST_PLANTED": planted},
    )


@contextmanager
def paused(process: Process) -> Iterator[None]:
    """The process and all of its children stand still."""
    tree = process.tree()
    for member in tree:
        member.suspend()
    try:
        yield
    finally:
        for member in tree:
            member.resume()


@pytest.mark.parametrize("planted", ["", "early_acknowledgement", "no_recovery"])
def test_a_killed_workers_job_is_run_again(ledger: Ledger, tmp_path: Path, client: Redis, planted: str) -> None:
    with worker(tmp_path, planted=planted) as first:
        application.hold.enqueue("running", 60)
        ledger.wait("running")
        first.kill_tree()
    with worker(tmp_path, planted=planted) as second:
        deadline = time.monotonic() + (3 if planted else 15)
        while len(ledger.events("running")) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(ledger.events("running")) == (1 if planted else 2)
        second.kill_tree()


@pytest.mark.parametrize("heartbeat", ["60", "1"])
def test_a_job_runs_again_although_no_worker_lives_for_long(
    ledger: Ledger, tmp_path: Path, client: Redis, monkeypatch: pytest.MonkeyPatch, heartbeat: str
) -> None:
    """On the same machine at once, by whatever lease; else by what those who came after it have seen of its lease."""
    url = os.environ["TASKBRIDGE_URL"].replace(f"heartbeat={LEASE_SECONDS}", f"heartbeat={heartbeat}")
    monkeypatch.setenv("TASKBRIDGE_URL", url)
    taskbridge.configure()
    with worker(tmp_path, planted="on_another_host" if heartbeat == "1" else "") as killed:
        application.hold.enqueue("cut", 60)
        ledger.wait("cut")
        killed.kill_tree()
    while len(ledger.events("cut")) < 2:
        looks = seen(client)
        with worker(tmp_path) as process:
            wait_for(lambda: len(ledger.events("cut")) > 1 or seen(client) > looks + 1)  # noqa: B023 - called in this turn
            process.kill_tree()


def seen(client: Redis) -> int:
    """How often a worker was seen to be late."""
    return sum(int(count) for count in client.hvals("dramatiq:__taskbridge__.looks.default"))


@pytest.mark.parametrize("planted", ["", "no_renewal"])
def test_a_task_longer_than_the_lease_is_run_once(ledger: Ledger, tmp_path: Path, client: Redis, planted: str) -> None:
    with worker(tmp_path, planted=planted) as first:
        application.hold_until_told.enqueue("long", str(tmp_path))
        (started,) = ledger.wait("long")
        with worker(tmp_path) as second:
            if planted:
                ledger.wait("long", count=2)
            else:
                # An idle worker has swept many times since the lease would have ended.
                time.sleep(max(0.0, started["at"] + 3 * LEASE_SECONDS - time.time()))
                (tmp_path / str(started["pid"])).touch()
                wait_for(lambda: client.hlen(MESSAGES) == 0)
                assert len(ledger.events("long")) == 1
            second.kill_tree()
        first.kill_tree()


@pytest.mark.parametrize("planted", ["", "no_fence"])
def test_a_worker_that_was_paused_does_not_acknowledge_what_another_runs_by_now(
    ledger: Ledger, tmp_path: Path, client: Redis, planted: str
) -> None:
    with worker(tmp_path, planted=planted) as zombie:
        application.hold_until_told.enqueue("held", str(tmp_path))
        application.note_text.enqueue("fetched")
        ledger.wait("held")
        wait_for(lambda: client.llen("dramatiq:default") == 0)
        with paused(zombie):
            other = worker(tmp_path)
            first, second = ledger.wait("held", count=2)
            wait_for(lambda: client.llen("dramatiq:default") == 0)
            (tmp_path / str(first["pid"])).touch()
        with other:
            zombie.wait_for_line("is another worker's by now", within=START)
            assert ledger.events("held ended")[0]["pid"] == first["pid"]
            assert client.hlen(MESSAGES) == (1 if planted else 2)
            (tmp_path / str(second["pid"])).touch()
            ledger.wait("held ended", count=2)
            ledger.wait("fetched")
            wait_for(lambda: client.hlen(MESSAGES) == 0)
            assert len(ledger.events("fetched")) == 1
            other.kill_tree()
            zombie.kill_tree()


def test_the_retry_of_a_paused_worker_is_not_enqueued_beside_its_replacement(
    ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    go = tmp_path / "go"
    with worker(tmp_path) as zombie:
        application.fail_when_told.enqueue(str(go))
        ledger.wait("told")
        with paused(zombie), worker(tmp_path) as other:
            ledger.wait("told", count=2)
            go.touch()
            wait_for(lambda: client.hlen(MESSAGES) == 0)
            assert [event["attempt"] for event in ledger.events("told")] == [1, 1, 2]
            other.kill_tree()
        zombie.wait_for_line("is another worker's by now", within=START)
        application.note_text.enqueue("alive")
        ledger.wait("alive")
        assert len(ledger.events("told")) == 3
        assert client.hlen(MESSAGES) == 0


@pytest.mark.timeout(120)
def test_a_job_that_kills_its_worker_is_bounded_and_its_neighbours_run(
    ledger: Ledger, tmp_path: Path, client: Redis
) -> None:
    application.kill_own_worker.enqueue("poison")
    application.note_text.enqueue_many([("neighbour",)] * 4)
    deadline = time.monotonic() + 90
    while client.hlen(MESSAGES):
        assert time.monotonic() < deadline
        with worker(tmp_path, concurrency=2, is_awaited=False) as process:
            wait_for(lambda: not process.running or client.hlen(MESSAGES) == 0, seconds=60)
    assert len(ledger.events("poison")) == 3
    assert len(ledger.events("neighbour")) >= 4
    (dead,) = client.hvals("dramatiq:default.XQ.msgs")
    assert b"kill_own_worker" in dead


def test_messages_whose_delivery_is_cut_off_are_run(
    ledger: Ledger, tmp_path: Path, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has marked them as the worker's, and the worker never heard of them."""
    url = os.environ["TASKBRIDGE_URL"]
    parts = urlsplit(url)
    rule = Delivery(lambda: None, needles=["cut off"])
    with CuttingProxy(parts.hostname or "", parts.port or 0) as proxy:
        proxy.rule = rule
        monkeypatch.setenv("TASKBRIDGE_URL", url.replace(f":{parts.port}/", f":{proxy.port}/"))
        taskbridge.configure()
        with worker(tmp_path) as process:
            taskbridge.configure(url)
            application.note_text.enqueue_many([("cut off",), ("neighbour",)])
            ledger.wait("cut off")
            ledger.wait("neighbour")
            wait_for(lambda: client.hlen(MESSAGES) == 0)
            assert rule.struck.is_set()
            assert len(ledger.events("cut off")) == 1
            process.kill_tree()


@pytest.mark.parametrize("planted", ["slow_announcement", "hasty_jobs"])
def test_a_master_whose_process_is_killed_as_it_boots_ends(
    ledger: Ledger, tmp_path: Path, client: Redis, planted: str
) -> None:
    application.kill_own_worker.enqueue("poison")
    with worker(tmp_path, planted=planted, is_awaited=False) as process:
        ledger.wait("poison", seconds=30)
        if planted == "hasty_jobs":
            # It waits without end for a lock that the dead process has taken.
            assert process.wait(within=timedelta(seconds=4)) is None
        else:
            assert process.wait(within=timedelta(seconds=40)) is not None
        process.kill_tree()
