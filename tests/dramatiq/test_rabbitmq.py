"""Dramatiq on RabbitMQ: confirmed once, refused in words, safe over a fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest

import taskbridge
from taskbridge import services
from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError, UnsupportedFeature
from taskbridge.router import router
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge_dramatiq.amqp_publisher import has_news
from tests.dramatiq import application
from tests.dramatiq.conftest import Ledger, start_worker, wait_for
from tests.pauses import standing_still
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.services import Server

DEAD_QUEUE = "taskbridge.dead"
DEAD_ARGUMENTS = {"x-message-ttl": 30 * 24 * 3600 * 1000}


@pytest.fixture
def url(rabbitmq_server: Server) -> str:
    """An empty vhost of one test."""
    return rabbitmq_server.fresh_url()


@pytest.fixture
def channel(url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        yield connection.channel()


@pytest.fixture(autouse=True)
def _configured(url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.clear()
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{url}")
    taskbridge.configure()


def count(channel: pika.adapters.blocking_connection.BlockingChannel, queue: str = "default") -> int:
    declared: int = channel.queue_declare(queue, passive=True).method.message_count
    return declared


def test_many_jobs_are_confirmed_together_and_reach_their_queues(
    channel: pika.adapters.blocking_connection.BlockingChannel,
) -> None:
    application.note_text.enqueue_many([("now",)] * 1000)
    application.note_text.using(run_after=timedelta(minutes=1)).enqueue_many([("later",)] * 10)
    assert count(channel) == 1000
    assert count(channel, "default.DQ") == 10


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_queue_that_was_deleted_is_made_again(
    channel: pika.adapters.blocking_connection.BlockingChannel, jobs: int
) -> None:
    application.note_text.enqueue("first")
    channel.queue_delete("default")
    application.note_text.enqueue_many([("again",)] * jobs)
    assert count(channel) == jobs


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    rabbitmq_server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskbridge_dramatiq.amqp_publisher.FRESH_SECONDS", 0)
    application.note_text.enqueue("first")
    assert isinstance(rabbitmq_server, RabbitMQServer)
    rabbitmq_server.evaluate(
        '[rabbit_networking:close_connection(P, "by a test") || P <- rabbit_networking:connections()].'
    )
    application.note_text.enqueue("second")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        assert count(connection.channel()) == 2


def test_whether_an_idle_connection_has_news_is_seen_without_pika(rabbitmq_server: Server, url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        assert not has_news(connection)
        assert isinstance(rabbitmq_server, RabbitMQServer)
        rabbitmq_server.evaluate('[rabbit_networking:close_connection(P, "") || P <- rabbit_networking:connections()].')
        until(lambda: has_news(connection), what="the server's farewell")
        with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
            connection.process_data_events(0)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"])
def test_a_server_that_is_not_there_is_named_at_once_and_nothing_was_accepted(host: str) -> None:
    taskbridge.configure(f"dramatiq+amqp://guest:secret@{host}")
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="cannot be reached") as refusal:
        application.note_text.enqueue("nobody")
    assert time.monotonic() - started < 10
    assert not refusal.value.maybe_accepted
    assert "secret" not in str(refusal.value)


def test_wrong_credentials_are_named(url: str) -> None:
    host = url.rpartition("@")[2]
    taskbridge.configure(f"dramatiq+amqp://guest:wrong@{host}")
    with pytest.raises(BrokerUnavailable, match="refuses the credentials") as refusal:
        application.note_text.enqueue("nobody")
    assert not refusal.value.maybe_accepted


def test_a_server_that_falls_silent_is_given_up_and_may_have_the_job(
    rabbitmq_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskbridge_dramatiq.amqp_broker.HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr("taskbridge_dramatiq.amqp_broker.CONNECT_SECONDS", 1)
    application.note_text.enqueue("first")
    with standing_still(rabbitmq_server.pid):
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="may hold it") as doubt:
            application.note_text.enqueue("second")
    assert doubt.value.maybe_accepted
    assert time.monotonic() - started < 2 * (1 + 5) + 10


def test_a_queue_of_another_shape_is_refused_by_producer_and_worker(
    url: str, channel: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    application.note_text.enqueue("without priorities")
    taskbridge.configure(f"dramatiq+{url}?priority=10")
    with pytest.raises(EnqueueError, match="another shape") as refusal:
        application.note_text.enqueue("with")
    assert not refusal.value.maybe_accepted
    backend = router.backend()
    with pytest.raises(ConfigurationError, match="another shape"):
        backend.serve(taskbridge.registry.registry, None)  # type: ignore[arg-type]  # refused before it would be used


def test_priority_is_refused_without_the_option_and_kept_with_it(
    url: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedFeature, match=r"\?priority=10"):
        application.note_text.using(priority=5).enqueue("refused")
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{url}?priority=10")
    taskbridge.configure()
    for priority in (-100, 0, 100, 40):
        application.note_text.using(priority=priority).enqueue(f"priority {priority}")
    with start_worker(tmp_path, concurrency=1):
        ledger.wait("priority -100")
        found = [event["event"] for event in ledger.all() if event["event"].startswith("priority")]
    assert found == ["priority 100", "priority 40", "priority 0", "priority -100"]


def test_threads_and_forked_children_enqueue_on_connections_of_their_own(
    channel: pika.adapters.blocking_connection.BlockingChannel,
) -> None:
    application.note_text.enqueue("parent")
    children = [_fork_and_enqueue(20) for _ in range(3)]
    threads = [threading.Thread(target=application.note_text.enqueue_many, args=([("t",)] * 20,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        application.note_text.enqueue("parent")
    for thread in threads:
        thread.join(timeout=20)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert count(channel) == 1 + 60 + 60 + 20


def _fork_and_enqueue(jobs: int) -> int:
    child = os.fork()
    if child:
        return child
    exit_code = 1
    try:
        for _ in range(jobs):
            application.note_text.enqueue("child")
        exit_code = 0
    finally:
        os._exit(exit_code)


def test_an_undecodable_message_and_an_unknown_task_are_kept_without_a_store_and_the_worker_goes_on(
    ledger: Ledger, tmp_path: Path, channel: pika.adapters.blocking_connection.BlockingChannel
) -> None:
    application.nobody_has_it.enqueue()
    channel.basic_publish("", "default", b"\xff no JSON")
    application.note_text.enqueue("alive")
    channel.queue_declare(DEAD_QUEUE, durable=True, arguments=DEAD_ARGUMENTS)
    with start_worker(tmp_path):
        ledger.wait("alive")
        wait_for(lambda: count(channel) == 0)
        wait_for(lambda: count(channel, DEAD_QUEUE) == 2)
        letters = [channel.basic_get(DEAD_QUEUE, auto_ack=True) for _ in range(2)]
    assert {properties.headers["taskbridge_dead"]["reason"] for _, properties, _ in letters} == {
        "undecodable",
        "unknown task",
    }
    assert b"\xff no JSON" in {body for _, _, body in letters}


@pytest.mark.timeout(120)
def test_a_retry_that_is_due_while_rabbitmq_is_down_is_not_lost(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services.start("rabbitmq") as server:
        monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{server.fresh_url()}")
        taskbridge.configure()
        with start_worker(tmp_path) as worker:
            go = tmp_path / "go"
            application.fail_when_told.enqueue(str(go))
            ledger.wait("told")
            server.kill()
            go.touch()
            worker.wait_for_line("waits in this worker until the broker takes it back", within=timedelta(seconds=45))
            server.restart()
            assert [event["attempt"] for event in ledger.wait("told", count=2, seconds=30)] == [1, 2]
            assert worker.stop(grace=timedelta(seconds=45)) == 0
        assert len(ledger.events("told")) == 2


def test_a_job_that_is_due_soon_does_not_wait_behind_thousands_that_are_due_late(
    ledger: Ledger, tmp_path: Path
) -> None:
    application.note_text.using(run_after=timedelta(days=2)).enqueue_many([("late",)] * 2500)
    application.note_text.using(run_after=timedelta(seconds=1)).enqueue("soon")
    with start_worker(tmp_path, concurrency=1) as worker:
        ledger.wait("soon")
        worker.kill_tree()
