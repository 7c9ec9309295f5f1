-- Offer a task again whose lease did not reach the worker. Returns whether it was that
-- lease.
local id, attempt = ARGV[1], ARGV[2]
local found = redis.call('HMGET', task_key(id), 'status', 'attempt', 'queue')
if found[1] ~= 'leased' or found[2] ~= attempt then
  return 0
end
offer_again(id, found[3])
return 1
