"""Results in Redis: a hash for each record, a Lua script for each kind of write."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskbridge.errors import StoreUnavailable
from taskbridge.store import columns
from taskbridge.store.transition import Failed, Retrying, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskbridge.store.columns import Columns
    from taskbridge.store.record import DetailStatus, NewRecord, Record
    from taskbridge.store.transition import Transition

T = TypeVar("T")

SOCKET_TIMEOUT: Final = 5.0
"""Seconds that a connection, and the answer to a command, may take."""
BATCH: Final = 1_000
"""Records that one command touches at most, since Redis serves nobody else meanwhile."""

_KEPT: Final = ("id", "task", "queue_name", "backend", "enqueued_at", "started_at")
_SET: Final = ("detail_status", "last_attempted_at", "finished_at", "value")

# For each key: the number of its arguments, its life in ms, then fields and values.
_QUEUED: Final = """
local first = 1
for index, key in ipairs(KEYS) do
    local last = first + 1 + tonumber(ARGV[first])
    if redis.call('EXISTS', key) == 0 then
        redis.call('HSET', key, unpack(ARGV, first + 2, last))
        redis.call('PEXPIRE', key, ARGV[first + 1])
    end
    first = last + 1
end
"""

# Arguments: states that stay, states in which a newer attempt stays, the attempt, whether it replaces the count,
# the new error, the limit of all errors, life in ms, the number of fields and values to keep if they are there,
# those, and the fields and values to write.
_TRANSITION: Final = """
local key, attempt, line = KEYS[1], tonumber(ARGV[3]), ARGV[5]
local was = redis.call('HMGET', key, 'detail_status', 'attempts')
local attempts = tonumber(was[2] or 0)
if was[1] then
    local status = ' ' .. was[1] .. ' '
    if string.find(ARGV[1], status, 1, true) then return 0 end
    if attempts > attempt and string.find(ARGV[2], status, 1, true) then return 0 end
end
if ARGV[4] == '1' or attempt > attempts then attempts = attempt end
redis.call('HDEL', key, 'value', 'finished_at')
local split = 8 + tonumber(ARGV[8])
for index = 9, split, 2 do
    redis.call('HSETNX', key, ARGV[index], ARGV[index + 1])
end
redis.call('HSET', key, 'attempts', attempts, unpack(ARGV, split + 1))
if line ~= '' then
    local errors = redis.call('HGET', key, 'errors') or ''
    if #errors <= tonumber(ARGV[6]) then redis.call('HSET', key, 'errors', errors .. line) end
end
redis.call('PEXPIRE', key, ARGV[7])
return 1
"""


def redis_client(url: str, /) -> Redis:
    """A client that answers or fails within `SOCKET_TIMEOUT` and never repeats a command by itself.

    Connects nothing. Raises `ValueError` or `TypeError` for a URL that redis-py cannot use.
    """
    client: Any = Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    pool = client.connection_pool
    # An unknown option in the URL would come to light at the first command only.
    pool.connection_class(**pool.connection_kwargs)
    return cast("Redis", client)


class RedisResultStore:
    """A `ResultStore` in hashes named `PREFIX:result:ID`, which Redis itself expires.

    Not for Redis Cluster: one command touches many keys.
    """

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        """With a client of the application's, its own settings of timeouts and retries hold. Every write of the store
        may be repeated."""
        self._client: Any = client
        self._prefix = f"{prefix}:result:"
        self._queued = self._client.register_script(_QUEUED)
        self._transition = self._client.register_script(_TRANSITION)

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        for start in range(0, len(jobs), BATCH):
            now = columns.now()
            keys: list[str] = []
            arguments: list[str | int] = []
            for job in jobs[start : start + BATCH]:
                row = columns.of_new(job)
                pairs = _pairs(row, row)
                keys.append(self._prefix + job.id)
                arguments += (len(pairs), _life(row, now), *pairs)
            self._ask(partial(self._queued, keys=keys, args=arguments))

    def record(self, job: NewRecord, transition: Transition, /) -> None:
        row = columns.of_transition(job, transition)
        kind = type(transition)
        is_retry = kind is Retrying
        kept = _pairs(row, _KEPT if is_retry else (*_KEPT, "run_after"))
        written = _pairs(row, (*_SET, "run_after") if is_retry else _SET)
        arguments: list[str | int] = [
            _listed(kind.rule.yields_to),
            _listed(kind.rule.newer_wins_in),
            row["attempts"] or 0,
            int(kind is Started),
            row["errors"] or "",
            2**53 if kind is Failed else columns.ERRORS_LIMIT,
            _life(row, columns.now()),
            len(kept),
            *kept,
            *written,
            "expires_at",
            row["expires_at"] or 0,
        ]
        self._ask(partial(self._transition, keys=[self._prefix + job.id], args=arguments))

    def forget(self, ids: Sequence[str], /) -> None:
        for start in range(0, len(ids), BATCH):
            keys = [self._prefix + job_id for job_id in ids[start : start + BATCH]]
            self._ask(partial(self._client.delete, *keys))

    def read(self, job_id: str, /) -> Record | None:
        found = self._ask(partial(self._client.hgetall, self._prefix + job_id))
        if not found:
            return None
        fields = {_text(name): _text(value) for name, value in found.items()}
        return columns.to_record({name: fields.get(name) for name in columns.NAMES})

    def close(self) -> None:
        self._client.close()

    def _ask(self, command: Callable[[], T]) -> T:
        try:
            return command()
        except RedisError as error:
            raise StoreUnavailable(f"the store on Redis did not do as asked: {error}") from error


def _pairs(row: Columns, names: Iterable[str]) -> list[str | int]:
    return [part for name in names if (value := row[name]) is not None for part in (name, value)]


def _life(row: Columns, now: int) -> int:
    # A span and not a moment, so that a server whose clock is wrong does not drop records early.
    return (int(row["expires_at"] or 0) - now) // 1_000


def _listed(statuses: frozenset[DetailStatus]) -> str:
    return f" {' '.join(status.value for status in statuses)} "


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
