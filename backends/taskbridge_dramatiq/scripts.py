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
