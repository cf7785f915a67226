"""What could not be read goes back to its queue as it came, on both brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika
import pytest
from redis import Redis

import taskbridge
from taskbridge.backend import TakesRaw
from taskbridge.message import Message
from taskbridge.redrive import redrive
from taskbridge.router import router
from taskbridge.store import Selection
from taskbridge_dramatiq.wire import decode, to_native
from tests.dramatiq.conftest import start_worker, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server
    from taskbridge.store import Store
    from tests.dramatiq.conftest import Ledger

RAW = b"\xff no JSON"


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, redis_server: Server) -> str:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    url = server.fresh_url()
    taskbridge.configure(f"dramatiq+{url}?store={redis_server.fresh_url()}")
    return url


@pytest.fixture
def store(broker: str) -> Store:
    del broker
    store = router.store()
    assert store is not None
    return store


def put(raw: bytes) -> None:
    backend = router.backend()
    assert isinstance(backend, TakesRaw)
    backend.put_back("default", raw)


def taken(broker: str) -> bytes:
    """The only message of the queue, taken from it."""
    if broker.startswith("redis"):
        client = Redis.from_url(broker)
        redis_id: bytes = client.lpop("dramatiq:default")  # type: ignore[assignment]  # ours does not decode
        content: bytes = client.hget("dramatiq:default.msgs", redis_id.decode())  # type: ignore[assignment]  # as above
        return content
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        _, _, body = connection.channel().basic_get("default", auto_ack=True)
        assert isinstance(body, bytes)
        return body


def test_what_could_not_be_read_is_redriven_as_it_came(
    broker: str, store: Store, ledger: Ledger, tmp_path: Path
) -> None:
    put(RAW)
    for redrives in (0, 1):
        with start_worker(tmp_path):
            wait_for(lambda: list(store.letters(Selection())))
        (letter,) = store.letters(Selection())
        assert (letter.reason, letter.payload, letter.redrives) == ("undecodable", RAW, redrives)
        redrive(letter.id, store)
    assert taken(broker) == RAW
    ledger.clear()


@pytest.mark.wide
def test_what_can_be_read_by_now_runs(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    native = to_native(Message("1", "note", ["mended"], {}))
    put(native.encode())
    with start_worker(tmp_path):
        ledger.wait("mended")
    assert list(store.letters(Selection())) == []


def test_a_message_on_redis_keeps_the_id_by_which_it_would_be_acknowledged(redis_url: str) -> None:
    taskbridge.configure(f"dramatiq+{redis_url}")
    native = to_native(Message("1", "note", ["text"], {}))
    native.options["redis_message_id"] = "its-own"
    put(native.encode())
    client = Redis.from_url(redis_url, decode_responses=True)
    assert client.lrange("dramatiq:default", 0, -1) == ["its-own"]
    found: str = client.hget("dramatiq:default.msgs", "its-own")  # type: ignore[assignment]  # it is no coroutine
    assert decode(found.encode(), queue_name="default") == native
