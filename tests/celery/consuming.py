"""A consumer on our Redis transport without a worker, and a stock producer for it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import redis
from kombu.connection import Connection
from kombu.entity import Queue

from taskbridge_celery.redis_transport import claims
from tests.waiting import WAIT

if TYPE_CHECKING:
    from kombu.message import Message

LEASE = 3
"""Seconds. A busy machine does not keep a thread from renewing for so long."""


class Consumer:
    """Takes messages until it is closed; nothing is acknowledged by itself."""

    def __init__(self, connection: Connection, queue: str = "default", *, prefetch: int = 10) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        consumer = connection.Consumer([Queue(queue)], on_message=self.messages.append)
        consumer.qos(prefetch_count=prefetch)
        consumer.consume()

    @property
    def leases(self) -> Any:
        """The registry of what this process holds."""
        channel: Any = self.connection.default_channel
        return channel.leases

    def receive(self, count: int = 1) -> list[Message]:
        deadline = time.monotonic() + WAIT
        while len(self.messages) < count:
            assert time.monotonic() < deadline, f"{len(self.messages)} of {count} messages in {WAIT} s"
            self.turn(0.5)
        return self.messages

    def turn(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=seconds)


def client_of(url: str) -> Any:
    return redis.Redis.from_url(url)


def publish(url: str, body: Any = None, *, priority: int = 0, **options: Any) -> None:
    with Connection(url, transport_options=options) as connection, connection.Producer() as producer:
        producer.publish(body, routing_key="default", priority=priority, serializer="json")


def wake(consumer: Consumer, url: str, **options: Any) -> None:
    """Have an idle consumer receive a message that is sent while it waits, and for which it would not ask by itself."""
    with patch.object(claims, "IDLE_SECONDS", 600):
        consumer.turn(1.2)
        consumer.messages.clear()
        sender = threading.Timer(0.2, publish, [url], options)
        sender.start()
        (message,) = consumer.receive()
        sender.join()
    message.ack()
