"""A broker that is not there, or does not let us in: an error within the stated time, and nothing half done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

import taskbridge
from taskbridge import task
from taskbridge.errors import BrokerUnavailable
from taskbridge.process import free_port
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Iterator

STATED_SECONDS = 20
"""The longest time that any adapter states for a broker that cannot be reached, and a margin for a busy machine."""


@task
def note(key: str) -> None: ...


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    router.configure(None)


@pytest.mark.parametrize(
    "scheme", ["celery+redis", "celery+amqp", "dramatiq+redis", "dramatiq+amqp", "rq+redis", "huey+redis"]
)
def test_an_unreachable_broker_is_an_error_in_time(scheme: str) -> None:
    port = free_port()
    taskbridge.configure(f"{scheme}://user:hunter22@127.0.0.1:{port}")
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        note.enqueue("k")
    assert time.monotonic() - begun < STATED_SECONDS
    assert caught.value.maybe_accepted is False
    assert str(port) in str(caught.value)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["celery", "dramatiq", "rq", "huey"])
def test_wrong_credentials_for_redis_are_named_and_nothing_is_written(scheme: str, redis_url: str) -> None:
    admin = redis.Redis.from_url(redis_url)
    admin.acl_setuser("guarded", enabled=True, passwords=["+right1"], keys=["*"], channels=["*"], categories=["+@all"])
    before = admin.dbsize()
    parts = urlsplit(redis_url)
    taskbridge.configure(f"{scheme}+redis://guarded:hunter22@{parts.hostname}:{parts.port}{parts.path}")
    with pytest.raises(BrokerUnavailable, match=r"credentials|password|WRONGPASS|Authentication|username") as caught:
        note.enqueue("k")
    assert caught.value.maybe_accepted is False
    assert "hunter22" not in str(caught.value)
    assert admin.dbsize() == before


@pytest.mark.parametrize("scheme", ["celery", "dramatiq"])
def test_wrong_credentials_for_rabbitmq_are_named(scheme: str, amqp_url: str) -> None:
    parts = urlsplit(amqp_url)
    taskbridge.configure(f"{scheme}+amqp://guest:hunter22@{parts.hostname}:{parts.port}{parts.path}")
    with pytest.raises(BrokerUnavailable) as caught:
        note.enqueue("k")
    assert caught.value.maybe_accepted is False
    assert "hunter22" not in str(caught.value)
