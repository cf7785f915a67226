"""What Dramatiq itself writes for a job: `python -m tests.wire.record_dramatiq` records it again."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import dramatiq
import pika
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import Retry
from dramatiq.middleware import Retries
from redis import Redis

from taskbridge import services

if TYPE_CHECKING:
    from dramatiq import Broker, Message

GOLDEN = Path(__file__).parent / "golden" / "dramatiq-2.2.1"
NOW = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)
NOW_MILLISECONDS = 1772368215250
RUN_AFTER = NOW + timedelta(seconds=30)
JOB_ID = "0199c0de-0000-7000-8000-000000000001"
REDIS_ID = "0199c0de-0000-7000-8000-000000000002"
HEADERS = '{"enqueued_at":"2026-03-01T12:30:15.250000Z","metadata":{"tenant":"zürich"}}'
ARGS = (42, "Zoë", None, {"items": [1, 2.5, True]})
KWARGS = {"note": "a\u2028b", "when": "2026-03-01T12:00:00Z"}


def native(broker: Broker, **options: Any) -> Message[Any]:
    """The job, by Dramatiq's own calls."""
    actor = dramatiq.Actor(
        lambda: None, broker=broker, actor_name="shop.receipt", queue_name="mail", priority=0, options={}
    )
    message = actor.message_with_options(args=ARGS, kwargs=dict(KWARGS), **options, taskbridge=HEADERS)
    return dataclasses.replace(message, message_id=JOB_ID, message_timestamp=NOW_MILLISECONDS)


def at_the_moment() -> ExitStack:
    """Dramatiq's clock and ids as they were recorded."""
    stack = ExitStack()
    for clock in ("dramatiq.brokers.redis.current_millis", "dramatiq.brokers.rabbitmq.current_millis"):
        stack.enter_context(patch(clock, lambda: NOW_MILLISECONDS))
    stack.enter_context(patch("dramatiq.brokers.redis.uuid4", lambda: REDIS_ID))
    stack.enter_context(
        patch("dramatiq.middleware.retries.time", SimpleNamespace(time=lambda: NOW_MILLISECONDS / 1000))
    )
    return stack


def redis_broker(url: str) -> RedisBroker:
    return RedisBroker(url=url, middleware=[])  # type: ignore[no-untyped-call]  # it has no annotations


def record_redis(url: str) -> dict[str, bytes]:
    """A queued, a delayed and a retried message."""
    recorded = {}
    with Redis.from_url(url) as client, at_the_moment():
        for name in ("queued", "delayed", "retried"):
            client.flushdb()
            broker = redis_broker(url)
            message = native(broker)
            if name == "retried":
                retries: Any = Retries()
                retries.after_process_message(broker, MessageProxy(message), exception=Retry("again", delay=30_000))
            else:
                broker.enqueue(message, delay=30_000 if name == "delayed" else None)
            queue = "mail" if name == "queued" else "mail.DQ"
            (recorded[f"redis-{name}"],) = client.hvals(f"dramatiq:{queue}.msgs")
    return recorded


def record_rabbitmq(url: str) -> dict[str, bytes]:
    """A message with a priority, and a delayed one."""
    recorded = {}
    with pika.BlockingConnection(pika.URLParameters(url)) as connection, at_the_moment():
        broker = RabbitmqBroker(url=url, middleware=[], max_priority=10, confirm_delivery=True)
        message = native(broker, broker_priority=7)
        for name, queue, delay in (("queued", "mail", None), ("delayed", "mail.DQ", 30_000)):
            broker.enqueue(message, delay=delay)
            _, properties, body = connection.channel().basic_get(queue, auto_ack=True)
            assert properties.priority == 7
            recorded[f"rabbitmq-{name}"] = body
        broker.close()
    return recorded


def load(name: str) -> bytes:
    """What the pinned version wrote."""
    return (GOLDEN / f"{name}.json").read_bytes()


def main() -> None:
    folder = GOLDEN.with_name(f"dramatiq-{version('dramatiq')}")
    folder.mkdir(parents=True, exist_ok=True)
    with services.start("redis") as redis, services.start("rabbitmq") as rabbitmq:
        for name, data in {**record_redis(redis.fresh_url()), **record_rabbitmq(rabbitmq.fresh_url())}.items():
            (folder / f"{name}.json").write_bytes(data)


if __name__ == "__main__":
    main()
