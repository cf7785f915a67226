"""Dead letters in Redis: a hash each, and a sorted set that knows them by their age."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store import columns, letter_columns
from taskbridge.store.columns import microseconds
from taskbridge.store.redis_keys import BATCH, RedisKeys, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from redis import Redis

    from taskbridge.store.letter import DeadLetter, Selection

PAGE: Final = 100
"""Letters that are read at once: each may hold a large message."""

# Keys: the letter, the set. Arguments: the id, when it was buried, its life, its redrives, the new line of the history,
# the history's limit, life in ms, then fields and values. Beside it a few letters that Redis has expired leave the set.
_BURY: Final = """
local key, ids = KEYS[1], KEYS[2]
local life, redrives, line = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local was = redis.call('HMGET', key, 'life', 'redrives', 'history')
if was[1] then
    local is_raw = false
    for index = 8, #ARGV, 2 do is_raw = is_raw or ARGV[index] == 'payload' end
    if life < tonumber(was[1]) and not is_raw then return 0 end
    if is_raw then life = tonumber(was[2]) end
    redrives = math.max(redrives, tonumber(was[2]))
    line = #was[3] > tonumber(ARGV[6]) and was[3] or was[3] .. line
end
redis.call('DEL', key)
redis.call('HSET', key, 'life', life, 'redrives', redrives, 'history', line, unpack(ARGV, 8))
redis.call('PEXPIRE', key, ARGV[7])
redis.call('ZADD', ids, ARGV[2], ARGV[1])
local prefix = string.sub(key, 1, #key - #ARGV[1])
for _, oldest in ipairs(redis.call('ZRANGE', ids, 0, 9)) do
    if redis.call('EXISTS', prefix .. oldest) == 0 then redis.call('ZREM', ids, oldest) end
end
return 1
"""
_REDRIVEN: Final = """
local was = redis.call('HMGET', KEYS[1], 'redrives', 'history')
if not was[1] then return 0 end
redis.call('HSET', KEYS[1], 'redrives', math.max(tonumber(was[1]), tonumber(ARGV[1])), 'history', was[2] .. ARGV[2])
return 1
"""
_APART: Final = frozenset({"life", "redrives", "history"})


class RedisDeadLetterStore(RedisKeys):
    """A `DeadLetterStore` in hashes named `PREFIX:dead-letter:ID`, listed in `PREFIX:dead-letters`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._letters = f"{prefix}:dead-letter:"
        self._ids = f"{prefix}:dead-letters"
        self._bury = self._client.register_script(_BURY)
        self._redriven = self._client.register_script(_REDRIVEN)

    def bury(self, letter: DeadLetter, /) -> None:
        row = letter_columns.of_letter(letter)
        fields = [
            part for name, value in row.items() if name not in _APART and value is not None for part in (name, value)
        ]
        arguments: list[str | int] = [
            letter.id,
            row["buried_at"] or 0,
            row["life"] or 0,
            row["redrives"] or 0,
            row["history"] or "",
            letter_columns.HISTORY_LIMIT,
            (int(row["expires_at"] or 0) - columns.now()) // 1_000,
            *fields,
        ]
        self._ask(partial(self._bury, keys=[self._letters + letter.id, self._ids], args=arguments))

    def letters(self, selection: Selection, /) -> Iterator[DeadLetter]:
        first = "-inf" if selection.since is None else str(microseconds(selection.since))
        last = "+inf" if selection.before is None else f"({microseconds(selection.before)}"
        if selection.ids:
            ids = list(selection.ids)
        else:
            ids = [text(found) for found in self._ask(partial(self._client.zrangebyscore, self._ids, first, last))]
        for start in range(0, len(ids), PAGE):
            page = self._read(ids[start : start + PAGE])
            if selection.ids:
                page.sort(key=lambda letter: (letter.buried_at, letter.id))
            yield from filter(selection.fits, page)

    def redriven(self, letter_id: str, /, *, number: int, at: datetime) -> None:
        line = letter_columns.redrive_line(number=number, at=at)
        self._ask(partial(self._redriven, keys=[self._letters + letter_id], args=[number, line]))

    def discard(self, ids: Sequence[str], /) -> int:
        deleted = 0
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            pipe = self._client.pipeline()
            pipe.delete(*[self._letters + letter_id for letter_id in batch])
            pipe.zrem(self._ids, *batch)
            deleted += self._ask(pipe.execute)[0]
        return deleted

    def _read(self, ids: Sequence[str]) -> list[DeadLetter]:
        pipe = self._client.pipeline(transaction=False)
        for letter_id in ids:
            pipe.hgetall(self._letters + letter_id)
        answers: Any = self._ask(pipe.execute)
        rows = [{text(name): text(value) for name, value in answer.items()} for answer in answers if answer]
        return [letter_columns.to_letter({name: row.get(name) for name in letter_columns.NAMES}) for row in rows]
