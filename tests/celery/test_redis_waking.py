"""How an idle consumer on our Redis transport learns of a message."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from taskbridge_celery.redis_transport.claims import POLL_SECONDS
from tests.celery.consuming import client_of, publish, wake
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.celery.consuming import Consumer


pytestmark = pytest.mark.timeout(180)


def test_an_idle_consumer_is_told_of_a_message(database: str, consume: Callable[..., Consumer]) -> None:
    consumer = consume(database)
    for _ in range(3):
        wake(consumer, database)


def test_without_client_tracking_an_idle_consumer_asks_often_enough(
    database: str, consume: Callable[..., Consumer], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(database)
    if int(client.info("server")["redis_version"].partition(".")[0]) < 7:
        pytest.skip("rules of an ACL for one subcommand came with Redis 7")
    client.acl_setuser(
        "untracked",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        channels=["*"],
        commands=["+@all", "-client|tracking"],
    )
    parts = urlsplit(database)
    url = f"redis://untracked:secret@{parts.hostname}:{parts.port}{parts.path}"
    try:
        consumer = consume(url)
        wake(consumer, url)
        assert POLL_SECONDS < 0.05
        assert "CLIENT TRACKING" in caplog.text
    finally:
        client.acl_deluser("untracked")


def test_of_many_idle_consumers_a_message_wakes_few(database: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(database)
    consumers = [consume(database, prefetch=1) for _ in range(20)]
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
            publish(database)
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
