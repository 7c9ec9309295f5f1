-- How many tasks nobody holds, in each of the queues ARGV[3…].
local now, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local counts = {}
for n = 3, #ARGV do
  catch_up(ARGV[n], now, keep)
  counts[#counts + 1] = redis.call('ZCARD', pending_key(ARGV[n]))
end
return counts
