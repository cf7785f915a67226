"""Our Redis transport by itself, between a stock producer and a consumer, on servers of several kinds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.transport import redis as kombu_redis

import taskbridge
from taskbridge.router import router
from taskbridge_celery.redis_transport import contract, recovery
from taskbridge_celery.redis_transport.layout import MARK
from taskbridge_celery.redis_transport.transport import LeasedConnection
from tests.redis_programs import fail_over, watched_pair
from tests.tls import Proxy
from tests.waiting import until

if TYPE_CHECKING:
    from kombu.message import Message

    from taskbridge.services import Server

LEASE = 1


class Consumer:
    """Takes messages until it is closed; nothing is acknowledged by itself."""

    def __init__(self, connection: Connection, queue: str = "default", *, prefetch: int = 10) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        consumer = connection.Consumer([Queue(queue)], on_message=self.messages.append)
        consumer.qos(prefetch_count=prefetch)
        consumer.consume()

    def receive(self, count: int = 1, *, seconds: float = 10) -> list[Message]:
        deadline = time.monotonic() + seconds
        while len(self.messages) < count:
            assert time.monotonic() < deadline, f"{len(self.messages)} of {count} messages in {seconds} s"
            self.turn(0.5)
        return self.messages

    def turn(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=seconds)


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """An empty Redis database for each test."""
    return redis_server.fresh_url()


def client_of(url: str) -> Any:
    return redis.Redis.from_url(url)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def consume(stack: ExitStack) -> Callable[..., Consumer]:
    def consume(url: str, *, stock: bool = False, prefetch: int = 10, **options: Any) -> Consumer:
        kind: Any = Connection if stock else LeasedConnection
        options = {"taskbridge_lease": LEASE, "socket_connect_timeout": 5, **options}
        connection = stack.enter_context(kind(url, transport_options=options))
        return Consumer(connection, prefetch=prefetch)

    return consume


def publish(url: str, body: Any = None, *, priority: int = 0, **options: Any) -> None:
    with Connection(url, transport_options=options) as connection, connection.Producer() as producer:
        producer.publish(body, routing_key="default", priority=priority, serializer="json")


def wake(consumer: Consumer, url: str, **options: Any) -> float:
    """Seconds from a message to an idle consumer's having it."""
    consumer.turn(0.3)
    consumer.messages.clear()
    sent: list[float] = []

    def send() -> None:
        time.sleep(0.2)
        with Connection(url, transport_options=options) as connection, connection.Producer() as producer:
            producer.channel  # noqa: B018 - connects
            sent.append(time.monotonic())
            producer.publish(None, routing_key="default", serializer="json")

    thread = threading.Thread(target=send)
    thread.start()
    (message,) = consumer.receive()
    arrived = time.monotonic()
    thread.join()
    message.ack()
    return arrived - sent[0]


