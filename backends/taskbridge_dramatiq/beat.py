"""What each worker has Redis do once a second or so: renew its lease, and return what dead ones held. In one step."""

from __future__ import annotations

from typing import Final

from taskbridge_dramatiq.scripts import Script

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
