"""Dramatiq's native message: what we write is what Dramatiq writes, and what Dramatiq writes is what we read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from dramatiq import Message as DramatiqMessage
from redis import Redis

from taskbridge.errors import UndecodableMessage
from taskbridge.message import Message, decode_headers
from taskbridge.settings import parse_url
from taskbridge_dramatiq import DramatiqBackend
from taskbridge_dramatiq.wire import broker_priority, from_native, task_priority, to_native, to_native_worker
from tests.wire.record_dramatiq import (
    ARGS,
    HEADERS,
    JOB_ID,
    KWARGS,
    NOW_MILLISECONDS,
    REDIS_ID,
    RUN_AFTER,
    at_the_moment,
    load,
    record_rabbitmq,
    record_redis,
)

if TYPE_CHECKING:
    from taskbridge.services import Server


def message(*, is_delayed: bool = False, priority: int = 0) -> Message:
    return Message(
        id=JOB_ID,
        task="shop.receipt",
        args=list(ARGS),
        kwargs=dict(KWARGS),
        queue_name="mail",
        priority=priority,
        run_after=RUN_AFTER if is_delayed else None,
        headers=decode_headers(HEADERS),
    )


@pytest.mark.parametrize("name", ["redis-queued", "redis-delayed", "redis-retried"])
def test_what_was_recorded_on_redis_reads_as_the_message(name: str) -> None:
    assert from_native(DramatiqMessage.decode(load(name))) == message(is_delayed=name != "redis-queued")


@pytest.mark.parametrize("name", ["rabbitmq-queued", "rabbitmq-delayed"])
def test_what_was_recorded_on_rabbitmq_reads_as_the_message(name: str) -> None:
    read = from_native(DramatiqMessage.decode(load(name)), max_priority=10)
    assert read == message(is_delayed=name == "rabbitmq-delayed", priority=40)


def test_what_we_write_for_rabbitmq_is_what_was_recorded() -> None:
    assert to_native(message(priority=40), max_priority=10).options["broker_priority"] == 7
    ours, theirs = to_native(message(priority=40), max_priority=10), DramatiqMessage.decode(load("rabbitmq-queued"))
    assert ours == theirs


def test_a_later_attempt_that_comes_from_the_store_keeps_its_number() -> None:
    later = message()
    assert later.headers is not None
    later.headers.attempt = 3
    assert to_native(later).options["retries"] == 2


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["redis-queued", "redis-delayed"])
def test_what_we_put_into_redis_is_what_was_recorded_one_by_one_and_many_at_once(
    redis_server: Server, name: str, jobs: int
) -> None:
    url = redis_server.fresh_url()
    backend = DramatiqBackend(parse_url(f"dramatiq+{url}"))
    with (
        at_the_moment(),
        patch("taskbridge_dramatiq.backend.current_millis", lambda: NOW_MILLISECONDS),
        patch("taskbridge_dramatiq.redis_broker.current_millis", lambda: NOW_MILLISECONDS),
        patch("taskbridge_dramatiq.redis_broker.new_ids", lambda count: [REDIS_ID] * count),
    ):
        backend.enqueue([message(is_delayed=name == "redis-delayed") for _ in range(jobs)])
    backend.close()
    queue = "mail.DQ" if name == "redis-delayed" else "mail"
    with Redis.from_url(url) as client:
        assert client.hgetall(f"dramatiq:{queue}.msgs") == {REDIS_ID.encode(): load(name)}
        assert client.lrange(f"dramatiq:{queue}", 0, -1) == [REDIS_ID.encode()] * jobs


def test_the_installed_dramatiq_writes_on_redis_what_was_recorded(redis_server: Server) -> None:
    for name, data in record_redis(redis_server.fresh_url()).items():
        assert data == load(name), name


def test_the_installed_dramatiq_writes_on_rabbitmq_what_was_recorded(rabbitmq_server: Server) -> None:
    for name, data in record_rabbitmq(rabbitmq_server.fresh_url()).items():
        assert data == load(name), name


def test_a_native_worker_is_told_the_age_and_no_retries_and_gets_no_headers() -> None:
    asked = message()
    assert asked.headers is not None
    asked.headers.expires = datetime.fromtimestamp(NOW_MILLISECONDS / 1000, UTC) + timedelta(seconds=5)
    assert to_native_worker(asked).options == {"max_retries": 0, "max_age": 5000}


@pytest.mark.parametrize("changes", [{"taskbridge": "[]"}, {"taskbridge": 7}, {"eta": "soon"}])
def test_options_that_are_not_ours_or_dramatiqs_are_undecodable(changes: dict[str, Any]) -> None:
    native = DramatiqMessage.decode(load("redis-queued")).copy(options=changes)
    with pytest.raises(UndecodableMessage, match=JOB_ID):
        from_native(native)


@pytest.mark.parametrize("max_priority", [1, 2, 10, 255])
def test_priorities_keep_their_order_and_survive_the_way(max_priority: int) -> None:
    mapped = [broker_priority(priority, max_priority) for priority in range(-100, 101)]
    assert mapped == sorted(mapped)
    assert {mapped[0], mapped[-1]} == {0, max_priority}
    for native in set(mapped):
        assert broker_priority(task_priority(native, max_priority), max_priority) == min(native, max_priority)
