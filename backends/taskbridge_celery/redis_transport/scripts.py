"""What must be one step in Redis. All times are the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

CLAIM: Final = """
local unacked, index, spoiled, idle, watcher, me, tag = unpack(ARGV, 1, 7)
local want, watching, patience, first = tonumber(ARGV[8]), ARGV[9] == '1', tonumber(ARGV[10]), 11
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
local got, broken, lists = {}, false, {}

local function is_sound(raw)
  if #raw <= 65536 then return (pcall(cjson.decode, raw)) end
  return string.sub(raw, 1, 1) == '{' and string.sub(raw, -1) == '}'
end

for i = first, #ARGV, 3 do
  local list, tail, registers = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'
  lists[#lists + 1] = list
  while #got < want do
    local raw = redis.pcall('RPOP', list)
    if type(raw) == 'table' then broken = raw.err break end
    if not raw then break end
    local name = tag .. (#got + 1)
    local at = (i - first) / 3
    if not registers then
      got[#got + 1] = {name, at, raw}
    elseif is_sound(raw) then
      local done = redis.pcall('HSET', unacked, name, '[' .. raw .. tail)
      if type(done) ~= 'table' then done = redis.pcall('ZADD', index, now, name) end
      if type(done) == 'table' and done.err then
        redis.call('RPUSH', list, raw)
        return {{}, 0, done.err}
      end
      got[#got + 1] = {name, at, raw}
    else
      redis.call('HSET', spoiled, name, list .. '\\n' .. raw)
      got[#got + 1] = {name, at, false}
    end
  end
  if #got >= want then break end
end

local watches = 0
if #got == 0 then
  redis.call('ZADD', idle, now + patience, me)
  redis.call('PEXPIRE', idle, patience * 4000)
  local holder = redis.call('GET', watcher)
  if not holder or holder == me then
    redis.call('SET', watcher, me, 'PX', patience * 1000)
    watches = 1
  end
  if watching then redis.call('EXISTS', unpack(lists)) end
elseif #got >= want then
  redis.call('ZREM', idle, me)
  if redis.call('EXISTS', idle) == 1 then
    local wake = 0
    if redis.call('GET', watcher) == me then
      redis.call('DEL', watcher)
      wake = 1
    end
    for i = first, #ARGV, 3 do lists[(i - first) / 3 + 1] = ARGV[i] end
    if redis.call('EXISTS', unpack(lists)) > 0 then wake = 2 end
    while wake > 0 do
      local sleeper = redis.call('ZPOPMAX', idle)
      if not sleeper[1] then break end
      if tonumber(sleeper[2]) >= tonumber(now) and redis.call('PUBLISH', sleeper[1], '1') > 0 then wake = wake - 1 end
    end
  end
end
return {got, watches, broken}
"""
"""Take up to `want` messages from the lists, in their order, and register each as unacknowledged, in the same step.

ARGV: hash, index, hash of what is undecodable, the sleepers, their watcher, the wake channel of this worker, the
beginning of the tags, how many, whether to watch, for how many seconds an idle worker counts as one; then for each list
its key, what follows a message in the hash, and 1 unless its messages need no acknowledgement. KEYS: the lists, if they
are to be watched; up to Redis 7.0 a script that reads anything makes the server track all of them.

Only one idle worker watches the lists, so that a new message wakes one. Who takes its last message for now hands the
watch on; where more messages are left, two further sleepers are woken, and each of them does the same.
"""

ACK: Final = """
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
"""KEYS: hash, index. ARGV: tag. Answers 0 if the lease was lost: a replacement has another tag, and stays."""

RENEW: Final = """
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
local lost = {}
for _, tag in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], tag) then redis.call('ZADD', KEYS[1], now, tag) else lost[#lost + 1] = tag end
end
return lost
"""
"""KEYS: index. ARGV: tags. Answers those that are lost."""

BEGIN: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
"""KEYS: hash. ARGV: tag, the message with its count of crashes. Answers 0 if the lease was lost."""

DUE: Final = """
if ARGV[4] == '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[5]) then return {-1, {}} end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[1], 'WITHSCORES', 'LIMIT', ARGV[4], 100)
local due, kept = {}, 0
for i = 1, #found, 2 do
  local tag, score = found[i], found[i + 1]
  if string.sub(tag, 1, #ARGV[3]) == ARGV[3] or tonumber(score) <= now - ARGV[2] then
    local value = redis.call('HGET', KEYS[1], tag)
    if value then due[#due + 1] = {tag, score, value} else redis.call('ZREM', KEYS[2], tag) end
  else
    kept = kept + 1
  end
end
if #found < 200 then kept = -1 end
return {kept, due}
"""
"""What was not renewed in time. KEYS: hash, index, the key that keeps sweeps apart. ARGV: seconds for our tags, seconds
for others, what ours begin with, how many to skip, milliseconds between sweeps.
Answers how many it kept (-1: there are no more), and tag, score and value of each.
"""

MOVE: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' and redis.call('ZSCORE', KEYS[2], ARGV[1]) ~= ARGV[3] then return 0 end
for i = 5, #ARGV, 2 do redis.call(ARGV[4], ARGV[i], ARGV[i + 1]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
"""
"""Put an unacknowledged message back, if it is still as it was seen. KEYS: hash, index. ARGV: tag, value, score or
nothing, RPUSH (next to be taken) or LPUSH (last), then list and message, once for each list.
"""

SPOIL: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
"""
"""Set aside what nobody can read. KEYS: hash, index, hash of such messages. ARGV: tag, value, queue and message."""


class Scripts:
    """The scripts that run outside of the event loop, loaded again by the client where a server has forgotten them."""

    def __init__(self, client: Redis, /) -> None:
        self.ack: Script = client.register_script(ACK)
        self.renew: Script = client.register_script(RENEW)
        self.begin: Script = client.register_script(BEGIN)
        self.due: Script = client.register_script(DUE)
        self.move: Script = client.register_script(MOVE)
        self.spoil: Script = client.register_script(SPOIL)
