-- The caller's look at its task: returns status, attempt and the answer, which is given
-- once. With ARGV[4] the caller stops waiting.
local id, now, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found = redis.call('HMGET', task_key(id), 'status', 'attempt', 'queue',
  'result', 'codec', 'data', 'reason', 'message')
local status = found[1]
if status == 'completed' or status == 'failed' then
  redis.call('HDEL', task_key(id), 'result', 'codec', 'data', 'reason', 'message')
elseif ARGV[4] and (status == 'pending' or status == 'leased') then
  end_task(id, found[3], 'timed_out', now, keep)
end
return found
