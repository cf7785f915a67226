"""What our Redis transport needs of Kombu beyond its documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu.transport import redis as kombu_redis

from taskbridge_celery.redis_transport import contract

if TYPE_CHECKING:
    import pytest


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
