"""Schedules in Redis: a hash each, and a script for each step of a tick."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge.store.columns import microseconds
from taskbridge.store.redis_keys import NOW, RedisKeys, text
from taskbridge.store.standing import COLUMNS, standing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from redis import Redis

    from taskbridge.store.standing import Standing

_MICROSECOND: Final = timedelta(microseconds=1)
_READ: Final = f"redis.call('HMGET', KEYS[1], {', '.join(repr(name) for name in COLUMNS)})"
_HELD: Final = "redis.call('HGET', KEYS[1], 'token') == ARGV[1]"

# Arguments: the name, the timetable.
_ENTER: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'timetable', 'done_until')
if was[1] ~= ARGV[2] then
    local done = math.max(tonumber(was[2] or 0), now)
    redis.call('HSET', KEYS[1], 'name', ARGV[1], 'timetable', ARGV[2], 'done_until', done)
    redis.call('HSETNX', KEYS[1], 'is_paused', 0)
end
return {_READ}
"""
# Arguments: the nominal time, the span.
_CLAIM: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'done_until', 'claimed_until', 'is_paused', 'token')
local nominal = tonumber(ARGV[1])
if not was[1] or tonumber(was[1]) >= nominal or nominal > now then return nil end
if tonumber(was[2] or 0) > now or was[3] ~= '0' then return nil end
local token = math.max(tonumber(was[4] or 0) + 1, now)
redis.call('HSET', KEYS[1], 'token', token, 'claimed_until', now + ARGV[2])
return token
"""
# Arguments: the token, the nominal time, the job's id.
_DONE: Final = f"""
if not ({_HELD}) then return 0 end
redis.call('HSET', KEYS[1], 'done_until', ARGV[2], 'last_tick', ARGV[2], 'last_job', ARGV[3], 'claimed_until', 0)
return 1
"""
_RELEASE: Final = f"if {_HELD} then redis.call('HSET', KEYS[1], 'claimed_until', 0) end"
# Arguments: the time.
_PASS_OVER: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'done_until', 'claimed_until')
if was[1] and tonumber(was[1]) < tonumber(ARGV[1]) and tonumber(was[2] or 0) <= now then
    redis.call('HSET', KEYS[1], 'done_until', ARGV[1])
end
"""
_PAUSE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'is_paused', 1)
return 1
"""
_RESUME: Final = f"""
{NOW}
local was = redis.call('HMGET', KEYS[1], 'done_until', 'is_paused')
if not was[1] then return 0 end
if was[2] == '1' and tonumber(was[1]) < now then redis.call('HSET', KEYS[1], 'done_until', now) end
redis.call('HSET', KEYS[1], 'is_paused', 0)
return 1
"""


class RedisScheduleStore(RedisKeys):
    """A `ScheduleStore` in hashes named `PREFIX:schedule:NAME`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        texts = (_ENTER, _CLAIM, _DONE, _RELEASE, _PASS_OVER, _PAUSE, _RESUME)
        self._schedule = {text: self._client.register_script(text) for text in texts}

    def enter(self, name: str, timetable: str, /) -> Standing:
        return standing([_text(value) for value in self._run(_ENTER, name, name, timetable)])

    def standings(self, names: Sequence[str], /) -> dict[str, Standing]:
        def read() -> list[list[Any]]:
            with self._client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hmget(self._key(name), COLUMNS)
                found: list[list[Any]] = pipeline.execute()
                return found

        rows = [[_text(value) for value in row] for row in (self._ask(read) if names else [])]
        return {row[0]: standing(row) for row in rows if row[0] is not None}

    def claim_tick(self, name: str, nominal: datetime, /, *, span: timedelta) -> int | None:
        token: int | None = self._run(_CLAIM, name, microseconds(nominal), span // _MICROSECOND)
        return token

    def tick_done(self, name: str, nominal: datetime, token: int, /, *, job_id: str) -> bool:
        return bool(self._run(_DONE, name, token, microseconds(nominal), job_id))

    def release_tick(self, name: str, token: int, /) -> None:
        self._run(_RELEASE, name, token)

    def pass_over(self, name: str, until: datetime, /) -> None:
        self._run(_PASS_OVER, name, microseconds(until))

    def pause(self, name: str, /) -> bool:
        return bool(self._run(_PAUSE, name))

    def resume(self, name: str, /) -> bool:
        return bool(self._run(_RESUME, name))

    def _run(self, script: str, name: str, *arguments: str | int) -> Any:
        return self._ask(partial(self._schedule[script], keys=[self._key(name)], args=arguments))

    def _key(self, name: str) -> str:
        return f"{self._prefix}:schedule:{name}"


def _text(value: Any) -> str | None:
    return None if value is None else text(value)
