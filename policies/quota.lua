-- quota.lua: how many allocations there may be in all, in a realm and by a user; and how often a user may try.
--
--   relay --policy policies/quota.lua --set quota.user=4
--
--   quota.total  10000   allocations in all             quota.user   8    by one user of one tenant
--   quota.realm   2000   in one tenant (realm)          quota.rate  30    attempts by a user per minute, at once or spread
--   quota.idle       0   seconds after which an allocation that never carried data is not refreshed any more; 0: it is
--
-- The core counts, atomically over all workers, and answers 486 with the reason total_quota, realm_quota or user_quota; this
-- file only says how many. A unit comes back when the allocation ends, however it ends.

local P = relay.params("quota", {
  total = {default = 10000, min = 1}, realm = {default = 2000, min = 1},
  user  = {default = 8, min = 1},     rate  = {default = 30, min = 1},
  idle  = {default = 0, min = 0},
})
local attempts = relay.ratelimit("quota.attempts", {rate = P.rate / 60, burst = P.rate})
local SLOW     = relay.deny(486, "too many allocation attempts")
local IDLE     = relay.deny(486, "never carried data")    -- browsers keep one for each URL, though they need none or one
local LIMITS   = relay.allow{total_quota = P.total, realm_quota = P.realm, user_quota = P.user, max_lifetime = 3600}

return {
  name = "quota",
  authorize = function(req)                       -- integrity is verified; req.user is the quota identity, within its tenant
    if not attempts:take((req.tenant or "") .. "/" .. req.user) then return SLOW end
    return LIMITS
  end,
  refresh = P.idle > 0 and function(alloc)        -- it ends with its lifetime then, and its unit comes back
    if alloc.packets_in + alloc.packets_out == 0 and os.time() - alloc.created >= P.idle then return IDLE end
  end or nil,
}
