-- Lease the oldest task that suits: of a type among ARGV[7…] (none: any), and without
-- compatibility or with that of the worker ('' for none). Returns how many leases had run out, how
-- many tasks are pending, when the next lease ends ('' for none), and of the task its
-- id, attempt and body.
local queue, now, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local owner, expires_at, build_id = ARGV[4], ARGV[5], ARGV[6]
local types = {}
for n = 7, #ARGV do types[ARGV[n]] = true end

local function suits(id)
  local found = redis.call('HMGET', task_key(id), 'type', 'compatibility')
  if not found[1] then
    redis.call('ZREM', pending_key(queue), id)
    return false
  end
  if found[2] and found[2] ~= build_id then
    return false
  end
  return #ARGV < 7 or types[found[1]]
end

local expired = catch_up(queue, now, keep)
local lease = {}
for _, id in ipairs(redis.call('ZRANGE', pending_key(queue), 0, -1)) do
  if suits(id) then
    local attempt = redis.call('HINCRBY', task_key(id), 'attempt', 1)
    redis.call('HSET', task_key(id),
      'status', 'leased', 'owner', owner, 'lease_expires_at', expires_at)
    redis.call('ZREM', pending_key(queue), id)
    redis.call('ZADD', leased_key(queue), expires_at, id)
    keep_alive(leased_key(queue), redis.call('PTTL', task_key(id)))
    lease = {id, attempt, redis.call('HGET', task_key(id), 'body')}
    break
  end
end
local next_end = redis.call('ZRANGE', leased_key(queue), 0, 0, 'WITHSCORES')[2] or ''
return {expired, redis.call('ZCARD', pending_key(queue)), next_end,
  lease[1], lease[2], lease[3]}
