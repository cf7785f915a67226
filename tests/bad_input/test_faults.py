"""A broker that is cut off, stopped, full or blocked: enqueuing answers in time, and is right about what it says.

`maybe_accepted` false promises that the broker does not hold the job; true promises nothing. What it holds is counted.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import redis
from kombu.connection import Connection

import taskbridge
from taskbridge import services, task
from taskbridge.errors import EnqueueError
from taskbridge.router import router
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge_compare.faults.cut_rules import BeforeReply, BeforeRequest
from taskbridge_compare.faults.proxy import CuttingProxy
from tests.pauses import standing_still

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge_compare.faults.cut_rules import Rule

STATED_SECONDS = 10
"""5 s to connect and 5 s for the answer, as the adapters state."""
STATED_BY = {"dramatiq+amqp": 30}
"""pika waits for a confirmation as long as the connection lives, which heartbeats decide."""
MARGIN_SECONDS = 10
"""For a busy machine."""

SCHEMES = ["celery+redis", "dramatiq+redis", "rq+redis", "huey+redis", "celery+amqp", "dramatiq+amqp"]
ON_REDIS = [scheme for scheme in SCHEMES if scheme.endswith("redis")]
ON_RABBITMQ = [scheme for scheme in SCHEMES if scheme.endswith("amqp")]


@task
def note(key: str) -> None: ...


class Broker(NamedTuple):
    """A fresh part of a private server."""

    scheme: str
    server: services.Server
    url: str

    def held(self) -> int:
        """How many jobs the server holds."""
        if self.scheme.endswith("redis"):
            client = redis.Redis.from_url(self.url)
            lists: list[Any] = [key for key in client.scan_iter() if client.type(key) == b"list"]
            return sum(int(client.llen(key)) for key in lists)
        with Connection(self.url) as connection:
            count: int = connection.default_channel.queue_declare("default", passive=True).message_count
            return count

    def becomes(self, *counts: int) -> None:
        """Wait until the server holds so many."""
        deadline = time.monotonic() + 20
        while (held := self.held()) not in counts:
            assert time.monotonic() < deadline, f"{held} jobs are held, not {counts}"
            time.sleep(0.05)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    scheme: str = request.param
    server: services.Server = request.getfixturevalue("redis_server" if scheme in ON_REDIS else "rabbitmq_server")
    yield Broker(scheme, server, server.fresh_url())
    router.configure(None)


@contextmanager
def through_proxy(broker: Broker) -> Iterator[CuttingProxy]:
    parts = urlsplit(broker.url)
    assert parts.hostname
    assert parts.port
    with CuttingProxy(parts.hostname, parts.port) as proxy:
        netloc = parts.netloc.replace(f":{parts.port}", f":{proxy.port}")
        taskbridge.configure(f"{broker.scheme.partition('+')[0]}+{parts._replace(netloc=netloc).geturl()}")
        yield proxy


def configure(broker: Broker) -> None:
    taskbridge.configure(f"{broker.scheme.partition('+')[0]}+{broker.url}")


def refused(broker: Broker) -> EnqueueError:
    """The error of an enqueue that must fail in time."""
    begun = time.monotonic()
    with pytest.raises(EnqueueError) as caught:
        note.enqueue("refused")
    assert time.monotonic() - begun < STATED_BY.get(broker.scheme, STATED_SECONDS) + MARGIN_SECONDS
    return caught.value


def cut(broker: Broker, proxy: CuttingProxy, rule: Rule) -> EnqueueError:
    proxy.rule = rule
    try:
        return refused(broker)
    finally:
        proxy.rule = None


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_a_cut_before_the_write_leaves_nothing_and_is_repeated_by_nobody(broker: Broker) -> None:
    with through_proxy(broker) as proxy:
        note.enqueue("first")
        rule = BeforeRequest(lambda: None, piece=1)
        cut(broker, proxy, rule)
        assert rule.struck.is_set()
        assert broker.held() == 1
        note.enqueue("after")
        broker.becomes(2)


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_a_cut_before_the_reply_leaves_the_job_once_and_the_error_says_that_it_may(broker: Broker) -> None:
    with through_proxy(broker) as proxy:
        note.enqueue("first")
        rule = BeforeReply(lambda: None, piece=1)
        assert cut(broker, proxy, rule).maybe_accepted is True
        assert rule.struck.is_set()
        broker.becomes(2)
        note.enqueue("after")
        broker.becomes(3)


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_a_server_that_went_away_is_reached_again_when_it_is_back_and_holds_nothing_meanwhile(broker: Broker) -> None:
    with through_proxy(broker) as proxy:
        note.enqueue("first")
        proxy.close()
        proxy_is_gone = refused(broker)
    assert broker.held() == 1
    # A connection that was open may have taken the bytes; one that had to be made has not.
    again = refused(broker)
    assert again.maybe_accepted is False
    assert proxy_is_gone.maybe_accepted in (True, False)
    assert broker.held() == 1


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_a_stopped_server_is_an_error_in_time_and_what_it_takes_later_may_have_been_accepted(broker: Broker) -> None:
    configure(broker)
    note.enqueue("first")
    with standing_still(broker.server.pid):
        error = refused(broker)
    assert error.maybe_accepted is True
    note.enqueue("after")
    # Redis reads what a connection that was closed meanwhile had sent; RabbitMQ may drop it.
    broker.becomes(3, *([2] if broker.scheme in ON_RABBITMQ else []))


@pytest.mark.parametrize("broker", ON_REDIS, indirect=True)
def test_a_full_redis_refuses_the_job_and_the_error_says_so(broker: Broker) -> None:
    configure(broker)
    note.enqueue("first")
    admin = redis.Redis.from_url(broker.url)
    admin.config_set("maxmemory", "1")
    try:
        error = refused(broker)
        assert broker.held() == 1
    finally:
        admin.config_set("maxmemory", "0")
    assert error.maybe_accepted is False
    note.enqueue("after")
    assert broker.held() == 2


@pytest.mark.parametrize("broker", ON_RABBITMQ, indirect=True)
def test_under_an_alarm_of_rabbitmq_the_answer_comes_in_time_and_is_right(broker: Broker) -> None:
    assert isinstance(broker.server, RabbitMQServer)
    configure(broker)
    note.enqueue("first")
    alarm = "{resource_limit, disk, node()}"
    broker.server.evaluate(f"rabbit_alarm:set_alarm({{{alarm}, []}}).")
    accepted, doubtful, denied = 1, 0, 0
    try:
        for _ in range(2):
            begun = time.monotonic()
            try:
                note.enqueue("under alarm")
                accepted += 1
            except EnqueueError as error:
                doubtful += error.maybe_accepted
                denied += not error.maybe_accepted
            assert time.monotonic() - begun < STATED_SECONDS + MARGIN_SECONDS
    finally:
        broker.server.evaluate(f"rabbit_alarm:clear_alarm({alarm}).")
    assert doubtful + denied
    note.enqueue("after")
    deadline = time.monotonic() + 20
    while broker.held() < accepted + 1:
        assert time.monotonic() < deadline, "what was accepted is held"
        time.sleep(0.05)
    assert broker.held() <= accepted + 1 + doubtful
