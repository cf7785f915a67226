"""Our Redis transport by itself: deliveries, as stock workers read them, and what they cost."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu.connection import Connection
from kombu.entity import Queue

from taskbridge_celery.redis_transport.layout import MARK
from taskbridge_celery.redis_transport.transport import LeasedConnection
from tests.celery.consuming import LEASE, client_of, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.celery.consuming import Consumer


pytestmark = pytest.mark.timeout(180)


def test_a_message_is_registered_as_stock_workers_do_and_acknowledged(
    database: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(database)
    consumer = consume(database)
    publish(database, {"a": 1})
    (message,) = consumer.receive()
    ((tag, value),) = client.hgetall("unacked").items()
    assert tag.decode() == message.delivery_tag
    assert tag.decode().startswith(MARK)
    raw, exchange, routing_key = json.loads(value)
    assert (raw["headers"], exchange, routing_key) == ({}, "", "default")
    assert client.zrange("unacked_index", 0, -1) == [tag]
    message.ack()
    assert not client.exists("unacked", "unacked_index")


def test_each_delivery_has_a_tag_of_its_own(database: str, consume: Callable[..., Consumer]) -> None:
    consumer = consume(database)
    publish(database)
    (first,) = consumer.receive()
    first.requeue()
    second = consumer.receive(2)[1]
    assert first.delivery_tag != second.delivery_tag
    first.channel.basic_ack(first.delivery_tag)
    assert client_of(database).hkeys("unacked") == [second.delivery_tag.encode()]


def test_priorities_are_served_in_their_order(database: str, consume: Callable[..., Consumer]) -> None:
    for priority in (9, 0, 6, 3):
        publish(database, priority, priority=priority)
    assert [message.payload for message in consume(database).receive(4)] == [0, 3, 6, 9]


def test_one_message_can_be_asked_for(database: str) -> None:
    publish(database, "asked")
    ours: Any = LeasedConnection
    with ours(database) as connection:
        queue = Queue("default")(connection.default_channel)
        message = queue.get()
        assert message is not None
        assert message.payload == "asked"
        assert queue.get() is None
        message.ack()
    assert not client_of(database).exists("unacked", "default")


def test_what_a_closed_channel_holds_goes_back_as_it_was(database: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(database)
    publish(database, "held")
    before = client.lrange("default", 0, -1)
    consumer = consume(database)
    consumer.receive()
    consumer.connection.close()
    assert client.lrange("default", 0, -1) == before
    assert not client.exists("unacked", "unacked_index")


def test_a_drain_costs_two_commands_a_job(database: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(database)
    with Connection(database) as connection, connection.Producer() as producer:
        for number in range(200):
            producer.publish(number, routing_key="default", serializer="json")
    before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    started = time.monotonic()
    consumer = consume(database, prefetch=1)
    for number in range(200):
        consumer.receive(number + 1)[number].ack()
    others = (time.monotonic() - started + 1) * (1 / LEASE * 4) * 2
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"] - before
    assert calls < 200 * 2 + others + 5, "stock: BRPOP, and two transactions of four commands"
