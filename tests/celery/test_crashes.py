"""What a dead process, worker or channel costs a job on RabbitMQ, and where what cannot be run is kept."""

from __future__ import annotations

import json
import signal
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

import taskbridge
from taskbridge import services
from taskbridge.check.consumer_timeout import times_classic_queues
from taskbridge.message import Message
from taskbridge.redrive import redrive
from taskbridge.router import router
from taskbridge.store.letter import Selection
from taskbridge_compare.faults.proxy import CuttingProxy
from tests.celery import application, planted
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.celery.pipes import given
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def url(rabbitmq_server: services.Server) -> str:
    return rabbitmq_server.fresh_url()


def dead_letters(url: str) -> list[Any]:
    """What lies on the queue of dead letters, taken off it."""
    with Connection(url) as connection:
        channel = connection.default_channel
        queue = Queue("taskbridge.dead")(channel)
        found: list[Any] = []
        while True:
            try:
                message = queue.get(no_ack=True)
            except connection.channel_errors:
                return found
            if message is None:
                return found
            found.append(message)


def one_dead_letter(url: str) -> Any:
    found: list[Any] = []

    def look() -> int:
        found.extend(dead_letters(url))
        return len(found)

    until(look, what="a dead letter")
    assert len(found) == 1
    return found[0]


def test_a_job_that_kills_whole_workers_is_a_dead_letter_when_its_budget_is_spent(
    url: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"celery+{url}?pool=solo&crash_budget=1")
    job = application.dies.enqueue("poison", 99)
    application.noted.enqueue("neighbour")
    for _ in range(2):
        with start_worker(tmp_path) as worker:
            assert worker.wait(within=timedelta(seconds=45)) == -signal.SIGKILL
    with start_worker(tmp_path) as worker:
        ledger.wait("neighbour")
        letter = one_dead_letter(url)
        assert worker.running
    assert len(ledger.events("poison")) == 2
    assert letter.headers["id"] == job.id
    assert letter.headers["taskbridge_dead"]["reason"] == "crashed out"
    assert letter.payload[0] == ["poison", 99]


def test_a_job_that_survives_its_second_worker_leaves_no_counter_behind(
    url: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"celery+{url}?pool=solo")
    job = application.dies.enqueue("unlucky", 2)
    for _ in range(2):
        with start_worker(tmp_path) as worker:
            assert worker.wait(within=timedelta(seconds=45)) == -signal.SIGKILL
    with start_worker(tmp_path):
        ledger.wait("unlucky ended")
        application.noted.enqueue("after")
        ledger.wait("after")
    with Connection(url) as connection, pytest.raises(connection.channel_errors):
        connection.default_channel.queue_declare(f"taskbridge.crashes.{job.id}", passive=True)


@pytest.mark.parametrize(("bug", "runs"), [(None, 2), (planted, 1)])
def test_an_early_acknowledgement_is_seen(bug: Any, runs: int, url: str, tmp_path: Path, ledger: Ledger) -> None:
    imports = (application.__name__, *([bug.__name__] if bug else []))
    taskbridge.configure(f"celery+{url}")
    with start_worker(tmp_path, imports=imports) as killed:
        application.gated.enqueue("held")
        ledger.wait("held")
        killed.kill_tree()
    ledger.open("held", number=2)
    with start_worker(tmp_path, imports=imports):
        application.noted.enqueue("sentinel")
        ledger.wait("sentinel")
    assert len(ledger.events("held")) == runs


def test_what_no_task_here_can_be_given_is_kept_with_its_bytes_and_headers(
    url: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"celery+{url}")
    with start_worker(tmp_path) as worker:
        with Connection(url) as connection, connection.Producer() as producer:
            producer.publish(
                b"\xff not json", routing_key="default", headers={"task": "note", "id": "1", "mine": "kept"},
                content_type="application/json", content_encoding="utf-8", correlation_id="1",
            )  # fmt: skip
        undecodable = one_dead_letter(url)
        with Connection(url) as connection, connection.Producer() as producer:
            producer.publish([["a"], {}, {}], routing_key="default", headers={"task": "tomorrow's", "id": "2"})
        unknown = one_dead_letter(url)
        assert worker.running
    assert undecodable.body in (b"\xff not json", "\xff not json")
    assert undecodable.headers["mine"] == "kept"
    assert undecodable.properties["correlation_id"] == "1"
    why = undecodable.headers["taskbridge_dead"]
    assert (why["reason"], why["queue"]) == ("undecodable", "default")
    assert json.loads(unknown.body) == [["a"], {}, {}]
    assert unknown.headers["taskbridge_dead"]["reason"] == "unknown task"


