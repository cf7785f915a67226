"""A private RabbitMQ node, for real. It takes seconds to start, so most tests share one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pika
import pika.exceptions
import psutil
import pytest

from taskbridge import services
from taskbridge.check.consumer_timeout import times_classic_queues
from taskbridge.services import Options
from taskbridge.services.rabbitmq import RabbitMQServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.xdist_group("services"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMQServer]:
    options = Options(password='pass "word"\\%/', consumer_timeout=timedelta(seconds=2))
    with services.start("rabbitmq", options=options) as server:
        assert isinstance(server, RabbitMQServer)
        yield server


def test_a_durable_message_survives_a_kill_and_a_restart(node: RabbitMQServer) -> None:
    url = node.fresh_url()
    persistent = pika.BasicProperties(delivery_mode=2)
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"value", persistent)
    # A confirm covers the message; the queue's own declaration waits in a buffer of the node's, for up to a second.
    node.evaluate("mnesia:sync_log().")
    before = node.process.tree()
    node.kill()
    assert not any(psutil.pid_exists(process.pid) for process in before)
    node.restart()
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        assert connection.channel().basic_get("kept", auto_ack=True)[2] == b"value"


def test_all_that_listens_is_its_own_and_on_loopback(node: RabbitMQServer) -> None:
    listening = {
        (process.name(), connection.laddr.ip)
        for process in node.process.tree()
        for connection in process.net_connections()
        if connection.status == "LISTEN"
    }
    assert {name for name, _ in listening} == {"beam.smp", "epmd"}
    assert {address for _, address in listening} <= {"127.0.0.1", "::1"}
    assert psutil.Process(node.pid).name() == "beam.smp"


def test_fresh_vhosts_are_apart(node: RabbitMQServer) -> None:
    with pika.BlockingConnection(pika.URLParameters(node.fresh_url())) as connection:
        connection.channel().queue_declare("here")
    with (
        pika.BlockingConnection(pika.URLParameters(node.fresh_url())) as connection,
        pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue 'here'"),
    ):
        connection.channel().queue_declare("here", passive=True)


def test_the_consumer_timeout_is_kept(node: RabbitMQServer) -> None:
    assert "2000" in node.evaluate("application:get_env(rabbit, consumer_timeout).")
    if not times_classic_queues(node.version):
        return
    with pika.BlockingConnection(pika.URLParameters(node.fresh_url())) as connection:
        channel = connection.channel()
        channel.queue_declare("slow")
        channel.basic_publish("", "slow", b"value")
        channel.basic_consume("slow", lambda *_: None)
        deadline = time.monotonic() + 20
        while channel.is_open:
            assert time.monotonic() < deadline
            connection.process_data_events(0.1)


def test_the_fixture_gives_a_vhost_of_a_plain_node(amqp_url: str, rabbitmq_server: services.Server) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        assert connection.channel().queue_declare("").method.message_count == 0
    assert rabbitmq_server.version.count(".") == 2
