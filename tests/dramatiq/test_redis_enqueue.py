"""Enqueuing on Redis: as many commands as Dramatiq's own call, all of its hooks, and errors in words."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Middleware
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

import taskbridge
from taskbridge.errors import BrokerUnavailable, EnqueueError
from taskbridge.message import Headers, Message
from taskbridge.router import router
from taskbridge.services import Options, start
from taskbridge_dramatiq import DramatiqBackend
from tests.dramatiq import application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server


@pytest.fixture
def client(redis_server: Server) -> Iterator[Redis]:
    """An empty database, which is the default backend's."""
    url = redis_server.fresh_url()
    taskbridge.configure(f"dramatiq+{url}")
    with Redis.from_url(url) as client:
        yield client


def commands(client: Redis) -> dict[str, int]:
    """How often each command was called on the server."""
    stats: Any = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): values["calls"] for name, values in stats.items()}


def between(client: Redis, before: dict[str, int], *names: str) -> list[int]:
    after = commands(client)
    return [after.get(name, 0) - before.get(name, 0) for name in names]


def test_one_job_is_one_command(client: Redis) -> None:
    application.note_text.enqueue("warm")
    before = commands(client)
    application.note_text.enqueue("counted")
    assert between(client, before, "evalsha", "multi", "exec", "script|load", "script|exists") == [1, 0, 0, 0, 0]


def test_many_jobs_are_one_transaction(client: Redis) -> None:
    application.note_text.enqueue("warm")
    before = commands(client)
    application.note_text.enqueue_many([("counted",)] * 1000)
    assert between(client, before, "evalsha", "multi", "exec", "hset", "rpush") == [0, 1, 1, 1, 1]
    assert client.llen("dramatiq:default") == 1001


def test_a_job_finds_its_script_again_after_the_server_forgot_it(client: Redis) -> None:
    application.note_text.enqueue("warm")
    client.script_flush()
    application.note_text.enqueue("x")
    assert client.llen("dramatiq:default") == 2


class Recorder(Middleware):
    """Writes down what it is told of enqueues."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, Any]] = []

    def before_enqueue(self, _broker: Any, message: Any, delay: Any) -> None:
        self.seen.append(("before", message.args[0], delay is not None))

    def after_enqueue(self, _broker: Any, message: Any, delay: Any) -> None:
        self.seen.append(("after", message.args[0], delay is not None))


class CountingBroker(RedisBroker):
    """An application's broker that has its own way to enqueue."""

    enqueued = 0

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        self.enqueued += 1
        return super().enqueue(message, delay=delay)


def message(text: str, *, run_after: datetime | None = None) -> Message:
    return Message(text, "note", [text], {}, run_after=run_after, headers=Headers())


def test_the_hooks_hear_of_each_of_many_jobs(client: Redis) -> None:
    backend = router.backend()
    assert isinstance(backend, DramatiqBackend)
    recorder = Recorder()
    backend.broker.add_middleware(recorder)
    backend.enqueue([message("a"), message("b", run_after=datetime(2030, 1, 1, tzinfo=UTC))])
    assert recorder.seen == [("before", "a", False), ("before", "b", True), ("after", "a", False), ("after", "b", True)]
    assert client.llen("dramatiq:default") == client.llen("dramatiq:default.DQ") == 1


def test_a_broker_with_its_own_way_to_enqueue_keeps_it_for_many(client: Redis) -> None:
    broker = CountingBroker(client=client)  # type: ignore[no-untyped-call]  # it has no annotations
    DramatiqBackend(broker=broker).enqueue([message("a"), message("b")])
    assert broker.enqueued == client.llen("dramatiq:default") == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_server_that_is_not_there_is_named_at_once_and_nothing_was_accepted(jobs: int) -> None:
    taskbridge.configure("dramatiq+redis://:secret@127.0.0.1:1/0")
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="cannot be reached") as refusal:
        application.note_text.enqueue_many([("nobody",)] * jobs)
    assert time.monotonic() - started < 10
    assert not refusal.value.maybe_accepted
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_server_that_is_full_takes_nothing_and_says_so(jobs: int) -> None:
    with start("redis", options=Options()) as server, Redis.from_url(server.url) as client:
        taskbridge.configure(f"dramatiq+{server.url}")
        application.note_text.enqueue("warm")
        client.config_set("maxmemory", "1")
        with pytest.raises(EnqueueError, match="did not take") as refusal:
            application.note_text.enqueue_many([("x",)] * jobs)
        assert not refusal.value.maybe_accepted
        client.config_set("maxmemory", "0")
        assert client.llen("dramatiq:default") == 1
        router.close()