def test_a_message_is_registered_as_stock_workers_do_and_acknowledged(
    redis_url: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(redis_url)
    consumer = consume(redis_url)
    publish(redis_url, {"a": 1})
    (message,) = consumer.receive()
    ((tag, value),) = client.hgetall("unacked").items()
    assert tag.decode() == message.delivery_tag
    assert tag.decode().startswith(MARK)
    raw, exchange, routing_key = json.loads(value)
    assert (raw["headers"], exchange, routing_key) == ({}, "", "default")
    assert client.zrange("unacked_index", 0, -1) == [tag]
    message.ack()
    assert not client.exists("unacked", "unacked_index")


def test_each_delivery_has_a_tag_of_its_own(redis_url: str, consume: Callable[..., Consumer]) -> None:
    consumer = consume(redis_url)
    publish(redis_url)
    (first,) = consumer.receive()
    first.requeue()
    second = consumer.receive(2)[1]
    assert first.delivery_tag != second.delivery_tag
    first.channel.basic_ack(first.delivery_tag)
    assert client_of(redis_url).hkeys("unacked") == [second.delivery_tag.encode()]


def test_priorities_are_served_in_their_order(redis_url: str, consume: Callable[..., Consumer]) -> None:
    for priority in (9, 0, 6, 3):
        publish(redis_url, priority, priority=priority)
    assert [message.payload for message in consume(redis_url).receive(4)] == [0, 3, 6, 9]


def test_one_message_can_be_asked_for(redis_url: str) -> None:
    publish(redis_url, "asked")
    ours: Any = LeasedConnection
    with ours(redis_url) as connection:
        queue = Queue("default")(connection.default_channel)
        message = queue.get()
        assert message is not None
        assert message.payload == "asked"
        assert queue.get() is None
        message.ack()
    assert not client_of(redis_url).exists("unacked", "default")


def test_what_a_closed_channel_holds_goes_back_as_it_was(redis_url: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(redis_url)
    publish(redis_url, "held")
    before = client.lrange("default", 0, -1)
    consumer = consume(redis_url)
    consumer.receive()
    consumer.connection.close()
    assert client.lrange("default", 0, -1) == before
    assert not client.exists("unacked", "unacked_index")


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
    redis_url: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(redis_url)
    for raw in RAW.values():
        client.lpush("default", raw)
        publish(redis_url, "neighbour")
    consumer = consume(redis_url, prefetch=100)
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
    redis_url: str, consume: Callable[..., Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    buried: list[tuple[bytes, str, str]] = []
    answers = [False, True]

    def park(payload: bytes, /, *, queue_name: str, reason: Any, error: Exception) -> bool:
        buried.append((payload, queue_name, reason))
        return answers.pop(0)

    client = client_of(redis_url)
    client.lpush("default", b"{")
    consumer = consume(redis_url)
    while not client.hlen("taskbridge.undecodable"):
        consumer.turn(0.1)
    monkeypatch.setattr(recovery, "park", [park])
    until(lambda: not client.exists("taskbridge.undecodable"), what="the burial")
    assert buried == [(b"{", "default", "undecodable")] * 2


HOLDER = """
import sys, time
from kombu import Connection, Queue
from taskbridge_celery.redis_transport.transport import LeasedConnection
kind = Connection if sys.argv[2] == "stock" else LeasedConnection
with kind(sys.argv[1], transport_options={"taskbridge_lease": 1}) as connection:
    consumer = connection.Consumer([Queue("default")], on_message=lambda message: print("held", flush=True))
    consumer.qos(prefetch_count=1)
    consumer.consume()
    connection.drain_events(timeout=10)
    time.sleep(60)
"""


def hold_and_die(url: str, kind: str) -> None:
    """Another process takes a message, and is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, url, kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()


@pytest.mark.parametrize("dies", ["ours", "stock"])
def test_either_kind_of_worker_recovers_what_the_other_held(
    dies: str, redis_url: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(redis_url)
    publish(redis_url, "held")
    hold_and_die(redis_url, dies)
    (tag,) = client.zrange("unacked_index", 0, -1)
    client.zadd("unacked_index", {tag: time.time() - 101})
    live = consume(redis_url, stock=dies == "ours", visibility_timeout=100)
    if dies == "ours":
        live.connection.default_channel.qos.restore_visible(interval=1)
    (message,) = live.receive()
    assert message.payload == "held"
    assert message.delivery_info["redelivered"]
    assert client.hkeys("unacked") == [message.delivery_tag.encode()]


def test_what_a_dead_consumer_of_ours_held_comes_back_within_its_lease(
    redis_url: str, consume: Callable[..., Consumer]
) -> None:
    publish(redis_url, "held")
    hold_and_die(redis_url, "ours")
    died = time.monotonic()
    consume(redis_url).receive()
    assert LEASE / 2 < time.monotonic() - died < LEASE + 5


def test_what_a_stock_worker_holds_is_left_to_it_until_its_own_timeout(
    redis_url: str, consume: Callable[..., Consumer]
) -> None:
    publish(redis_url, "theirs")
    consume(redis_url, stock=True).receive()
    ours = consume(redis_url, visibility_timeout=100)
    ours.turn(3 * LEASE)
    assert not ours.messages


def test_an_idle_consumer_wakes_within_fifty_milliseconds(redis_url: str, consume: Callable[..., Consumer]) -> None:
    consumer = consume(redis_url)
    assert min(wake(consumer, redis_url) for _ in range(5)) < 0.05


def test_without_client_tracking_an_idle_consumer_asks_often_enough(
    redis_url: str, consume: Callable[..., Consumer], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(redis_url)
    client.acl_setuser(
        "untracked",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        channels=["*"],
        commands=["+@all", "-client|tracking"],
    )
    parts = urlsplit(redis_url)
    url = f"redis://untracked:secret@{parts.hostname}:{parts.port}{parts.path}"
    try:
        consumer = consume(url)
        assert min(wake(consumer, url) for _ in range(5)) < 0.05
        assert "CLIENT TRACKING" in caplog.text
    finally:
        client.acl_deluser("untracked")


def test_of_many_idle_consumers_a_message_wakes_few(redis_url: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(redis_url)
    consumers = [consume(redis_url, prefetch=1) for _ in range(20)]
    stop = threading.Event()

    def work(consumer: Consumer) -> None:
        while not stop.is_set():
            consumer.turn(0.3)
            while consumer.messages:
                consumer.messages.pop().ack()

    threads = [threading.Thread(target=work, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    try:
        until(lambda: client.pubsub_numsub("__redis__:invalidate")[0][1] == 20, what="20 idle consumers")
        before = client.info("commandstats")["cmdstat_rpop"]["calls"]
        started = time.monotonic()
        for _ in range(20):
            publish(redis_url)
            time.sleep(0.05)
        until(lambda: not client.exists("default", "unacked"), what="the work")
        idle = 4 * len(consumers) * (time.monotonic() - started)
        pops = client.info("commandstats")["cmdstat_rpop"]["calls"] - before
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    # An empty claim looks into four lists. If each message woke all, there were 20 more claims for each of the 20.
    assert (pops - idle) / 4 / 20 < 8


def test_a_prefix_stands_before_every_key(redis_url: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(redis_url)
    consumer = consume(redis_url, global_keyprefix="mine:")
    assert min(wake(consumer, redis_url, global_keyprefix="mine:") for _ in range(3)) < 0.05
    client.lpush("mine:default", b"{")
    publish(redis_url, "held", global_keyprefix="mine:")
    consumer.messages.clear()
    consumer.receive()
    assert client.hlen("mine:unacked") == 1
    assert client.hlen("mine:taskbridge.undecodable") == 1
    assert not [key for key in client.scan_iter() if not key.startswith(b"mine:")]
    consumer.connection.close()
    assert client.llen("mine:default") == 1


def test_over_tls(
    redis_url: str, tmp_path: Path, consume: Callable[..., Consumer], stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = urlsplit(redis_url)
    proxy = Proxy((parts.hostname or "", parts.port or 0), tmp_path, "localhost")
    stack.callback(proxy.close)
    password = f":{parts.password}@" if parts.password else ""
    url = (
        f"rediss://{password}localhost:{proxy.port}{parts.path}?ssl_cert_reqs=required&ssl_ca_certs={proxy.certificate}"
    )
    consumer = consume(url)
    assert min(wake(consumer, redis_url) for _ in range(3)) < 0.05
    publish(redis_url, "held")
    consumer.messages.clear()
    consumer.receive()
    client = client_of(redis_url)
    (score,) = [score for _, score in client.zrange("unacked_index", 0, -1, withscores=True)]
    until(lambda: client.zrange("unacked_index", 0, -1, withscores=True)[0][1] > score, what="a renewal over TLS")
    consumer.messages[0].ack()
    assert not client.exists("unacked")


def test_behind_sentinel_a_consumer_goes_on_with_the_new_master(
    tmp_path: Path, consume: Callable[..., Consumer], stack: ExitStack
) -> None:
    pair = stack.enter_context(watched_pair(tmp_path))
    url = f"sentinel://127.0.0.1:{pair.sentinel}/0"
    consumer = consume(url, master_name="shop")
    publish(f"redis://127.0.0.1:{pair.master}/0", "first")
    (first,) = consumer.receive()
    first.ack()
    fail_over(pair)
    publish(f"redis://127.0.0.1:{pair.replica}/0", "second")
    again = consume(url, master_name="shop")
    (second,) = again.receive()
    assert second.payload == "second"
    second.ack()
    assert not redis.Redis(port=pair.replica).exists("unacked")


def test_this_kombu_has_all_that_the_transport_needs() -> None:
    assert contract.broken_promises() == []


def test_a_kombu_that_lacks_something_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(kombu_redis.Channel, "_brpop_read")
    monkeypatch.setattr(kombu_redis.MultiChannelPoller, "_register_BRPOP", lambda self, channel: None)
    assert contract.broken_promises() == [
        "Channel._brpop_read",
        "_brpop_start in MultiChannelPoller._register_BRPOP",
        "_in_poll in MultiChannelPoller._register_BRPOP",
    ]


def test_an_element_that_was_buried_goes_back_as_it_was(redis_url: str) -> None:
    taskbridge.configure(f"celery+{redis_url}")
    backend: Any = router.backend()
    for element in (b"{", b'{"a": 1}', b"\xff"):
        backend.put_back("default", element)
    assert client_of(redis_url).lrange("default", 0, -1) == [b"\xff", b'{"a": 1}', b"{"]


def test_a_drain_costs_two_commands_a_job(redis_url: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(redis_url)
    with Connection(redis_url) as connection, connection.Producer() as producer:
        for number in range(200):
            producer.publish(number, routing_key="default", serializer="json")
    before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    started = time.monotonic()
    consumer = consume(redis_url, prefetch=1)
    for number in range(200):
        consumer.receive(number + 1)[number].ack()
    others = (time.monotonic() - started + 1) * (1 / LEASE * 4) * 2
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"] - before
    assert calls < 200 * 2 + others + 5, "stock: BRPOP, and two transactions of four commands"


def test_a_message_that_is_held_too_long_is_given_up(redis_url: str, consume: Callable[..., Consumer]) -> None:
    publish(redis_url, "held")
    hung = consume(redis_url, taskbridge_longest_lease=1)
    (message,) = hung.receive()
    other = consume(redis_url, taskbridge_longest_lease=1)
    until(lambda: message.delivery_tag not in hung.connection.default_channel.leases.held, what="the end of the lease")
    (again,) = other.receive()
    assert again.payload == "held"
    message.ack()
    assert client_of(redis_url).hkeys("unacked") == [again.delivery_tag.encode()]
