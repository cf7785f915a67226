"""From a pool for Sentinel to another, and to a URL; what redis-py's own lacks. Nothing is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.sentinel import Sentinel, SentinelManagedConnection

from taskbridge.brokers.redis import server_pool
from taskbridge.brokers.sentinel import sentinel_url
from taskbridge.errors import ConfigurationError
from taskbridge_rq.connection import for_enqueuing, worker_url

if TYPE_CHECKING:
    from redis import Redis

LOGIN: dict[str, Any] = {"username": "ann", "password": "s/ecret"}


def master(sentinel_kwargs: dict[str, Any] | None = None, **arguments: Any) -> Redis:
    """As an application makes it, and django-rq."""
    hosts = [("a.example", 26379), ("::1", 26380)]
    client: Redis = Sentinel(hosts, sentinel_kwargs=sentinel_kwargs or {}, **arguments).master_for("my master")
    return client


@pytest.mark.parametrize(
    "url",
    [
        "redis://a:26379/0?sentinel=shop",
        "rediss://a:26379,[::1]:26380/3?sentinel=shop",
        "redis://ann:s%2Fecret@a:26379,b:26379/1?sentinel=my+master&sentinel_username=bob&sentinel_password=x%26y",
        "redis://:s%2Fecret@a:26379/1?sentinel=shop",
    ],
)
def test_the_url_of_a_pool_is_the_one_that_it_was_made_from(url: str) -> None:
    pool: Any = server_pool(url)
    assert sentinel_url(pool) == url


def test_a_worker_of_rq_finds_the_master_of_the_applications_connection() -> None:
    client = master({"password": "theirs"}, db=2, ssl=True, **LOGIN)
    with pytest.raises(ConfigurationError, match="no URL can say"):
        worker_url(client)  # TLS to the master alone
    client = master({"password": "theirs", "ssl": True}, db=2, ssl=True, **LOGIN)
    assert worker_url(client) == (
        "rediss://ann:s%2Fecret@a.example:26379,[::1]:26380/2?sentinel=my+master&sentinel_password=theirs"
    )


def test_a_write_of_ours_is_not_repeated_by_the_applications_pool() -> None:
    theirs = master(db=2, socket_timeout=60, **LOGIN)
    their_pool: Any = theirs.connection_pool
    ours: Any = for_enqueuing(theirs).connection_pool
    assert ours is not their_pool
    assert sentinel_url(ours) == sentinel_url(their_pool)
    assert ours.connection_kwargs["retry"].get_retries() == 0
    assert ours.connection_kwargs["socket_timeout"] == 5


def test_redis_py_still_goes_back_to_the_old_master() -> None:
    """When this fails, `MasterConnection` may go."""
    assert not {"connect_check_health", "_connect"} & set(vars(SentinelManagedConnection))
