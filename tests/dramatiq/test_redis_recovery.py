"""The sweep: whom it takes for dead, what it costs, and what becomes of messages that see many deaths."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from taskbridge_dramatiq.beat import BEAT
from taskbridge_dramatiq.scripts import FETCH

if TYPE_CHECKING:
    from taskbridge.services import Server

LEASE = 8000
SILENCE = 65000


@pytest.fixture
def client(redis_server: Server) -> Iterator[Redis]:
    with Redis.from_url(redis_server.fresh_url(), decode_responses=True) as client:
        yield client


def beat(client: Redis, *, is_new: bool = True, looks: int = 1, between: int = 1, gone: str = "") -> Any:
    new = int(is_new)
    return BEAT(
        client, ("dramatiq",), "taskbridge-me", LEASE, SILENCE, looks, between, 0, 1000, "taskbridge-here-", gone,
        "default", new, "default.DQ", new,
    )  # fmt: skip


def now(client: Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def given(client: Redis, worker: str, *redis_ids: str) -> None:
    for redis_id in redis_ids:
        client.hset("dramatiq:default.msgs", redis_id, "{}")
        client.sadd(f"dramatiq:__acks__.{worker}.default", redis_id)


@pytest.mark.parametrize(("silent", "is_dead"), [(30, False), (60, False), (70, True)])
def test_a_worker_of_dramatiqs_own_is_dead_when_its_own_timeout_has_passed(
    client: Redis, silent: int, is_dead: bool
) -> None:
    given(client, "their-worker", "1")
    client.zadd("dramatiq:__heartbeats__", {"their-worker": now(client) - silent * 1000})
    beat(client)
    assert client.lrange("dramatiq:default", 0, -1) == (["1"] if is_dead else [])


@pytest.mark.parametrize(("remaining", "is_dead"), [(60, False), (2, False), (-1, True)])
def test_a_worker_of_ours_is_dead_when_its_own_lease_has_ended(client: Redis, remaining: int, is_dead: bool) -> None:
    given(client, "taskbridge-other", "1", "2", "3")
    client.rpush("dramatiq:default", "4")
    client.zadd("dramatiq:__taskbridge__.leases.default", {"taskbridge-other": now(client) + remaining * 1000})
    client.zadd("dramatiq:__heartbeats__", {"taskbridge-other": now(client)})
    beat(client)
    assert client.lrange("dramatiq:default", 0, -1) == (["1", "2", "3", "4"] if is_dead else ["4"])


def late(client: Redis, since: int = 1) -> None:
    client.zadd("dramatiq:__taskbridge__.leases.default", {"taskbridge-other": since})


def test_looks_at_a_lease_that_has_ended_add_up_until_it_is_renewed(client: Redis) -> None:
    given(client, "taskbridge-other", "1")
    late(client)
    for _ in range(2):
        beat(client, looks=3)
        client.delete("dramatiq:__taskbridge__.looked.default")  # time passes
    late(client, since=2)
    for is_back in (0, 0, 1):
        beat(client, looks=3)
        client.delete("dramatiq:__taskbridge__.looked.default")
        assert client.llen("dramatiq:default") == is_back


def test_looks_of_many_workers_at_one_moment_are_one(client: Redis) -> None:
    given(client, "taskbridge-other", "1")
    late(client)
    for _ in range(4):
        beat(client, looks=2, between=60000)
    assert client.llen("dramatiq:default") == 0


def test_what_a_worker_held_that_is_known_to_be_dead_returns_at_once(client: Redis) -> None:
    given(client, "taskbridge-here-1", "1")
    given(client, "taskbridge-here-2", "2")
    ends = now(client) + 60000
    leases = {"taskbridge-here-1": ends, "taskbridge-here-2": ends, "taskbridge-there-1": ends}
    client.zadd("dramatiq:__taskbridge__.leases.default", leases)
    assert sorted(beat(client)[3]) == ["taskbridge-here-1", "taskbridge-here-2"]
    assert beat(client, gone="taskbridge-here-1,taskbridge-here-9")[1:] == [1, 0, ["taskbridge-here-2"]]
    assert client.lrange("dramatiq:default", 0, -1) == ["1"]


def test_a_worker_without_its_lease_is_told_and_gets_nothing(client: Redis) -> None:
    assert beat(client)[0] == 1
    assert beat(client, is_new=False)[0] == 1
    client.zrem("dramatiq:__taskbridge__.leases.default", "taskbridge-me")
    client.hset("dramatiq:default.msgs", "1", "{}")
    client.rpush("dramatiq:default", "1")
    keys = ("default", "default.msgs", "__acks__.taskbridge-me.default", "__taskbridge__.leases.default", "crashes")
    assert FETCH(client, tuple(f"dramatiq:{key}" for key in keys), "taskbridge-me", 5) is None
    assert client.llen("dramatiq:default") == 1
    assert beat(client, is_new=False)[0] == 0


def test_messages_that_have_begun_and_died_again_are_given_out_one_at_a_time(client: Redis) -> None:
    given(client, "taskbridge-other", "1", "2", "innocent")
    client.hset("dramatiq:__taskbridge__.crashes.default", mapping={"1": 1, "2": 1, "innocent": 0})
    client.zadd("dramatiq:__taskbridge__.leases.default", {"taskbridge-other": 1})
    beat(client)
    first, *others = client.lrange("dramatiq:default", 0, -1)
    assert others == ["innocent"]
    assert first in ("1", "2")
    beat(client)
    assert client.llen("dramatiq:default") == 2
    client.hdel("dramatiq:default.msgs", first)
    beat(client)
    assert sorted(client.lrange("dramatiq:default", 0, -1)) == ["1", "2", "innocent"]


def test_a_sweep_takes_less_than_a_millisecond_among_a_million_keys_of_others(client: Redis) -> None:
    for part in range(50):
        client.eval("for i = 1, 20000 do redis.call('set', ARGV[1] .. ':' .. i, 1) end", 0, part)
    assert client.dbsize() == 1000000
    client.zadd("dramatiq:__heartbeats__", {f"producer-{number}": number for number in range(1000)})
    client.zadd("dramatiq:__taskbridge__.leases.default", {f"taskbridge-{n}": now(client) + 60000 for n in range(100)})
    beat(client)
    microseconds: list[float] = []
    for _ in range(50):
        client.config_resetstat()
        beat(client, is_new=False)
        microseconds.append(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
    client.flushdb(asynchronous=True)
    assert median(microseconds) < 1000, "half of them are not disturbed by what else the machine does"


def test_dead_letters_end_with_their_time(client: Redis) -> None:
    client.zadd("dramatiq:default.XQ", {"old": now(client) - 2000, "new": now(client) + 60000})
    client.hset("dramatiq:default.XQ.msgs", mapping={"old": "{}", "new": "{}"})
    beat(client)
    assert client.zrange("dramatiq:default.XQ", 0, -1) == client.hkeys("dramatiq:default.XQ.msgs") == ["new"]
