-- fair_use.lua: a user may relay in bursts as fast as fair.peak, but no more than fair.bps in the long run; who does is slowed down, never cut off.
--
--   relay --policy policies/fair_use.lua --set fair.bps=64000 --set fair.peak=2000000
--
--   fair.bps    64000    bits a second in the long run, in and out together, of all allocations of a user
--   fair.window   300    a burst is what he may relay in so many seconds (here 2.4 MB), at peak speed; then as many of silence earn the next
--   fair.peak 2000000    bits a second of an allocation, each way, at any time
--
-- The core holds the rate of each allocation exactly. The long run is looked at once a minute, so a burst may be overrun by a minute at peak speed,
-- but it is counted: each allocation of the user then has half of fair.bps each way until he has been silent for long enough. quota.lua sees to it
-- that he has few. Where users are not told apart, addresses are. A limit that another policy or the tenant has set holds besides: the strictest
-- counts. Debts live in memory: a restart forgets them, a reload does not.

local P = relay.params("fair", {
  bps = {default = 64000, min = 1000}, window = {default = 300, min = 1, max = 86400}, peak = {default = 2000000, min = 1000},
})
local debts  = relay.shared("fair.debts", {max_entries = 500000, evict = "lru"})   -- by user: the second in which fair.bps has caught up with him
local slowed = relay.metric.counter("fair_use_slowed_total")
local PEAK   = relay.allow{max_bps = P.peak}
local SLOW   = relay.allow{max_bps = math.max(P.bps // 2, 1)}

local function name_of(who) return (who.tenant or "") .. "/" .. (who.user or who.src.ip) end

local function is_over(debt) return debt and debt - os.time() > P.window end

-- the user's debt with `bytes` more; workers that meet here try again
local function spend(user, bytes)
  local now, seconds = os.time(), bytes * 8 / P.bps
  for _ = 1, 10 do
    local old = debts:get(user)
    local new = (old and old > now and old or now) + seconds
    if debts:cas(user, old, new, new - now + 1) then return new end
  end
end

return {
  name = "fair_use",
  authorize = function(req)                       -- a new allocation is no way out
    return is_over(debts:get(name_of(req))) and SLOW or PEAK
  end,
  usage = function(alloc, used)
    local over = is_over(spend(name_of(alloc), used.bytes_in + used.bytes_out))
    if used.closing then return nil end
    if over then slowed:add() end
    return over and SLOW or PEAK
  end,
}
