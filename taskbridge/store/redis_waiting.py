"""Jobs that wait for their time, in Redis: a sorted set of ids and a hash of messages for each backend."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store import waiting
from taskbridge.store.columns import microseconds
from taskbridge.store.redis_keys import BATCH, NOW, RedisKeys, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from taskbridge.message import Message
    from taskbridge.store.waiting import Claimed

_MICROSECOND: Final = timedelta(microseconds=1)

# Keys of all scripts: the sorted set of ids by their time, the hash of messages by their ids.
# Arguments: the time, the id and the message of each job.
_HOLD: Final = """
for index = 1, #ARGV, 3 do
    redis.call('ZADD', KEYS[1], ARGV[index], ARGV[index + 1])
    redis.call('HSET', KEYS[2], ARGV[index + 1], ARGV[index + 2])
end
"""
_UNTIL_DUE: Final = f"""
{NOW}
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return nil end
return tonumber(first[2]) - now
"""
# Arguments: how many, the span. A claim puts off the job's time: one that is neither handed over nor given back comes
# up again by itself. Ids and messages are one text, and their lengths another: redis-py reads two thousand replies much
# more slowly.
_CLAIM: Final = f"""
{NOW}
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids == 0 then return {{now, '', ''}} end
local messages, untils, parts, lengths = redis.call('HMGET', KEYS[2], unpack(ids)), {{}}, {{}}, {{}}
for index, id in ipairs(ids) do
    local message, place = messages[index] or '', 2 * index
    untils[place - 1], untils[place] = now + ARGV[2], id
    parts[place - 1], parts[place] = id, message
    lengths[place - 1], lengths[place] = #id, #message
end
redis.call('ZADD', KEYS[1], unpack(untils))
return {{now + ARGV[2], table.concat(lengths, ' '), table.concat(parts)}}
"""
# Arguments: what becomes of them, then the id and the token of each job.
_SETTLE: Final = f"""
{NOW}
local ids, again = {{}}, {{}}
for index = 2, #ARGV, 2 do
    local id = ARGV[index]
    if tonumber(redis.call('ZSCORE', KEYS[1], id) or -1) == tonumber(ARGV[index + 1]) then
        ids[#ids + 1] = id
        again[#again + 1] = now
        again[#again + 1] = id
    end
end
if #ids == 0 then return end
if ARGV[1] == 'delete' then
    redis.call('ZREM', KEYS[1], unpack(ids))
    redis.call('HDEL', KEYS[2], unpack(ids))
else
    redis.call('ZADD', KEYS[1], unpack(again))
end
"""
_WITHDRAW: Final = """
redis.call('HDEL', KEYS[2], unpack(ARGV))
return redis.call('ZREM', KEYS[1], unpack(ARGV))
"""


class RedisWaitingStore(RedisKeys):
    """A `WaitingStore` in `PREFIX:waiting:ALIAS` and `PREFIX:waiting-jobs:ALIAS`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._hold = self._client.register_script(_HOLD)
        self._until_due = self._client.register_script(_UNTIL_DUE)
        self._claim = self._client.register_script(_CLAIM)
        self._withdraw = self._client.register_script(_WITHDRAW)
        self._settle = self._client.register_script(_SETTLE)

    def hold(self, backend: str, messages: Sequence[Message], /) -> None:
        for start in range(0, len(messages), BATCH):
            arguments: list[str | int] = []
            for message in messages[start : start + BATCH]:
                due = microseconds(message.run_after) if message.run_after is not None else 0
                arguments += (due, message.id, waiting.to_text(message))
            self._ask(partial(self._hold, keys=self._keys(backend), args=arguments))

    def until_due(self, backend: str, /) -> timedelta | None:
        left: Any = self._ask(partial(self._until_due, keys=self._keys(backend)))
        return None if left is None else int(left) * _MICROSECOND

    def claim_due(self, backend: str, /, *, limit: int, span: timedelta) -> Claimed:
        arguments = [min(limit, BATCH), span // _MICROSECOND]
        found: Any = self._ask(partial(self._claim, keys=self._keys(backend), args=arguments))
        token, lengths, joined = found
        parts = list(_split(joined if isinstance(joined, bytes) else joined.encode(), lengths.split()))
        rows = [(text(job_id), content, int(token)) for job_id, content in zip(parts[::2], parts[1::2], strict=True)]
        return waiting.claimed(backend, rows)

    def handed_over(self, claimed: Claimed, /) -> None:
        self._settled("delete", claimed)

    def give_back(self, claimed: Claimed, /) -> None:
        self._settled("again", claimed)

    def withdraw(self, backend: str, ids: Sequence[str], /) -> int:
        deleted = 0
        for start in range(0, len(ids), BATCH):
            deleted += self._ask(partial(self._withdraw, keys=self._keys(backend), args=ids[start : start + BATCH]))
        return deleted

    def _settled(self, what: str, claimed: Claimed) -> None:
        pairs = list(claimed.tokens.items())
        for start in range(0, len(pairs), BATCH):
            arguments = [what, *(part for pair in pairs[start : start + BATCH] for part in pair)]
            self._ask(partial(self._settle, keys=self._keys(claimed.backend), args=arguments))

    def _keys(self, backend: str) -> list[str]:
        return [f"{self._prefix}:waiting:{backend}", f"{self._prefix}:waiting-jobs:{backend}"]


def _split(joined: bytes, lengths: Iterable[str | bytes]) -> Iterator[bytes]:
    start = 0
    for length in map(int, lengths):
        yield joined[start : start + length]
        start += length
