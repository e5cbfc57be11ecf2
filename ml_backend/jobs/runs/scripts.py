"""What must happen to a run all at once, as scripts that Redis does in one piece."""

from __future__ import annotations

from typing import Final

__all__ = ["CHECK_OFF", "CLOSE", "TAKE_PLACE"]

#: What is kept of a run that has ended vanishes some day. Of one that is open nothing does, however
#: long its workers are away: without its tasks it would seem to be done.
_LET_GO: Final = """
local function let_go(run, kept)
  for part, seconds in pairs(cjson.decode(kept)) do redis.call('EXPIRE', run .. part, seconds) end
end
"""

#: A run becomes its project's current one, and supersedes that which was, all at once: a process
#: that dies leaves no run that neither goes on nor ends. Done twice, it is as done once.
TAKE_PLACE: Final = f"""{_LET_GO}
local older = redis.call('SET', KEYS[1], ARGV[1], 'GET')
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('LREM', KEYS[3], 0, ARGV[1])
redis.call('LPUSH', KEYS[3], ARGV[1])
redis.call('LTRIM', KEYS[3], 0, ARGV[2] - 1)
if older and older ~= ARGV[1] then
  local key = ARGV[5] .. older
  local state = redis.call('HGET', key, 'state')
  if state and not string.find(ARGV[3], state, 1, true) then
    redis.call('HSET', key, 'state', 'superseded', 'ended', ARGV[4])
    let_go(key, ARGV[6])
  end
  redis.call('SREM', KEYS[2], older)
end
"""

#: The first end of a run is the one that counts. The newest start of a run over the whole project
#: outlives the run, and all that came after it.
CLOSE: Final = f"""{_LET_GO}
local state = redis.call('HGET', KEYS[1], 'state')
if state == false or string.find(ARGV[1], state, 1, true) then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'ended', ARGV[3])
if ARGV[2] == 'done' then redis.call('HSET', KEYS[1], 'stage', 'done') end
let_go(KEYS[1], ARGV[5])
redis.call('SREM', KEYS[2], ARGV[4])
local said = redis.call('HMGET', KEYS[1], 'over', 'started', 'project')
if said[1] == '' and ARGV[2] ~= 'superseded' then
  redis.call('ZADD', KEYS[3], 'GT', said[2], said[3])
end
return 1
"""

#: A shard counts once, however often its job is run.
CHECK_OFF: Final = """
local left = redis.call('TTL', KEYS[2])
if left == -2 or redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'done', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'flagged', ARGV[3])
if KEYS[3] then redis.call('SADD', KEYS[3], ARGV[1]) end
if left > 0 then
  redis.call('EXPIRE', KEYS[1], left)
  if KEYS[3] then redis.call('EXPIRE', KEYS[3], left) end
end
return 1
"""
