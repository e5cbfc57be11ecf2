"""What must happen to a run all at once, as scripts that Redis does in one piece."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOSE", "TAKE_PLACE"]

#: A run becomes its project's current one, and supersedes that which was, all at once: a process
#: that dies leaves no run that neither goes on nor ends. Done twice, it is as done once.
TAKE_PLACE: Final = """
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
  end
  redis.call('SREM', KEYS[2], older)
end
"""

#: The first end of a run is the one that counts. The newest start of a run over the whole project
#: outlives the run, and all that came after it.
CLOSE: Final = """
local state = redis.call('HGET', KEYS[1], 'state')
if state == false or string.find(ARGV[1], state, 1, true) then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'ended', ARGV[3])
if ARGV[2] == 'done' then redis.call('HSET', KEYS[1], 'stage', 'done') end
redis.call('SREM', KEYS[2], ARGV[4])
local said = redis.call('HMGET', KEYS[1], 'over', 'started', 'project')
if said[1] == '' and ARGV[2] ~= 'superseded' then
  redis.call('ZADD', KEYS[3], 'GT', said[2], said[3])
end
return 1
"""
