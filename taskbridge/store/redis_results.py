"""Results in Redis: a hash for each record, a Lua script for each kind of write."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from taskbridge.store import columns
from taskbridge.store.record import Page
from taskbridge.store.redis_keys import BATCH, RedisKeys, text
from taskbridge.store.transition import Failed, Retrying, Started

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis import Redis

    from taskbridge.store.columns import Columns
    from taskbridge.store.record import DetailStatus, NewRecord, Record
    from taskbridge.store.transition import Transition

_KEPT: Final = ("id", "task", "queue_name", "backend", "enqueued_at", "started_at", "priority", "arguments")
_SET: Final = ("detail_status", "last_attempted_at", "finished_at", "value")

_LOOKS: Final = 20
"""Portions of the server's keys that one page goes through at most: they may be a million of somebody else's."""

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

# Given: states that stay, states in which a later execution stays, the attempt, the execution, whether they replace
# what is there, the new error, the limit of all errors, life in ms, the new worker, the limit of all workers, the
# number of fields and values to keep if they are there, those, and the fields and values to write.
RECORD: Final = """
local function record(key, given)
    local attempt, execution, line = tonumber(given[3]), tonumber(given[4]), given[6]
    local was = redis.call('HMGET', key, 'detail_status', 'attempts', 'execution')
    local attempts, latest = tonumber(was[2] or 0), tonumber(was[3] or 0)
    if was[1] then
        local status = ' ' .. was[1] .. ' '
        if string.find(given[1], status, 1, true) then return 0 end
        if latest > execution and string.find(given[2], status, 1, true) then return 0 end
    end
    if given[5] == '1' or attempt > attempts then attempts = attempt end
    if given[5] == '1' or execution > latest then latest = execution end
    redis.call('HDEL', key, 'value', 'finished_at')
    local split = 11 + tonumber(given[11])
    for index = 12, split, 2 do
        redis.call('HSETNX', key, given[index], given[index + 1])
    end
    redis.call('HSET', key, 'attempts', attempts, 'execution', latest, unpack(given, split + 1))
    if line ~= '' then
        local errors = redis.call('HGET', key, 'errors') or ''
        if #errors <= tonumber(given[7]) then redis.call('HSET', key, 'errors', errors .. line) end
    end
    if given[9] ~= '' then
        local workers = redis.call('HGET', key, 'workers') or ''
        if #workers <= tonumber(given[10]) then redis.call('HSET', key, 'workers', workers .. given[9]) end
    end
    redis.call('PEXPIRE', key, given[8])
    return 1
end
"""
"""For a script: writes a transition, of which `transition_arguments` tells all, and gives 1 if it was not refused."""
_TRANSITION: Final = f"{RECORD} return record(KEYS[1], ARGV)"


class RedisResultStore(RedisKeys):
    """A `ResultStore` in hashes named `PREFIX:result:ID`, which Redis itself expires."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._results = f"{prefix}:result:"
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
                keys.append(self._results + job.id)
                arguments += (len(pairs), _life(row, now), *pairs)
            self._ask(partial(self._queued, keys=keys, args=arguments))

    def record(self, job: NewRecord, transition: Transition, /) -> bool:
        arguments = transition_arguments(job, transition)
        return int(self._ask(partial(self._transition, keys=[self._results + job.id], args=arguments))) == 1

    def forget(self, ids: Sequence[str], /) -> None:
        for start in range(0, len(ids), BATCH):
            keys = [self._results + job_id for job_id in ids[start : start + BATCH]]
            self._ask(partial(self._client.delete, *keys))

    def page(self, *, limit: int, after: str = "") -> Page:
        cursor, keys = int(after or 0), []
        for _ in range(_LOOKS):
            cursor, found = self._ask(partial(self._client.scan, cursor, match=f"{self._results}*", count=BATCH))
            keys += found
            if cursor == 0 or len(keys) >= limit:
                break
        reading = self._client.pipeline(transaction=False)
        for key in dict.fromkeys(keys):
            reading.hgetall(key)
        return Page(records=tuple(map(_record, filter(None, self._ask(reading.execute)))), after=str(cursor or ""))

    def read(self, job_id: str, /) -> Record | None:
        found = self._ask(partial(self._client.hgetall, self._results + job_id))
        return _record(found) if found else None


def transition_arguments(job: NewRecord, transition: Transition, /) -> list[str | int]:
    """All that a script must be given to write the transition."""
    row = columns.of_transition(job, transition)
    kind = type(transition)
    is_retry = kind is Retrying
    kept = _pairs(row, _KEPT if is_retry else (*_KEPT, "run_after"))
    written = _pairs(row, (*_SET, "run_after") if is_retry else _SET)
    return [
        _listed(kind.rule.yields_to),
        _listed(kind.rule.newer_wins_in),
        row["attempts"] or 0,
        row["execution"] or 0,
        int(kind is Started),
        row["errors"] or "",
        2**53 if kind is Failed else columns.ERRORS_LIMIT,
        _life(row, columns.now()),
        row["workers"] or "",
        columns.WORKERS_LIMIT,
        len(kept),
        *kept,
        *written,
        "expires_at",
        row["expires_at"] or 0,
    ]


def _record(found: Mapping[str | bytes, str | bytes]) -> Record:
    fields = {text(name): text(value) for name, value in found.items()}
    return columns.to_record({name: fields.get(name) for name in columns.NAMES})


def _pairs(row: Columns, names: Iterable[str]) -> list[str | int]:
    return [part for name in names if (value := row[name]) is not None for part in (name, value)]


def _life(row: Columns, now: int) -> int:
    # A span and not a moment, so that a server whose clock is wrong does not drop records early.
    return (int(row["expires_at"] or 0) - now) // 1_000


def _listed(statuses: frozenset[DetailStatus]) -> str:
    return f" {' '.join(status.value for status in statuses)} "
