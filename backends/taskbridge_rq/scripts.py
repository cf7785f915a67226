"""The transitions of a started RQ job that RQ makes in several steps, or not at all: each one script on the server.

A job is held by the entry `JOB:EXECUTION` in RQ's registry of started jobs, and whoever removes that entry decides what
becomes of the job. Its worker lives while the key of RQ's execution does, which expires unless it is renewed; workers
of its own machine may know better, since the id of an execution begins with the mark of the worker's process. Nothing
here depends on the clocks of the workers' machines.
"""

from __future__ import annotations

from typing import Final

CRASHES: Final = "taskbridge_crashes"
"""The field of a job's hash that counts the executions which ended with the death of their worker."""

CLAIM: Final = """
-- KEYS: intermediate list, started registry, execution, executions of the job, job
-- ARGV: job id, execution id, lease s, record s, what the job's hash is told (4 fields, 4 values), the execution's hash
local entry = ARGV[1] .. ':' .. ARGV[2]
if redis.call('ZSCORE', KEYS[2], entry) then return 1 end
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if redis.call('TYPE', KEYS[5]).ok ~= 'hash' then return 0 end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[2], now + ARGV[4], entry)
redis.call('HSET', KEYS[3], unpack(ARGV, 13))
redis.call('EXPIRE', KEYS[3], ARGV[3])
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[3])
redis.call('HSET', KEYS[5], unpack(ARGV, 5, 12))
return 1
"""
"""From the intermediate list to the started registry; 0 if the job is not in the list any more, or is no more."""

RENEW: Final = """
-- KEYS: started registry, execution, executions of the job, job
-- ARGV: job id, execution id, lease s, record s, date, the execution's hash
if not redis.call('ZSCORE', KEYS[1], ARGV[1] .. ':' .. ARGV[2]) then return 0 end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[1] .. ':' .. ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[3])
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('HSET', KEYS[4], 'last_heartbeat', ARGV[5]) end
return 1
"""
"""Say that an execution goes on; 0 if its job was taken away."""

_PUT_BACK: Final = """
-- A key of another type is no job, and no command on it may end the script.
local function is_job(id) return redis.call('TYPE', 'rq:job:' .. id).ok == 'hash' end
local function put_back(queue, started, job, execution, counted)
    local entry = job .. ':' .. execution
    if redis.call('ZREM', started, entry) == 0 then return 0 end
    redis.call('LREM', queue .. ':intermediate', 1, job) -- where a stock worker leaves it until the attempt begins
    redis.call('DEL', 'rq:execution:' .. entry)
    redis.call('ZREM', 'rq:executions:' .. job, execution)
    if not is_job(job) then return -1 end
    if counted and type(redis.pcall('HINCRBY', 'rq:job:' .. job, 'taskbridge_crashes', 1)) == 'table' then
        redis.call('HSET', 'rq:job:' .. job, 'taskbridge_crashes', 1)
    end
    redis.call('HSET', 'rq:job:' .. job, 'status', 'queued')
    redis.call('LPUSH', queue, job)
    return 1
end
"""

PUT_BACK: Final = (
    _PUT_BACK
    + """
-- KEYS: queue, started registry
-- ARGV: job id, execution id, 1 to count a crash
return put_back(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3] == '1')
"""
)
"""From the started registry to the front of the queue; 0 if somebody else has settled the job, -1 if it is no more."""

SWEEP: Final = (
    _PUT_BACK
    + """
-- KEYS: queue, intermediate list, started registry, scheduled registry, RQ's lock of schedulers, suspects, gate
-- ARGV: grace ms, gate ms, our name in the lock, its s, date, what the ids of neighbours' executions begin with
if not redis.call('SET', KEYS[7], 1, 'NX', 'PX', ARGV[2]) then return {{}, {}, {}} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told, dropped, neighbours, before, after = {}, {}, {}, {}, {}
local pairs_before = redis.call('HGETALL', KEYS[6])
for i = 1, #pairs_before, 2 do before[pairs_before[i]] = tonumber(pairs_before[i + 1]) end

-- Twice: after a restart of Redis or a pause, a living worker comes to renew what seems dead.
local function is_dead(name)
    local since = before[name] or now
    if now - since >= tonumber(ARGV[1]) then return true end
    after[#after + 1] = name
    after[#after + 1] = string.format('%.0f', since)
    return false
end

local is_started = {}
for _, entry in ipairs(redis.call('ZRANGE', KEYS[3], 0, 999)) do
    local job, execution = string.match(entry, '^([^:]+):([^:]+)$')
    if job then is_started[job] = true end
    if job and redis.call('EXISTS', 'rq:execution:' .. entry) == 0 and is_dead(entry) then
        local list = put_back(KEYS[1], KEYS[3], job, execution, true) == 1 and told or dropped
        list[#list + 1] = entry
    elseif job and string.sub(execution, 1, #ARGV[6]) == ARGV[6] then
        neighbours[#neighbours + 1] = entry
    end
end
for _, job in ipairs(redis.call('LRANGE', KEYS[2], 0, 999)) do
    if not is_started[job] and is_dead(job) then
        redis.call('LREM', KEYS[2], 1, job)
        if is_job(job) then
            redis.call('LPUSH', KEYS[1], job)
            told[#told + 1] = job
        else
            dropped[#dropped + 1] = job
        end
    end
end
if #pairs_before > 0 then redis.call('DEL', KEYS[6]) end
if #after > 0 then
    redis.call('HSET', KEYS[6], unpack(after))
    redis.call('PEXPIRE', KEYS[6], 2 * ARGV[1])
end

local holder = redis.call('GET', KEYS[5])
if holder and holder ~= ARGV[3] then return {told, dropped, neighbours} end
redis.call('SET', KEYS[5], ARGV[3], 'EX', ARGV[4])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], 0, time[1], 'LIMIT', 0, 1000)) do
    redis.call('ZREM', KEYS[4], id)
    local job = 'rq:job:' .. id
    if is_job(id) then
        local has = redis.call('HMGET', job, 'ttl', 'enqueue_at_front', 'enqueue_at_front_on_retry', 'ended_at')
        redis.call('HSET', job, 'status', 'queued', 'enqueued_at', ARGV[5])
        if has[1] then redis.pcall('EXPIRE', job, has[1]) end
        local in_front = has[2] == '1' or (has[3] == '1' and has[4] and has[4] ~= '')
        redis.call(in_front and 'LPUSH' or 'RPUSH', KEYS[1], id)
    end
end
return {told, dropped, neighbours}
"""
)
"""Put back what dead workers held, and queue what is due.

Returns what was put back, as `JOB:EXECUTION` or, if it had not begun, `JOB`; what is the id of no job; and the
executions that go on as far as Redis knows, of workers of this machine.
"""

IF_HELD: Final = """
-- KEYS: started registry
-- ARGV: entry, then each command as the number of its words and its words
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local at = 2
while at <= #ARGV do
    local words = tonumber(ARGV[at])
    redis.call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
end
return 1
"""
"""Run commands if an execution still holds its job; 0 if not, and then none of them."""

CANCEL: Final = """
-- KEYS: job. ARGV: its id. Gives how many places it was taken from; one that a worker has begun is in none of them.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end
local queue = redis.call('HGET', KEYS[1], 'origin')
if not queue then return 0 end
local taken = redis.call('LREM', 'rq:queue:' .. queue, 0, ARGV[1])
    + redis.call('ZREM', 'rq:scheduled:' .. queue, ARGV[1])
if taken > 0 then redis.call('DEL', KEYS[1]) end
return taken
"""
