-- Put down the answer (fields and values from ARGV[7]) of the worker that holds the
-- task. Returns nothing, or where the task stands instead.
local id, owner, attempt = ARGV[1], ARGV[2], ARGV[3]
local now, keep, status = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local at = standing(id)
if at[1] ~= 'leased' or at[2] ~= attempt or at[3] ~= owner
  or tonumber(at[4]) <= now then
  return at
end
redis.call('HSET', task_key(id), unpack(ARGV, 7))
end_task(id, redis.call('HGET', task_key(id), 'queue'), status, now, keep)
return {}