def test_an_exhausted_job_is_kept_on_the_broker_where_there_is_no_store(
    url: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"celery+{url}")
    with start_worker(tmp_path):
        job = application.fail.enqueue("spent")
        ledger.wait("spent", count=3)
        letter = one_dead_letter(url)
    assert letter.headers["id"] == job.id
    assert letter.headers["taskbridge_dead"]["reason"] == "exhausted"
    assert letter.headers["retries"] == 2


def test_a_job_that_outlives_the_consumer_timeout_ends_no_worker_and_is_not_doubled_by_its_own(
    tmp_path: Path, ledger: Ledger
) -> None:
    with services.start_private("rabbitmq", options=services.Options(consumer_timeout=timedelta(seconds=4))) as server:
        taskbridge.configure(f"celery+{server.url}?crash_budget=1")
        is_timed = times_classic_queues(server.version)
        with start_worker(tmp_path) as worker:
            application.gated.enqueue("too long")
            if is_timed:
                until(lambda: "PRECONDITION_FAILED" in log_of(worker), what="the channel's end")
                until(lambda: "goes on under its new delivery" in log_of(worker), what="the next delivery")
            else:
                ledger.wait("too long")
                time.sleep(8)  # of what must not come nothing tells
            ledger.open("too long")
            ledger.wait("too long ended")
            application.noted.enqueue("neighbour")
            ledger.wait("neighbour")
            assert worker.running
            assert ("PRECONDITION_FAILED" in log_of(worker)) is is_timed
        assert len(ledger.events("too long")) == 1


def test_a_cut_connection_costs_no_second_run_of_what_the_worker_runs_or_has_handed_to_a_process(
    rabbitmq_server: services.Server, tmp_path: Path, ledger: Ledger
) -> None:
    parts = urlsplit(rabbitmq_server.fresh_url())
    assert parts.hostname
    assert parts.port
    with CuttingProxy(parts.hostname, parts.port) as proxy:
        through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}"))
        taskbridge.configure(f"celery+{through.geturl()}")
        with start_worker(tmp_path) as worker:
            adopted = "goes on under its new delivery"
            (child,) = psutil.Process(worker.pid).children()
            with given(child.pid, lambda: application.noted.enqueue("given")):
                assert proxy.cut()
                until(lambda: log_of(worker).count(adopted) == 1, what="the next delivery of what was handed over")
            ledger.wait("given")
            application.gated.enqueue("running")
            ledger.wait("running")
            assert proxy.cut()
            until(lambda: log_of(worker).count(adopted) == 2, what="the next delivery of what runs")
            ledger.open("running")
            ledger.wait("running ended")
            application.noted.enqueue("neighbour")
            ledger.wait("neighbour")
    assert [len(ledger.events(event)) for event in ("running", "given")] == [1, 1]


@pytest.mark.parametrize("broker", ["redis", "amqp"], indirect=True)
def test_an_unknown_task_is_kept_in_the_store_and_runs_when_it_is_known_and_redriven(
    broker: str, redis_server: services.Server, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?store={redis_server.fresh_url()}")
    router.backend().enqueue([Message("7", "tomorrow", ["text"], {})])
    store = router.store()
    assert store is not None
    with start_worker(tmp_path):
        until(lambda: list(store.letters(Selection())), what="a dead letter")
    (letter,) = store.letters(Selection())
    assert (letter.reason, letter.queue_name) == ("unknown task", "default")
    redrive(letter.id, store)
    with start_worker(tmp_path, imports=("tests.celery.tomorrow",)):
        assert ledger.wait("text")


@pytest.mark.parametrize("broker", ["redis", "amqp"], indirect=True)
def test_what_could_not_be_read_is_redriven_as_it_came(
    broker: str, redis_server: services.Server, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?store={redis_server.fresh_url()}")
    store = router.store()
    assert store is not None

    def is_buried(redrives: int) -> bool:
        return [letter.redrives for letter in store.letters(Selection())] == [redrives]

    with Connection(broker.removeprefix("celery+")) as connection, connection.Producer() as producer:
        queue = Queue("default", Exchange("default"), routing_key="default")
        producer.publish(
            [["text"], {}, {}],
            exchange=queue.exchange,
            routing_key="default",
            headers={"task": "note"},
            serializer="json",
            declare=[queue],
        )
    with start_worker(tmp_path):
        for times in (0, 1):
            until(partial(is_buried, times), what="a dead letter")
            (letter,) = store.letters(Selection())
            assert letter.reason == "undecodable"
            redrive(letter.id, store)
    assert not ledger.events("text")


def test_a_killed_worker_leaves_no_temporary_folder(
    database: str, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    taskbridge.configure(f"celery+{database}")
    with start_worker(tmp_path) as worker:
        application.noted.enqueue("ran")
        ledger.wait("ran")
        worker.kill_tree()
    assert list(temporary.iterdir()) == []
