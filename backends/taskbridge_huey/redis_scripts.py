"""What must happen on Redis in one step, in Lua, for both shapes of a Huey queue.

A server whose memory is full refuses a script's first command if it takes memory, and lets the later ones pass once
the script has written: each of these begins with what frees.
"""

from __future__ import annotations

from typing import Final

_LIST: Final = """
local function held(key)
    local found = {}
    for _, element in ipairs(redis.call('LRANGE', key, 0, -1)) do
        found[#found + 1] = {element, '0'}
    end
    return found
end
local function drop(key, element) return redis.call('LREM', key, 1, element) end
local function put(key, element, score) redis.call('LPUSH', key, element) end
local function put_first(key, element, score) redis.call('RPUSH', key, element) end
local function pop(key)
    local element = redis.call('RPOP', key)
    if element then return {element, '0'} end
end
"""

_SORTED_SET: Final = """
local function held(key)
    local found, flat = {}, redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for index = 1, #flat, 2 do
        found[#found + 1] = {flat[index], flat[index + 1]}
    end
    return found
end
local function drop(key, element) return redis.call('ZREM', key, element) end
local function put(key, element, score) redis.call('ZADD', key, score, element) end
local put_first = put
local function pop(key)
    local found = redis.call('ZPOPMIN', key)
    if #found > 0 then return found end
end
"""

_COMMON: Final = """
local function marked(element)
    local count = string.match(string.sub(element, -40), '\\ntaskbridge%-crashes:(%d+)$')
    if count == nil then return element .. '\\ntaskbridge-crashes:1' end
    return string.sub(element, 1, #element - #count) .. string.format('%d', count + 1)
end
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function follow(first, queue, schedule)
    for index = first, #ARGV, 3 do
        if ARGV[index] == 'queue' then
            put(queue, ARGV[index + 2], ARGV[index + 1])
        else
            redis.call('ZADD', schedule, ARGV[index + 1], ARGV[index + 2])
        end
    end
end
"""

_SCRIPTS: Final = {
    # claimed, queue; the settled element or nothing
    "take": """
if ARGV[1] ~= '' then drop(KEYS[1], ARGV[1]) end
local found = pop(KEYS[2])
if not found then return false end
put(KEYS[1], found[1], found[2])
return found[1]
""",
    # claimed, queue, schedule; the element, then place, score and member of each successor
    "settle": """
if drop(KEYS[1], ARGV[1]) == 0 then return 0 end
follow(2, KEYS[2], KEYS[3])
return 1
""",
    # schedule, queue, schedule; as above
    "move": """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
follow(2, KEYS[2], KEYS[3])
return 1
""",
    # claimed; token
    "is_held": """
for _, found in ipairs(held(KEYS[1])) do
    if redis.sha1hex(found[1]) == ARGV[1] then return 1 end
end
return 0
""",
    # claimed, queue, leases, marks; token or nothing for all, whether it crashed, worker
    "give_back": """
local number = 0
for _, found in ipairs(held(KEYS[1])) do
    if ARGV[1] == '' or redis.sha1hex(found[1]) == ARGV[1] then
        drop(KEYS[1], found[1])
        put_first(KEYS[2], ARGV[2] == '1' and marked(found[1]) or found[1], found[2])
        number = number + 1
        if ARGV[1] ~= '' then break end
    end
end
if ARGV[1] == '' then
    redis.call('ZREM', KEYS[3], ARGV[3])
    redis.call('HDEL', KEYS[4], ARGV[3])
end
return number
""",
    # leases, marks; length in ms, prefix of the claimed keys, mark, workers
    "renew": """
redis.call('ZREM', KEYS[1], '')
local until_ms, held_now = now() + ARGV[1], {}
for index = 4, #ARGV do
    redis.call('ZADD', KEYS[1], until_ms, ARGV[index])
    redis.call('HSET', KEYS[2], ARGV[index], ARGV[3])
    for _, found in ipairs(held(ARGV[2] .. ARGV[index])) do
        held_now[#held_now + 1] = ARGV[index]
        held_now[#held_now + 1] = redis.sha1hex(found[1])
    end
end
return held_now
""",
    # leases, queue, marks; prefix of the claimed keys, for how many ms a worker is remembered, workers that are dead
    "recover": """
local number, time = 0, now()
for index = 3, #ARGV do
    redis.call('HDEL', KEYS[3], ARGV[index])
    local ends = redis.call('ZSCORE', KEYS[1], ARGV[index])
    if ends and tonumber(ends) > time then redis.call('ZADD', KEYS[1], time, ARGV[index]) end
end
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time, 'WITHSCORES')
for index = 1, #over, 2 do
    local key = ARGV[1] .. over[index]
    local elements = held(key)
    redis.call('DEL', key)
    for _, found in ipairs(elements) do
        put_first(KEYS[2], marked(found[1]), found[2])
        number = number + 1
    end
    if time - over[index + 1] > tonumber(ARGV[2]) then
        redis.call('ZREM', KEYS[1], over[index])
        redis.call('HDEL', KEYS[3], over[index])
    end
end
return number
""",
}

LIST: Final = {name: _LIST + _COMMON + text for name, text in _SCRIPTS.items()}
SORTED_SET: Final = {name: _SORTED_SET + _COMMON + text for name, text in _SCRIPTS.items()}
