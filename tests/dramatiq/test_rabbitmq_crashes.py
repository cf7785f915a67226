"""Workers on RabbitMQ that are killed or cut off: what they held is run again, by one of them alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest

import taskbridge
from taskbridge.services.rabbitmq import RabbitMQServer
from tests.dramatiq import application
from tests.dramatiq.conftest import APPLICATION, Ledger, start_worker, wait_for

if TYPE_CHECKING:
    from taskbridge.process import Process
    from taskbridge.services import Server


@pytest.fixture(autouse=True)
def url(rabbitmq_server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty vhost of one test, which is the default backend's."""
    ledger.clear()
    url = rabbitmq_server.fresh_url()
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{url}?crash_budget=2")
    taskbridge.configure()
    yield url
    taskbridge.router.router.close()


def worker(folder: Path, *, planted: str = "", concurrency: int = 1, is_awaited: bool = True) -> Process:
    return start_worker(
        folder,
        concurrency=concurrency,
        imports=("tests.dramatiq.planted", APPLICATION),
        environment={"TASKBRIDGE_TEST_PLANTED": planted},
        is_awaited=is_awaited,
    )


def count(url: str, queue: str) -> int:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        declared: int = connection.channel().queue_declare(queue, passive=True).method.message_count
        return declared


def cut_connections(server: Server) -> None:
    """Every connection to the server, as a restart of a switch would."""
    assert isinstance(server, RabbitMQServer)
    server.evaluate('[rabbit_networking:close_connection(P, "by a test") || P <- rabbit_networking:connections()].')


def test_a_killed_workers_jobs_run_again_running_fetched_and_delayed_ones(ledger: Ledger, tmp_path: Path) -> None:
    with worker(tmp_path) as first:
        application.hold.enqueue("running", 60)
        ledger.wait("running")
        application.note_text.enqueue("fetched")
        application.note_text.using(run_after=timedelta(seconds=1)).enqueue("delayed")
        first.kill_tree()
    killed = time.time()
    with worker(tmp_path, concurrency=2) as second:
        again = ledger.wait("running", count=2, seconds=60)
        assert again[1]["at"] - killed < 30
        ledger.wait("fetched")
        ledger.wait("delayed")
        second.kill_tree()


@pytest.mark.parametrize("planted", ["", "forgetful_reconnect"])
def test_a_job_that_runs_when_its_connection_is_cut_is_run_once(
    rabbitmq_server: Server, url: str, ledger: Ledger, tmp_path: Path, planted: str
) -> None:
    with worker(tmp_path, planted=planted, concurrency=2) as process:
        application.hold_until_told.enqueue("held", str(tmp_path))
        application.note_text.using(run_after=timedelta(seconds=2)).enqueue("delayed")
        (held,) = ledger.wait("held")
        cut_connections(rabbitmq_server)
        if planted:
            ledger.wait("held", count=2)
            process.kill_tree()
            return
        process.wait_for_line("which runs here, was delivered again", within=timedelta(seconds=45))
        (tmp_path / str(held["pid"])).touch()
        ledger.wait("held ended")
        ledger.wait("delayed")
        application.note_text.enqueue("behind it")
        ledger.wait("behind it")
        assert process.stop(grace=timedelta(seconds=45)) == 0
    assert [len(ledger.events(event)) for event in ("held", "delayed", "behind it")] == [1, 1, 1]
    assert count(url, "default") == count(url, "default.DQ") == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("planted", ["", "uncounted"])
def test_a_job_that_kills_its_worker_is_bounded_and_its_neighbours_run(
    url: str, ledger: Ledger, tmp_path: Path, planted: str
) -> None:
    application.kill_own_worker.enqueue("poison")
    application.note_text.enqueue_many([("neighbour",)] * 4)
    while count(url, "default.XQ") == 0 and len(ledger.events("poison")) < 4:
        with worker(tmp_path, planted=planted, concurrency=2, is_awaited=False) as process:
            wait_for(lambda: not process.running or count(url, "default.XQ") == 1, seconds=60)
            process.kill_tree()
    assert len(ledger.events("poison")) == (4 if planted else 3)
    assert count(url, "default.XQ") == (0 if planted else 1)
    if not planted:
        with worker(tmp_path, concurrency=2):
            wait_for(lambda: len(ledger.events("neighbour")) >= 4, seconds=60)


def test_a_delayed_job_that_is_taken_anew_meanwhile_runs_once_and_not_early(
    url: str, ledger: Ledger, tmp_path: Path
) -> None:
    with worker(tmp_path, planted="hasty_renewal") as process:
        due = datetime.now(UTC) + timedelta(seconds=4)
        application.note_text.using(run_after=due).enqueue("delayed")
        process.wait_for_line("delayed jobs are taken anew", within=timedelta(seconds=45))
        (event,) = ledger.wait("delayed")
        assert event["at"] >= due.timestamp()
        application.note_text.enqueue("behind it")
        ledger.wait("behind it")
        assert process.stop(grace=timedelta(seconds=45)) == 0
    assert len(ledger.events("delayed")) == 1
    assert count(url, "default.DQ") == 0


def test_a_worker_that_was_paused_does_not_settle_what_another_has_begun_meanwhile(
    url: str, ledger: Ledger, tmp_path: Path
) -> None:
    with worker(tmp_path, planted="short_heartbeat") as zombie:
        application.hold_until_told.enqueue("held", str(tmp_path))
        (first,) = ledger.wait("held")
        tree = zombie.tree()
        for member in tree:
            member.suspend()
        try:
            other = worker(tmp_path)
            _, second = ledger.wait("held", count=2, seconds=30)
            (tmp_path / str(first["pid"])).touch()
        finally:
            for member in tree:
                member.resume()
        ledger.wait("held ended")
        other.kill_tree()
        # The run that replaced it died with its worker, so that there has to be another.
        third = ledger.wait("held", count=3)[2]
        assert third["pid"] == first["pid"] != second["pid"]
        ledger.wait("held ended", count=2)
        assert zombie.stop(grace=timedelta(seconds=45)) == 0
    assert count(url, "default") == 0
