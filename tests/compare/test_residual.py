"""Where a job lies is found on each real broker, however its engine wraps it."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
import zlib
from typing import TYPE_CHECKING

import pika
import pytest
import redis

from taskbridge_compare.residual import holds, search
from taskbridge_compare.servers import Servers

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server

NEEDLE = "victim-0123456789ab"
OTHER = "of-another-job"


@pytest.mark.parametrize(
    "value",
    [
        f'{{"key": "{NEEDLE}"}}'.encode(),
        zlib.compress(NEEDLE.encode()),
        b'{"body": "' + base64.b64encode(f"[[{NEEDLE}], {{}}]".encode() * 2) + b'"}',
    ],
    ids=["plain", "compressed", "base64"],
)
def test_a_needle_is_found_as_each_engine_writes_it(value: bytes) -> None:
    assert holds(value, [NEEDLE.encode()])
    assert not holds(value, [b"somebody-else-entirely"])


def test_redis_places_are_named_by_what_they_mean(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    servers.start(["redis"])
    try:
        url = servers.fresh_url("redis")
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            client.lpush("celery", f"message {NEEDLE}")
            client.hset("unacked", "tag", f"message {NEEDLE}")
            client.hset("dramatiq:default.msgs", "an-id-of-dramatiqs-own", f"message {NEEDLE}")
            client.zadd("dramatiq:default.XQ", {"an-id-of-dramatiqs-own": 1})
            client.zadd("rq:wip:default", {f"{NEEDLE}:1": 1})
            client.hset(f"taskbridge:dead-letter:{NEEDLE}", "payload", "x")
            client.set("other", "nothing")
        found = {place.name.removeprefix("Redis key "): place.state for place in search(url, [NEEDLE])}
    finally:
        servers.stop()
    assert found == {
        "celery": "waiting",
        "unacked": "held",
        "dramatiq:default.msgs": "data",
        "dramatiq:default.XQ": "failed",
        "rq:wip:default": "held",
        f"taskbridge:dead-letter:{NEEDLE}": "failed",
    }


@pytest.mark.timeout(120)
def test_every_queue_of_a_rabbitmq_vhost_is_searched_and_nothing_is_taken(
    rabbitmq_server: Server, tmp_path: Path
) -> None:
    servers = Servers(tmp_path)
    servers.adopt("amqp", rabbitmq_server)
    url = servers.fresh_url("amqp")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for queue in ("default", "one nobody thought of", "default.XQ", "taskbridge.dead"):
            channel.queue_declare(queue)
        channel.basic_publish("", "one nobody thought of", f"message {NEEDLE}".encode())
        channel.basic_publish("", "default.XQ", f"message {NEEDLE}".encode())
        channel.basic_publish("", "taskbridge.dead", f"message {NEEDLE}".encode())
        places = {place.name: place.state for place in search(url, [NEEDLE], servers.queues(url))}
        assert places == {
            "RabbitMQ queue one nobody thought of": "waiting",
            "RabbitMQ queue default.XQ": "failed",
            "RabbitMQ queue taskbridge.dead": "failed",
        }
        assert channel.queue_declare("default.XQ", passive=True).method.message_count == 1


def test_a_row_tells_its_status(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table results (id text, status text, args blob)")
        connection.execute("insert into results values ('1', 'RUNNING', ?)", (NEEDLE.encode(),))
        connection.execute("create table taskbridge_dead_letters (id text, payload blob)")
        connection.execute("insert into taskbridge_dead_letters values ('2', ?)", (OTHER.encode(),))
        connection.commit()
    (letter,) = search(f"sqlite:///{path}", [OTHER])
    assert letter.state == "failed"
    (place,) = search(f"sqlite:///{path}", [NEEDLE])
    assert (place.name, place.state) == ("table results, status RUNNING", "held")
