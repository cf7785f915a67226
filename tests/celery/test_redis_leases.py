"""Leases of our Redis transport: whose a delivery is, and when it comes back from who died or hangs."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge_celery.redis_transport.settings import Lease
from tests.celery.consuming import LEASE, client_of, publish
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.celery.consuming import Consumer

pytestmark = pytest.mark.timeout(180)

HOLDER = """
import sys, time
from kombu import Connection, Queue
from taskbridge_celery.redis_transport.transport import LeasedConnection
kind = Connection if sys.argv[2] == "stock" else LeasedConnection
with kind(sys.argv[1], transport_options={"taskbridge_lease": 3}) as connection:
    consumer = connection.Consumer([Queue("default")], on_message=lambda message: print("held", flush=True))
    consumer.qos(prefetch_count=1)
    consumer.consume()
    connection.drain_events(timeout=40)
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
    dies: str, database: str, consume: Callable[..., Consumer]
) -> None:
    client = client_of(database)
    publish(database, "held")
    hold_and_die(database, dies)
    (tag,) = client.zrange("unacked_index", 0, -1)
    client.zadd("unacked_index", {tag: time.time() - 101})
    live = consume(database, stock=dies == "ours", visibility_timeout=100)
    if dies == "ours":
        live.connection.default_channel.qos.restore_visible(interval=1)
    (message,) = live.receive()
    assert message.payload == "held"
    assert message.delivery_info["redelivered"]
    assert client.hkeys("unacked") == [message.delivery_tag.encode()]


def test_what_a_dead_consumer_of_ours_held_comes_back_within_its_lease(
    database: str, consume: Callable[..., Consumer]
) -> None:
    publish(database, "held")
    hold_and_die(database, "ours")
    died = time.monotonic()
    consume(database).receive()
    assert time.monotonic() - died > LEASE / 2


def test_what_a_stock_worker_holds_is_left_to_it_until_its_own_timeout(
    database: str, consume: Callable[..., Consumer]
) -> None:
    publish(database, "theirs")
    consume(database, stock=True).receive()
    ours = consume(database, visibility_timeout=100)
    ours.turn(LEASE + 2)
    assert not ours.messages


def test_a_message_that_is_held_too_long_is_given_up(database: str, consume: Callable[..., Consumer]) -> None:
    publish(database, "held")
    hung = consume(database, taskbridge_longest_lease=1)
    (message,) = hung.receive()
    other = consume(database)
    until(lambda: message.delivery_tag not in hung.leases.held, what="the end of the lease")
    # One registry a process: what is delivered next is to be kept.
    hung.leases.lease = Lease(length=LEASE)
    (again,) = other.receive()
    assert again.payload == "held"
    message.ack()
    assert client_of(database).hkeys("unacked") == [again.delivery_tag.encode()]


def test_a_lease_whose_loss_two_threads_learn_at_the_same_moment_is_nobodys(
    database: str, consume: Callable[..., Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(database)
    publish(database, "held")
    consumer = consume(database, taskbridge_lease=600)
    (message,) = consumer.receive()
    tag = message.delivery_tag
    leases = consumer.leases
    client.delete("unacked", "unacked_index")
    leases.held[tag].confirmed = -math.inf
    ask = leases.scripts.renew

    def late(**asked: Any) -> Any:
        """The keeper asks in the same moment, and is answered first."""
        monkeypatch.setattr(leases.scripts, "renew", ask)
        assert leases.renew([tag]) == [tag]
        return ask(**asked)

    monkeypatch.setattr(leases.scripts, "renew", late)
    assert not leases.is_ours(tag)
