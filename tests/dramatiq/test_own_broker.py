"""Around a broker of the application's own: its middleware stays, and does not meddle with our tasks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from redis import Redis

import taskbridge
from taskbridge.errors import ConfigurationError, InvalidTask, UnsupportedFeature
from taskbridge.message import Message
from taskbridge.registry import Registry
from taskbridge.router import router
from taskbridge_dramatiq import DramatiqBackend
from tests.dramatiq import own_broker
from tests.dramatiq.conftest import Ledger, start_worker, wait_for

URL = "dramatiq+redis://?app=tests.dramatiq.own_broker:broker"


@pytest.fixture
def client(redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """The empty database of the application's broker, with that broker as the default backend."""
    ledger.clear()
    monkeypatch.setenv("OWN_REDIS", redis_url)
    monkeypatch.setenv("TASKBRIDGE_URL", URL)
    taskbridge.configure()
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        monkeypatch.setattr(own_broker.broker, "client", client)
        for script in own_broker.broker.scripts.values():
            monkeypatch.setattr(script, "registered_client", client)
        yield client


def test_its_own_actors_keep_their_retries_and_our_tasks_have_ours(
    client: Redis, ledger: Ledger, tmp_path: Path
) -> None:
    own_broker.own_actor.send()
    own_broker.fails.enqueue()
    own_broker.retried.enqueue()
    own_broker.long.enqueue(1.0)
    with start_worker(tmp_path, imports=("tests.dramatiq.own_broker",)):
        ledger.wait("long ended")
        wait_for(lambda: client.zcard("dramatiq:default.XQ") == 3)
    assert len(ledger.events("own actor")) == len(ledger.events("retried")) == 3
    assert len(ledger.events("fails")) == len(ledger.events("long")) == 1


def test_an_attempt_that_the_worker_interrupts_when_it_stops_is_made_again(
    client: Redis, ledger: Ledger, tmp_path: Path
) -> None:
    worker = start_worker(tmp_path, imports=("tests.dramatiq.own_broker",))
    own_broker.long.enqueue(30.0)
    ledger.wait("long")
    assert worker.stop(grace=timedelta(seconds=45)) == 0
    assert client.llen("dramatiq:default") + client.llen("dramatiq:default.DQ") == 1
    with start_worker(tmp_path, imports=("tests.dramatiq.own_broker",)) as second:
        assert [event["attempt"] for event in ledger.wait("long", count=2)] == [1, 1]
        second.kill_tree()


def test_an_actor_and_a_task_of_one_name_are_refused(client: Redis) -> None:
    registry = Registry(taskbridge.hooks.Hooks())
    registry.add(own_broker.fails)
    backend = DramatiqBackend(broker=RedisBroker(client=client))  # type: ignore[no-untyped-call]  # no annotations
    backend.broker.actors["fails"] = own_broker.own_actor
    with pytest.raises(InvalidTask, match="has an actor 'fails' already"):
        backend.serve(registry, None)  # type: ignore[arg-type]  # refused before it would be used


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("dramatiq+redis://?app=tests.dramatiq.nowhere:broker", "no module"),
        ("dramatiq+redis://?app=tests.dramatiq.own_broker:missing", "missing"),
        ("dramatiq+redis://?app=tests.dramatiq.own_broker:fails", "not a Dramatiq broker"),
        ("dramatiq+amqp://?app=tests.dramatiq.own_broker:broker", "which the scheme does not say"),
        ("dramatiq+redis://localhost/0?app=tests.dramatiq.own_broker:broker", "names its own server"),
        ("dramatiq+redis://localhost/0?priority=10", "no priorities"),
        ("dramatiq+amqp://localhost?priority=300", "255"),
        ("dramatiq+amqp://localhost?heartbeat=5", "for Redis"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_words(url: str, words: str) -> None:
    taskbridge.configure(url)
    with pytest.raises(ConfigurationError, match=words):
        router.backend()


def test_a_broker_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="memory://"):
        DramatiqBackend(broker=StubBroker())


def test_enqueuing_makes_no_global_broker(redis_url: str) -> None:
    program = (
        "import taskbridge, dramatiq.broker\n"
        "from tests.dramatiq.application import note_text\n"
        f"taskbridge.configure('dramatiq+{redis_url}')\n"
        "note_text.enqueue('x')\n"
        "assert dramatiq.broker.global_broker is None\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_retry_that_would_be_held_for_too_long_is_refused_when_the_task_is_bound(client: Redis) -> None:
    policy = taskbridge.Retry(20, delay=timedelta(minutes=20), max_delay=timedelta(hours=2), on=(Exception,))
    with pytest.raises(UnsupportedFeature, match=r"2:00:00 for 'fails' is above what .* holds safely, 1:00:00"):
        own_broker.fails.using(retry=policy).enqueue()
    own_broker.fails.using(
        retry=taskbridge.Retry(2, delay=timedelta(minutes=20), max_delay=timedelta(hours=2), on=(Exception,))
    ).enqueue()


def test_such_a_retry_waits_in_the_store_where_there_is_one(
    client: Redis, redis_url: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKBRIDGE_URL", f"{URL}&store={redis_url}")
    taskbridge.configure()
    store, hours = router.store(), timedelta(hours=2)
    assert store is not None
    policy = taskbridge.Retry(2, delay=hours, max_delay=hours, jitter=False, on=(Exception,))
    with start_worker(tmp_path, imports=("tests.dramatiq.own_broker",)):
        job = own_broker.fails.using(retry=policy).enqueue()
        ledger.wait("fails", seconds=60)
        wait_for(lambda: store.until_due("default") is not None, seconds=60)
        wait_for(lambda: client.hlen("dramatiq:default.msgs") == 0, seconds=60)
        # As if the hours had passed.
        text: Any = client.hget("taskbridge:waiting-jobs:default", job.id)
        kept = msgspec.json.decode(text, type=Message)
        assert store.withdraw("default", [job.id]) == 1
        router.backend().enqueue([msgspec.structs.replace(kept, run_after=datetime.now(UTC))])
        ledger.wait("fails", count=2, seconds=60)
        # It was the last attempt by its number.
        wait_for(lambda: client.zcard("dramatiq:default.XQ") == 1, seconds=60)
    assert store.until_due("default") is None
