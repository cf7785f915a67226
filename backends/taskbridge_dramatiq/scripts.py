"""What Redis does in one step for our workers, in Dramatiq's own layout beside its own workers.

Dramatiq keeps a message in the hash `<queue>.msgs`, its id in the list `<queue>`, and, while a worker has it, in the
set `__acks__.<worker>.<queue>`. To that comes, for each queue:

- `__taskbridge__.leases.<queue>`: our workers, by the server's time in milliseconds when they are late;
- `__taskbridge__.looks.<queue>`: for each worker that is late since a certain time, how often that was seen. Such looks
  add up whoever looked, so that observers may be short-lived, and lie apart, so that all can renew after an outage;
- `__taskbridge__.crashes.<queue>`: for the messages of dead workers, how often they have begun since;
- the set of a worker `taskbridge-suspects`, which is none: messages that have seen two workers die, given out one at a
  time, so that one which kills its worker does not take its neighbours along. Were all of our workers gone, Dramatiq's
  own would take them over as those of any dead worker.

A worker that is not in the leases has lost what it held: whatever it settles then, changes nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from redis import Redis

SUSPECTS: Final = "taskbridge-suspects"
PREFIX: Final = "taskbridge-"
"""Of the worker ids that are ours. Dramatiq's own are plain UUIDs."""


class Script:
    """One Lua script."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()

    def __call__(self, client: Redis, keys: tuple[Any, ...], *arguments: Any) -> Any:
        """Run it: one command, unless the server does not know it yet."""
        try:
            return client.execute_command("EVALSHA", self.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)


ENQUEUE: Final = Script("""
redis.call('hset', KEYS[2], ARGV[1], ARGV[2])
redis.call('rpush', KEYS[1], ARGV[1])
""")
"""Keys: list, messages. Arguments: id, message."""

FETCH: Final = Script("""
if not redis.call('zscore', KEYS[4], ARGV[1]) then return false end
local ids = {}
for i = 1, tonumber(ARGV[2]) do
  local id = redis.call('lpop', KEYS[1])
  if not id then break end
  ids[i] = id
  redis.call('sadd', KEYS[3], id)
