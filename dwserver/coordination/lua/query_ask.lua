-- Enqueue a task, unless it is there already. Returns its status, or 'full'.
local id, queue, now, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline, limit, life = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local status = redis.call('HGET', task_key(id), 'status')
if status then
  return status
end
catch_up(queue, now, keep)
if redis.call('ZCARD', pending_key(queue)) >= limit then
  return 'full'
end
redis.call('HSET', task_key(id), 'queue', queue, 'status', 'pending', 'attempt', 0,
  'lease_expires_at', 0, 'asked_at', ARGV[3], 'type', ARGV[8], 'body', ARGV[9])
if ARGV[10] then
  redis.call('HSET', task_key(id), 'compatibility', ARGV[10])
end
redis.call('ZADD', pending_key(queue), ARGV[3], id)
redis.call('ZADD', deadlines_key(queue), deadline, id)
for _, key in ipairs({
  task_key(id), pending_key(queue), deadlines_key(queue)
}) do
  keep_alive(key, life)
end
return 'pending'
