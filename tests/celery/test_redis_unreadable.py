"""What lies on our Redis transport and cannot be read: kept with its bytes, buried, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.router import router
from taskbridge_celery.redis_transport import recovery
from tests.celery.consuming import client_of, publish
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.celery.consuming import Consumer

pytestmark = pytest.mark.timeout(180)

RAW: dict[str, bytes] = {
    "no JSON": b"{",
    "not even text": b"\xff\x00\xfe",
    "no object": b"[1, 2]",
    "a number": b"1",
    "nothing": b"",
    "an object of another kind": b'{"a": 1}',
    "properties that are none": b'{"properties": 3, "body": "", "headers": {}}',
    "properties without delivery": b'{"properties": {}, "body": "AA==", "headers": {}}',
    "a body that is no base64": b'{"properties": {"body_encoding": "base64", "delivery_info": {}}, "body": "A"}',
    "an encoding that nobody knows": b'{"properties": {"body_encoding": "rot13", "delivery_info": {}}, "body": "A"}',
    "nested beyond reason": b"[" * 100_000,
    "long, and no JSON": b"{" + b"x" * 70_000 + b"}",
    "a type that Kombu does not know": b'{"properties": {}, "body": {"__type__": "x", "__value__": 1}, "headers": {}}',
}


def test_what_cannot_be_read_is_set_aside_with_its_bytes_and_its_neighbours_arrive(
    database: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(database)
    for raw in RAW.values():
        client.lpush("default", raw)
        publish(database, "neighbour")
    consumer = consume(database, prefetch=100)
    while client.exists("default"):
        consumer.turn(0.2)
    arrived = [
        message for message in consumer.messages if message.body == b'"neighbour"' or message.body == '"neighbour"'
    ]
    assert len(arrived) == len(RAW)
    kept = {value.removeprefix(b"default\n") for value in client.hvals("taskbridge.undecodable")}
    delivered = len(consumer.messages) - len(arrived)
    assert kept <= set(RAW.values())
    assert len(kept) + delivered == len(RAW)
    assert client.hlen("unacked") == len(consumer.messages)


def test_what_is_set_aside_is_buried_and_stays_while_nobody_takes_it(
    database: str, consume: Callable[..., Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    buried: list[tuple[bytes, str, str]] = []
    answers = [False, True]

    def park(payload: bytes, /, *, queue_name: str, reason: Any, error: Exception) -> bool:
        buried.append((payload, queue_name, reason))
        return answers.pop(0)

    client = client_of(database)
    client.lpush("default", b"{")
    consumer = consume(database)
    while not client.hlen("taskbridge.undecodable"):
        consumer.turn(0.1)
    monkeypatch.setattr(recovery, "park", [park])
    until(lambda: not client.exists("taskbridge.undecodable"), what="the burial")
    assert buried == [(b"{", "default", "undecodable")] * 2


def test_an_element_that_was_buried_goes_back_as_it_was(database: str) -> None:
    taskbridge.configure(f"celery+{database}")
    backend: Any = router.backend()
    for element in (b"{", b'{"a": 1}', b"\xff"):
        backend.put_back("default", element)
    assert client_of(database).lrange("default", 0, -1) == [b"\xff", b'{"a": 1}', b"{"]