end
if #ids == 0 then return {} end
local crashes = {}
if redis.call('exists', KEYS[5]) == 1 then crashes = redis.call('hmget', KEYS[5], unpack(ids)) end
return {ids, redis.call('hmget', KEYS[2], unpack(ids)), crashes}
""")
"""Keys: list, messages, acks, leases, crashes. Arguments: worker, how many. None: the worker has no lease."""

BEGIN: Final = Script("""
if redis.call('sismember', KEYS[1], ARGV[1]) == 0 then return false end
return redis.call('hincrby', KEYS[2], ARGV[1], 1)
""")
"""Keys: acks, crashes. Arguments: id. How often the message has begun since a worker died with it; None: not held."""

ACK: Final = Script("""
if redis.call('srem', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('hdel', KEYS[2], ARGV[1])
if KEYS[3] then redis.call('hdel', KEYS[3], ARGV[1]) end
return 1
""")
"""Keys: acks, messages, and crashes for a message that a dead worker had. Arguments: id."""

BURY: Final = Script("""
if redis.call('srem', KEYS[1], ARGV[1]) == 0 then return 0 end
local message = redis.call('hget', KEYS[2], ARGV[1])
redis.call('hdel', KEYS[2], ARGV[1])
if message then
  redis.call('zadd', KEYS[3], ARGV[2], ARGV[1])
  redis.call('hset', KEYS[3] .. '.msgs', ARGV[1], message)
end
if KEYS[4] then redis.call('hdel', KEYS[4], ARGV[1]) end
return 1
""")
"""Keys: acks, messages, dead letters, and crashes as above. Arguments: id, milliseconds since 1970."""

SUCCEED: Final = Script("""
if redis.call('srem', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('hdel', KEYS[2], ARGV[1])
redis.call('hset', KEYS[4], ARGV[2], ARGV[3])
redis.call('rpush', KEYS[3], ARGV[2])
if KEYS[5] then redis.call('hdel', KEYS[5], ARGV[1]) end
return 1
""")
"""Put another message in the place of one that is held; 0 if it is not held.

Keys: acks, messages, the other's list and messages, and crashes as above. Arguments: id, the other's id and message.
"""

RETURN: Final = Script("""
local returned = 0
for i = #ARGV, 1, -1 do
  if redis.call('srem', KEYS[1], ARGV[i]) > 0 and redis.call('hexists', KEYS[3], ARGV[i]) > 0 then
    redis.call('lpush', KEYS[2], ARGV[i])
    returned = returned + 1
  end
end
return returned
""")
"""Keys: acks, list, messages. Arguments: ids, which become the first of their queue."""

LEAVE: Final = Script("""
local space, me = KEYS[1], ARGV[1]
for i = 2, #ARGV do
  local queue = ARGV[i]
  local acks = space .. ':__acks__.' .. me .. '.' .. queue
  local ids = redis.call('smembers', acks)
  table.sort(ids, function(a, b) return a > b end)
  for _, id in ipairs(ids) do
    if redis.call('hexists', space .. ':' .. queue .. '.msgs', id) > 0 then
      redis.call('lpush', space .. ':' .. queue, id)
    end
  end
  redis.call('del', acks)
  redis.call('zrem', space .. ':__taskbridge__.leases.' .. queue, me)
end
redis.call('zrem', space .. ':__heartbeats__', me)
""")
"""Give back all that a worker holds, and its lease. Keys: namespace. Arguments: worker, queues."""

BEAT: Final = Script("""
local space, me, lease, foreign = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local looks_enough, between_looks, offset = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local dead_ttl, neighbour, gone = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local heartbeats = space .. ':__heartbeats__'

for i = 10, #ARGV, 2 do
  if ARGV[i + 1] == '0' and not redis.call('zscore', space .. ':__taskbridge__.leases.' .. ARGV[i], me) then
    return {0, 0, 0, {}}
  end
end
for i = 10, #ARGV, 2 do
  redis.call('zadd', space .. ':__taskbridge__.leases.' .. ARGV[i], now + lease, me)
end
redis.call('zadd', heartbeats, now, me)

local recovered = 0
local function recover(worker, queue)
  local acks = space .. ':__acks__.' .. worker .. '.' .. queue
  local ids = redis.call('smembers', acks)
  if #ids == 0 then return end
  table.sort(ids, function(a, b) return a > b end)
  local list = space .. ':' .. queue
  local crashes = space .. ':__taskbridge__.crashes.' .. queue
  local is_delayed = string.sub(queue, -3) == '.DQ'
  for _, id in ipairs(ids) do
    if redis.call('hexists', list .. '.msgs', id) > 0 then
      recovered = recovered + 1
      local begun = not is_delayed and redis.call('hget', crashes, id)
      if begun and tonumber(begun) > 0 then
        redis.call('sadd', space .. ':__acks__.taskbridge-suspects.' .. queue, id)
        redis.call('zadd', heartbeats, now, 'taskbridge-suspects')
      else
        if not is_delayed then redis.call('hset', crashes, id, 0) end
        redis.call('lpush', list, id)
      end
    end
  end
  redis.call('del', acks)
end

local silent = redis.call('zrevrangebyscore', heartbeats, now - foreign, '-inf', 'withscores', 'limit', offset, 100)
local neighbours, is_listed = {}, {}
for i = 10, #ARGV, 2 do
  local queue = ARGV[i]
  local leases = space .. ':__taskbridge__.leases.' .. queue
  local looks = space .. ':__taskbridge__.looks.' .. queue
  local is_look = redis.call('set', space .. ':__taskbridge__.looked.' .. queue, 1, 'nx', 'px', between_looks)
  local function is_dead(worker, since)
    if not is_look then return false end
    local count = redis.call('hincrby', looks, worker .. ' ' .. since, 1)
    redis.call('expire', looks, 3600)
    return count >= looks_enough
  end
  for worker in string.gmatch(gone, '[^,]+') do
    if redis.call('zrem', leases, worker) == 1 then recover(worker, queue) end
  end
  local late = redis.call('zrangebyscore', leases, '-inf', now, 'withscores')
  for j = 1, #late, 2 do
    if is_dead(late[j], late[j + 1]) then
      recover(late[j], queue)
      redis.call('zrem', leases, late[j])
    end
  end
  for j = 1, #silent, 2 do
    if string.sub(silent[j], 1, 11) ~= 'taskbridge-'
       and redis.call('exists', space .. ':__acks__.' .. silent[j] .. '.' .. queue) == 1
       and is_dead(silent[j], silent[j + 1]) then
      recover(silent[j], queue)
    end
  end
  for _, worker in ipairs(redis.call('zrange', leases, 0, -1)) do
    if worker ~= me and not is_listed[worker] and string.sub(worker, 1, #neighbour) == neighbour then
      is_listed[worker] = true
      neighbours[#neighbours + 1] = worker
    end
  end
  local list = space .. ':' .. queue
  local suspects = space .. ':__acks__.taskbridge-suspects.' .. queue
  if redis.call('exists', suspects) == 1 then
    redis.call('zadd', heartbeats, now, 'taskbridge-suspects')
    local given = space .. ':__taskbridge__.suspect.' .. queue
    local last = redis.call('get', given)
    if not last or redis.call('hexists', list .. '.msgs', last) == 0 then
      local id = redis.call('spop', suspects)
      if redis.call('hexists', list .. '.msgs', id) > 0 then
        redis.call('lpush', list, id)
        redis.call('set', given, id, 'px', 2000)
      end
    end
  end
  local crashes = space .. ':__taskbridge__.crashes.' .. queue
  if redis.call('exists', crashes) == 1 then
    local counted = redis.call('hscan', crashes, 0, 'count', 100)[2]
    for j = 1, #counted, 2 do
      if redis.call('hexists', list .. '.msgs', counted[j]) == 0 then redis.call('hdel', crashes, counted[j]) end
    end
  end
  local dead = redis.call('zrangebyscore', list .. '.XQ', '-inf', now - dead_ttl, 'limit', 0, 100)
  if #dead > 0 then
    redis.call('zrem', list .. '.XQ', unpack(dead))
    redis.call('hdel', list .. '.XQ.msgs', unpack(dead))
  end
end
for j = 1, #silent, 2 do
  if string.sub(silent[j], 1, 11) == 'taskbridge-' and now - silent[j + 1] > 86400000 then
    redis.call('zrem', heartbeats, silent[j])
  end
end
return {1, recovered, #silent / 2, neighbours}
""")
"""Renew a lease, and return to their queues what dead workers held.

Keys: namespace. Arguments: worker, the silence after which it is late, and that after which one of Dramatiq's own is
(both in milliseconds), how many looks at one who is late tell that it is dead and the milliseconds between two, how
many of the silent ones to pass over, how long dead letters are kept in milliseconds, what the ids of neighbours begin
with, the workers that are known to be dead with commas between them, then each queue with 1 if its lease is new.
Returns {0 if the lease is lost, messages returned, silent workers seen, neighbours}.
"""
