-- Query tasks of one namespace. Every key has the namespace in braces, so that all are
-- in one slot of a cluster. KEYS[1] is the prefix of all keys.
--   task:<id>         hash: queue, status, attempt, owner, lease_expires_at, asked_at,
--                     body, type, compatibility, forget_at; then the answer
--   pending:<queue>   ids by when they were asked
--   leased:<queue>    ids by the end of their lease
--   deadlines:<queue> ids by when their callers stop waiting
-- Instants are microseconds of the callers' clocks.
local prefix = KEYS[1]
local MANY = 100

local function task_key(id) return prefix .. 'task:' .. id end
local function pending_key(queue) return prefix .. 'pending:' .. queue end
local function leased_key(queue) return prefix .. 'leased:' .. queue end
local function deadlines_key(queue) return prefix .. 'deadlines:' .. queue end

-- No key is without an end.
local function keep_alive(key, milliseconds)
  if redis.call('PTTL', key) < tonumber(milliseconds) then
    redis.call('PEXPIRE', key, milliseconds)
  end
end

local function end_task(id, queue, status, now, keep)
  redis.call('ZREM', pending_key(queue), id)
  redis.call('ZREM', leased_key(queue), id)
  redis.call('ZREM', deadlines_key(queue), id)
  if redis.call('EXISTS', task_key(id)) == 1 then
    redis.call('HSET', task_key(id), 'status', status, 'forget_at', now + keep)
    redis.call('HDEL', task_key(id), 'body', 'owner')
    redis.call('PEXPIRE', task_key(id), math.ceil(keep / 1000))
  end
end

local function offer_again(id, queue)
  redis.call('ZREM', leased_key(queue), id)
  local asked_at = redis.call('HGET', task_key(id), 'asked_at')
  if asked_at then
    redis.call('HSET', task_key(id), 'status', 'pending')
    redis.call('HDEL', task_key(id), 'owner')
    redis.call('ZADD', pending_key(queue), asked_at, id)
    keep_alive(pending_key(queue), redis.call('PTTL', task_key(id)))
  end
end

-- What time has done to a queue: callers that have left, leases that have run out.
-- Returns how many leases.
local function catch_up(queue, now, keep)
  local late = redis.call(
    'ZRANGEBYSCORE', deadlines_key(queue), '-inf', now, 'LIMIT', 0, MANY)
  for _, id in ipairs(late) do
    end_task(id, queue, 'timed_out', now, keep)
  end
  local expired = redis.call(
    'ZRANGEBYSCORE', leased_key(queue), '-inf', now, 'LIMIT', 0, MANY)
  for _, id in ipairs(expired) do
    offer_again(id, queue)
  end
  return #expired
end

-- Status, attempt, owner, end of the lease, and when it is forgotten.
local function standing(id)
  return redis.call('HMGET', task_key(id),
    'status', 'attempt', 'owner', 'lease_expires_at', 'forget_at')
end
