"""How jobs reach RQ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from redis import Connection, Redis, Sentinel, exceptions
from rq import Queue

import taskbridge
from taskbridge import services
from taskbridge.brokers.redis_batch import packed, transact
from taskbridge.errors import BrokerUnavailable, ConfigurationError
from taskbridge.router import router
from taskbridge_rq import RQBackend
from taskbridge_rq.connection import worker_url
from tests.pauses import standing_still
from tests.rq import tasks

if TYPE_CHECKING:
    from tests.rq.conftest import Shop


def commands(redis: Redis) -> dict[str, int]:
    """How often the server has run each command."""
    stats: Any = redis.info("commandstats")
    return {name: values["calls"] for name, values in stats.items()}


def ran(redis: Redis, before: dict[str, int]) -> dict[str, int]:
    after = commands(redis)
    return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}


def test_a_job_takes_no_command_more_than_rq_itself_and_a_thousand_one_round_trip(shop: Shop) -> None:
    shop.configure()
    queue = Queue(connection=shop.redis, serializer="json")
    tasks.late.enqueue()
    queue.enqueue("tests.rq.tasks.late")
    before = commands(shop.redis)
    queue.enqueue("tests.rq.tasks.late")
    theirs = ran(shop.redis, before)
    before = commands(shop.redis)
    tasks.late.enqueue()
    ours = ran(shop.redis, before)
    assert all(count <= theirs.get(name, 0) for name, count in ours.items()), (ours, theirs)
    before = commands(shop.redis)
    tasks.late.enqueue_many([()] * 1000)
    many = ran(shop.redis, before)
    assert (many["cmdstat_multi"], many["cmdstat_rpush"], many["cmdstat_hset"]) == (1, 1, 1000)
    assert shop.redis.llen("rq:queue:default") == 1004


def test_commands_go_over_the_wire_as_redis_py_packs_them() -> None:
    commands: list[list[Any]] = [
        ["HSET", "rq:job:Zoë", "data", b"\x00\xff", "timeout", -1, "status", "queued", "", ""],
        ["ZADD", "rq:scheduled:default", 1_900_000_000, "a" * 36, 2.5, "b"],
        ["RPUSH", "queued", "x" * 300_000, b"y" * 300_000, "queued"],
        *[["HSET", f"rq:job:{number}", "status", "queued", "data", b"z" * 1_000] for number in range(500)],
    ]
    assert b"".join(packed(commands)) == b"".join(Connection().pack_commands(commands))
    for value in (None, True, ["a"]):
        with pytest.raises(exceptions.DataError, match=type(value).__name__):
            packed([["SET", "key", value]])  # type: ignore[list-item]  # it is what is refused


def test_a_refused_transaction_changes_nothing_or_says_what_was_refused(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.set("text", "a")
        pool = redis.connection_pool
        with pytest.raises(exceptions.ResponseError, match="wrong number of arguments"):
            transact(pool, [["SET", "other", "b"], ["HSET", "hash"]])
        assert not redis.exists("other")
        with pytest.raises(exceptions.ResponseError, match="WRONGTYPE"):
            transact(pool, [["SET", "other", "b"], ["RPUSH", "text", "c"]])
        assert transact(pool, [["RPUSH", "list", "a", "b"], ["LLEN", "list"]]) == [2, 2]


def test_a_connection_of_the_application_repeats_nothing_when_an_answer_is_lost() -> None:
    configured = router.configured
    with services.start("redis") as server:
        theirs = Redis(port=urlsplit(server.url).port or 0)
        assert theirs.connection_pool.connection_kwargs["retry"]._retries > 0
        taskbridge.configure(backends={"default": RQBackend(connection=theirs)}, queues=["default"])
        try:
            tasks.late.enqueue()
            with standing_still(server.pid), pytest.raises(BrokerUnavailable, match="may hold it") as caught:
                tasks.late.enqueue()
            assert caught.value.maybe_accepted
        finally:
            router.configure(configured)
        assert theirs.llen("rq:queue:default") == 2
        theirs.close()


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (Redis(), "redis://localhost:6379/0"),
        (Redis(host="::1", port=1, db=3, username="a", password="b/c"), "redis://a:b%2Fc@[::1]:1/3"),
        (Redis(ssl=True, password="p"), "rediss://:p@localhost:6379/0"),
        (Redis(unix_socket_path="/run/redis.sock", db=2), "unix:///run/redis.sock?db=2"),
    ],
)
def test_a_worker_reaches_the_server_of_the_applications_connection(connection: Redis, url: str) -> None:
    assert worker_url(connection) == url
    again = Redis.from_url(url).connection_pool
    assert again.connection_class is connection.connection_pool.connection_class
    assert again.connection_kwargs.get("password") == connection.connection_pool.connection_kwargs.get("password")


def test_a_connection_that_no_url_says_is_refused_for_workers_and_serves_for_enqueuing() -> None:
    sentinel: Any = Sentinel  # it has no types
    connection = sentinel([("localhost", 1)]).master_for("shop", ssl=True)  # and none to the Sentinels
    with pytest.raises(ConfigurationError, match="rq worker QUEUE -c settings"):
        worker_url(connection)
    RQBackend(connection=connection).close()


def test_a_backend_needs_one_way_to_its_server() -> None:
    with pytest.raises(ConfigurationError, match="either a URL or a Redis connection"):
        RQBackend()
