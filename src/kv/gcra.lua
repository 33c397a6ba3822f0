-- `Quota::take` of gcra.rs on the bucket KEYS[1]. ARGV: now (us), interval (us), burst, least, most.
-- Answers {units taken, 0}, or {0, microseconds to wait}. A key goes a minute after its bucket is full again, since the clocks of
-- other servers may run behind.
local now, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local least, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local last = now + interval * burst
local due = tonumber(redis.call('GET', KEYS[1]) or now)
if due < now or due > last then
    due = now
end
local free = math.floor((last - due) / interval)
if free < least then
    return {0, least * interval - (last - due)}
end
local count = math.min(free, most)
due = due + count * interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 60000)
return {count, 0}
