"""Idempotency keys in Redis: a script each, by the server's clock."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store.columns import moment
from taskbridge.store.key import Key
from taskbridge.store.redis_ahead import RedisAhead
from taskbridge.store.redis_keys import NOW, RedisKeys, text
from taskbridge.store.redis_leases import FORGET_AFTER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

_MICROSECOND: Final = timedelta(microseconds=1)

CLAIM: Final = f"""
{NOW}
local function claim(key, counter, job, holder, span)
    local was = redis.call('HMGET', key, 'job', 'holder', 'token', 'until', 'done_at', 'skipped')
    local waits = redis.call('GET', counter) or '0'
    if was[4] and tonumber(was[4]) > now then
        local skipped = was[5] and redis.call('HINCRBY', key, 'skipped', 1) or was[6]
        return {{was[1], was[2], was[3], tonumber(was[4]) - now, was[5] or '', skipped, waits}}
    end
    local token = math.max(tonumber(was[3] or 0) + 1, now)
    redis.call('HSET', key, 'job', job, 'holder', holder, 'token', token, 'until', now + span, 'skipped', 0)
    redis.call('HDEL', key, 'done_at')
    redis.call('PEXPIRE', key, math.ceil(span / 1000) + {FORGET_AFTER_MS})
    return {{job, holder, token, tonumber(span), '', 0, waits}}
end
"""
"""For a script: takes a key, and gives what `answered_key` reads."""
END: Final = f"""
{NOW}
local function complete(key, token, kept)
    if redis.call('HGET', key, 'token') ~= token then return 0 end
    redis.call('HSETNX', key, 'done_at', now)
    redis.call('HSET', key, 'until', now + kept)
    redis.call('PEXPIRE', key, math.ceil(kept / 1000) + {FORGET_AFTER_MS})
    return 1
end
local function release(key, token)
    local was = redis.call('HMGET', key, 'token', 'done_at')
    if was[1] ~= token or was[2] then return 0 end
    redis.call('HSET', key, 'until', now)
    return 1
end
"""
"""For a script: completes a key or gives it back, and gives 1 if it was still held."""

# The second key is the counter of the job's waits.
_CLAIM: Final = f"{CLAIM} return claim(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])"
# Arguments: the span, then the token for each key. Gives the places of those that are still held.
_RENEW: Final = f"""
{NOW}
local held = {{}}
for index, key in ipairs(KEYS) do
    local was = redis.call('HMGET', key, 'token', 'done_at')
    if was[1] == ARGV[index + 1] and not was[2] then
        redis.call('HSET', key, 'until', now + ARGV[1])
        redis.call('PEXPIRE', key, math.ceil(ARGV[1] / 1000) + {FORGET_AFTER_MS})
        held[#held + 1] = index
    end
end
return held
"""
_COMPLETE: Final = f"{END} return complete(KEYS[1], ARGV[1], ARGV[2])"
_RELEASE: Final = f"{END} return release(KEYS[1], ARGV[1])"
_READ: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'job', 'holder', 'token', 'until', 'done_at', 'skipped')
if not was[4] or tonumber(was[4]) <= now then return nil end
return {{was[1], was[2], was[3], tonumber(was[4]) - now, was[5] or '', was[6], 0}}
"""
_FORGET: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'until', 'done_at')
if not was[2] or tonumber(was[1]) <= now then return 0 end
redis.call('HSET', KEYS[1], 'until', now)
return 1
"""


class RedisKeyStore(RedisKeys):
    """A `KeyStore` in hashes named `PREFIX:key:NAME`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._key_names = f"{prefix}:key:"
        self._waits = f"{prefix}:count:"
        self._ahead = RedisAhead(client.connection_pool)
        register = self._client.register_script
        self._claim_key, self._renew_keys, self._complete_key = register(_CLAIM), register(_RENEW), register(_COMPLETE)
        self._release_key, self._read_key, self._forget_key = register(_RELEASE), register(_READ), register(_FORGET)

    def claim_key(self, name: str, /, *, job: str, holder: str, span: timedelta, waits: str) -> Key:
        keys = [self._key_names + name, self._waits + waits]
        arguments: list[str | int] = [job, holder, span // _MICROSECOND]
        answer = self._ahead.ask("EVALSHA", self._claim_key.sha, len(keys), *keys, *arguments)
        if answer is None:
            answer = self._ask(partial(self._claim_key, keys=keys, args=arguments))
        return answered_key(name, answer)

    def renew_keys(self, keys: Sequence[Key], /, *, span: timedelta) -> frozenset[str]:
        return self._prolonged(self._renew_keys, self._key_names, keys, span)

    def complete_key(self, key: Key, /, *, kept: timedelta) -> bool:
        arguments = [key.token, kept // _MICROSECOND]
        return int(self._ask(partial(self._complete_key, keys=[self._key_names + key.name], args=arguments))) == 1

    def send_completion(self, key: Key, /, *, kept: timedelta, refused: Callable[[], object]) -> bool:
        # The script itself and not its digest, which a server that was restarted does not know.
        arguments = (1, self._key_names + key.name, key.token, kept // _MICROSECOND)
        return self._ahead.send("EVAL", _COMPLETE, *arguments, refused=refused)

    def settle(self) -> None:
        self._ahead.settle()

    def close(self) -> None:
        self.settle()
        super().close()

    def release_key(self, key: Key, /) -> bool:
        return int(self._ask(partial(self._release_key, keys=[self._key_names + key.name], args=[key.token]))) == 1

    def read_key(self, name: str, /) -> Key | None:
        found: Any = self._ask(partial(self._read_key, keys=[self._key_names + name]))
        return None if found is None else answered_key(name, found)

    def forget_key(self, name: str, /) -> bool:
        return int(self._ask(partial(self._forget_key, keys=[self._key_names + name]))) == 1


def answered_key(name: str, answer: Any, /) -> Key:
    """What the claim of the key of this name was answered."""
    job, holder, token, left, done_at, skipped, waits = answer
    return Key(
        name=name,
        job=text(job),
        holder=text(holder),
        token=int(token),
        left=timedelta(microseconds=left),
        done_at=moment(int(done_at)) if done_at else None,
        skipped=int(skipped),
        waits=int(waits),
    )
