"""Our Redis transport under a prefix, over TLS and behind Sentinel."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

from tests.celery.consuming import client_of, publish, wake
from tests.redis_programs import fail_over, watched_pair
from tests.tls import Proxy
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from tests.celery.consuming import Consumer


pytestmark = pytest.mark.timeout(180)


def test_a_prefix_stands_before_every_key(database: str, consume: Callable[..., Consumer]) -> None:
    client = client_of(database)
    consumer = consume(database, global_keyprefix="mine:")
    wake(consumer, database, global_keyprefix="mine:")
    client.lpush("mine:default", b"{")
    publish(database, "held", global_keyprefix="mine:")
    consumer.messages.clear()
    consumer.receive()
    assert client.hlen("mine:unacked") == 1
    assert client.hlen("mine:taskbridge.undecodable") == 1
    assert not [key for key in client.scan_iter() if not key.startswith(b"mine:")]
    consumer.connection.close()
    assert client.llen("mine:default") == 1


def test_over_tls(database: str, tmp_path: Path, consume: Callable[..., Consumer], stack: ExitStack) -> None:
    parts = urlsplit(database)
    proxy = Proxy((parts.hostname or "", parts.port or 0), tmp_path, "localhost")
    stack.callback(proxy.close)
    password = f":{parts.password}@" if parts.password else ""
    url = (
        f"rediss://{password}localhost:{proxy.port}{parts.path}?ssl_cert_reqs=required&ssl_ca_certs={proxy.certificate}"
    )
    consumer = consume(url)
    wake(consumer, database)
    publish(database, "held")
    consumer.messages.clear()
    consumer.receive()
    client = client_of(database)
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
