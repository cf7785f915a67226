"""Keys and records of jobs in Redis: a script that writes both."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store.redis_idempotency import CLAIM, END, RedisKeyStore, answered_key
from taskbridge.store.redis_results import RECORD, RedisResultStore, transition_arguments

if TYPE_CHECKING:
    from redis import Redis

    from taskbridge.store.key import Key
    from taskbridge.store.record import NewRecord
    from taskbridge.store.transition import Started, Transition

_MICROSECOND: Final = timedelta(microseconds=1)

# Keys: of the key, the counter of waits, the record. Arguments: job, holder, span, then what the record is given.
_START: Final = f"""
{CLAIM}
{RECORD}
local key = claim(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
local begins = key[2] == ARGV[2] and tonumber(key[7]) == 0
key[8] = begins and record(KEYS[3], {{unpack(ARGV, 4)}}) or 0
return key
"""
# Arguments: the token, how long the key is kept or nothing, then what the record is given.
_END: Final = f"""
{END}
{RECORD}
local done
if ARGV[2] == '' then done = release(KEYS[1], ARGV[1]) else done = complete(KEYS[1], ARGV[1], ARGV[2]) end
return {{done, done == 1 and record(KEYS[2], {{unpack(ARGV, 3)}}) or 0}}
"""


class RedisKeyedResultStore(RedisResultStore, RedisKeyStore):
    """A `KeyedResultStore` in the hashes of both."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._start, self._end = self._client.register_script(_START), self._client.register_script(_END)

    def start_with_key(
        self, name: str, /, *, job: NewRecord, started: Started, holder: str, span: timedelta, waits: str
    ) -> tuple[Key, bool]:
        keys = [self._key_names + name, self._waits + waits, self._results + job.id]
        arguments = [job.id, holder, span // _MICROSECOND, *transition_arguments(job, started)]
        answer: Any = self._ask(partial(self._start, keys=keys, args=arguments))
        return answered_key(name, answer[:-1]), int(answer[-1]) == 1

    def end_with_key(
        self, key: Key, /, *, job: NewRecord, ended: Transition, kept: timedelta | None
    ) -> tuple[bool, bool]:
        keys = [self._key_names + key.name, self._results + job.id]
        span = "" if kept is None else kept // _MICROSECOND
        arguments = [key.token, span, *transition_arguments(job, ended)]
        answer: Any = self._ask(partial(self._end, keys=keys, args=arguments))
        return int(answer[0]) == 1, int(answer[1]) == 1
