"""Leases and counters in Redis: a script each, by the server's clock."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store.columns import moment
from taskbridge.store.lease import Lease
from taskbridge.store.redis_keys import NOW, RedisKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

_MICROSECOND: Final = timedelta(microseconds=1)
FORGET_AFTER_MS: Final = 24 * 60 * 60 * 1_000
"""How long a lease that has ended is kept, so that tokens rise although a clock is set back."""

# Arguments: the holder, the span. The token comes from the clock, so that it rises although old leases are forgotten.
_ACQUIRE: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until')
local token, is_held = tonumber(was[2] or 0), was[3] and tonumber(was[3]) > now
if is_held and was[1] ~= ARGV[1] then return nil end
if not is_held then token = math.max(token + 1, now) end
local ends = now + ARGV[2]
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token, 'until', ends)
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000) + {FORGET_AFTER_MS})
return {{token, ends}}
"""
# Arguments: the span, then the token for each key. Gives the places of those that are still held.
_PROLONG: Final = f"""
{NOW}
local held = {{}}
for index, key in ipairs(KEYS) do
    if redis.call('HGET', key, 'token') == ARGV[index + 1] then
        redis.call('HSET', key, 'until', now + ARGV[1])
        redis.call('PEXPIRE', key, math.ceil(ARGV[1] / 1000) + {FORGET_AFTER_MS})
        held[#held + 1] = index
    end
end
return held
"""
_COUNT: Final = """
local count = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
"""


class RedisLeaseStore(RedisKeys):
    """A `LeaseStore` in hashes named `PREFIX:lease:NAME` and numbers named `PREFIX:count:NAME`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._leases = f"{prefix}:lease:"
        self._counters = f"{prefix}:count:"
        self._acquire = self._client.register_script(_ACQUIRE)
        self._prolong = self._client.register_script(_PROLONG)
        self._count = self._client.register_script(_COUNT)

    def acquire(self, name: str, /, *, holder: str, span: timedelta) -> Lease | None:
        arguments = [holder, span // _MICROSECOND]
        found: Any = self._ask(partial(self._acquire, keys=[self._leases + name], args=arguments))
        if found is None:
            return None
        token, until = found
        return Lease(name=name, holder=holder, token=token, until=moment(until))

    def renew(self, leases: Sequence[Lease], /, *, span: timedelta) -> frozenset[str]:
        return self._prolonged(self._prolong, self._leases, leases, span)

    def release(self, leases: Sequence[Lease], /) -> None:
        self._prolonged(self._prolong, self._leases, leases, timedelta(0))

    def count(self, name: str, /, *, span: timedelta) -> int:
        milliseconds = span // timedelta(milliseconds=1)
        return int(self._ask(partial(self._count, keys=[self._counters + name], args=[milliseconds])))
