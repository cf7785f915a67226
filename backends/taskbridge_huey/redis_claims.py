"""Claims on Redis: a list or sorted set, as the queue is, for each worker, and a sorted set of leases for each queue.

An element moves from the queue to the worker's key in one command, so that there is no moment in which a death, of
worker, connection or server, could lose it. Redis 6.2 or later.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, Final

from huey.storage import RedisPriorityQueue, RedisStorage
from redis import ConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from taskbridge.brokers.redis import Sender
from taskbridge.brokers.sentinel import own_pool
from taskbridge_huey.claim import (
    CRASH_MARK,
    LEASE_SECONDS,
    Claim,
    Due,
    Successor,
    unmarked,
)
from taskbridge_huey.redis_scripts import LIST, SORTED_SET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

WAIT_SECONDS: Final = 1
"""How long one blocking claim waits for an element."""
ANSWER_SECONDS: Final = 5
"""How long an answer may take, beyond that wait."""
REMEMBER_SECONDS: Final = 600
"""How long a dead worker's key is looked at again, for what a stopped server moves there when it goes on."""

_PREFIX = struct.Struct(">Q")


class RedisClaims:
    """The claims on a Redis list, as `huey.storage.RedisStorage` has it."""

    is_blocking: bool = True
    unavailable: tuple[type[Exception], ...] = (exceptions.RedisError,)
    scripts = LIST
    prefix_length = 0

    def __init__(self, storage: RedisStorage) -> None:
        self._storage = storage
        self._claimed = f"huey.claimed.{storage.name}."
        self._leases = f"huey.leases.{storage.name}"
        self._marks = f"huey.marks.{storage.name}"
        # Scripts and blocking moves must not be repeated behind our back, as a pool of the application's might.
        self._redis = Redis(connection_pool=_without_repeats(storage.pool))
        self._sender = Sender(self._redis.connection_pool)
        self._script = {name: self._redis.register_script(text) for name, text in self.scripts.items()}
        self._is_full = False

    def prepare(self) -> None: ...

    def claim(self, worker: str, settled: Claim | None, forgotten: Sequence[str] = (), /) -> Claim | None:
        claimed = self._claimed + worker
        if self._is_full:
            # A server without memory refuses BLMOVE, though it frees what it takes: nobody could work the queue off.
            time.sleep(0.02)
            claim = self._take(claimed, settled, forgotten)
            self._is_full = claim is not None
            return claim
        commands = self._deletions(forgotten)
        if settled is not None:
            commands.append(("LREM", claimed, 1, settled.element))
        commands.append(("BLMOVE", self._storage.queue_key, claimed, "RIGHT", "LEFT", WAIT_SECONDS))
        replies = self._sender.send_many(commands)
        for reply in replies:
            if isinstance(reply, exceptions.OutOfMemoryError):
                self._is_full = True
                return None
            if isinstance(reply, Exception):
                raise reply
        return self._claim(replies[-1])

    def forget(self, keys: Sequence[str], /) -> None:
        for command in self._deletions(keys):
            self._sender.send(*command)

    def _take(self, claimed: str, settled: Claim | None, forgotten: Sequence[str]) -> Claim | None:
        element = settled.element if settled else b""
        arguments = (2, claimed, self._storage.queue_key, element)
        replies = self._sender.send_many(
            [*self._deletions(forgotten), ("EVALSHA", self._script["take"].sha, *arguments)]
        )
        if isinstance(replies[-1], exceptions.NoScriptError):
            replies = [self._sender.send("EVAL", self.scripts["take"], *arguments)]
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return self._claim(replies[-1])

    def _deletions(self, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        found = self._storage.result_key
        return [("DEL", found(key)) if callable(found) else ("HDEL", found, key) for key in keys]

    def _claim(self, element: bytes | None) -> Claim | None:
        if element is None:
            return None
        data, crashes = unmarked(element[self.prefix_length :])
        return Claim(element, data, crashes)

    def settle(self, worker: str, claim: Claim, successors: Sequence[Successor], /) -> bool:
        keys = [self._claimed + worker, self._storage.queue_key, self._storage.schedule_key]
        return bool(self._run("settle", keys, claim.element, *self._flat(successors)))

    def is_held(self, worker: str, claim: Claim, /) -> bool:
        return bool(self._run("is_held", [self._claimed + worker], claim.token))

    def give_back(self, worker: str, token: str | None = None, /, *, has_crashed: bool) -> int:
        keys = [self._claimed + worker, self._storage.queue_key, self._leases, self._marks]
        return int(self._run("give_back", keys, token or "", int(has_crashed), worker))

    def renew(self, workers: Sequence[str], mark: str, /) -> dict[str, set[str]]:
        held: dict[str, set[str]] = {worker: set() for worker in workers}
        found = self._run(
            "renew", [self._leases, self._marks], int(LEASE_SECONDS * 1000), self._claimed, mark, *workers
        )
        for worker, token in zip(found[::2], found[1::2], strict=True):
            held[worker.decode()].add(token.decode())
        return held

    def marks(self) -> Mapping[str, str]:
        found: Any = self._redis.hgetall(self._marks)
        return {worker.decode(): mark.decode() for worker, mark in found.items()}

    def recover(self, dead: Sequence[str] = (), /) -> int:
        keys = [self._leases, self._storage.queue_key, self._marks]
        return int(self._run("recover", keys, self._claimed, REMEMBER_SECONDS * 1000, *dead))

    def due(self, now: datetime, limit: int, /) -> Sequence[Due]:
        found: Any = self._redis.zrange(
            self._storage.schedule_key, "-inf", self._storage.convert_ts(now), byscore=True, offset=0, num=limit
        )  # fmt: skip
        return [Due(element) for element in found]

    def move(self, due: Due, successors: Sequence[Successor], /) -> bool:
        keys = [self._storage.schedule_key, self._storage.queue_key, self._storage.schedule_key]
        return bool(self._run("move", keys, due.element, *self._flat(successors)))

    def _flat(self, successors: Sequence[Successor]) -> list[Any]:
        flat: list[Any] = []
        for place, successor in enumerate(successors):
            if successor.due is not None:
                flat += ("schedule", self._storage.convert_ts(successor.due), successor.data)
            else:
                flat += ("queue", -successor.priority, self._member(successor.data, place))
        return flat

    def _member(self, data: bytes, _place: int) -> bytes:
        return data

    def _run(self, name: str, keys: Sequence[str], *arguments: Any) -> Any:
        return self._script[name](keys=keys, args=arguments)


class PriorityRedisClaims(RedisClaims):
    """The claims on a sorted set, as `huey.storage.PriorityRedisStorage` has it.

    Redis moves nothing out of a sorted set while it blocks, so that an idle worker asks again and again.
    """

    is_blocking = False
    scripts = SORTED_SET
    prefix_length = _PREFIX.size

    def claim(self, worker: str, settled: Claim | None, forgotten: Sequence[str] = (), /) -> Claim | None:
        return self._take(self._claimed + worker, settled, forgotten)

    def _member(self, data: bytes, place: int) -> bytes:
        return _PREFIX.pack(int(time.time() * 1e6) + place) + data


def redis_claims(storage: Any, /) -> RedisClaims | None:
    """The claims on this storage; None if its queue has a shape of its own."""
    has_priority = isinstance(storage, RedisPriorityQueue)
    stock = RedisPriorityQueue if has_priority else RedisStorage
    if (type(storage).enqueue, type(storage).dequeue) != (stock.enqueue, stock.dequeue):
        return None
    return PriorityRedisClaims(storage) if has_priority else RedisClaims(storage)


def _without_repeats(pool: ConnectionPool) -> ConnectionPool:
    arguments: dict[str, Any] = {
        "socket_timeout": WAIT_SECONDS + ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    if type(pool) is SentinelConnectionPool:
        return own_pool(pool, **arguments)
    if type(pool) is not ConnectionPool and type(pool).__name__ != "BlockingConnectionPool":
        return pool
    return ConnectionPool(connection_class=pool.connection_class, **{**pool.connection_kwargs, **arguments})


assert CRASH_MARK == b"\ntaskbridge-crashes:", "the scripts have it too"
