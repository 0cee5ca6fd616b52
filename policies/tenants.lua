-- tenants.lua: several customers on one server, told apart by SNI, ORIGIN, port or "user@tenant"; limits and a monthly transfer for each.
--
-- Reads tenants.json of the policy directory:
--
--   {"by_sni": {"turn.acme.example": "acme"}, "by_origin": {"https://beta.example": "beta"}, "by_port": {"3479": "beta"},
--    "tenants": {"acme": {"realm": "acme.example", "allocations": 100, "per_user": 4, "bps": 2000000,
--                         "monthly_bytes": 1000000000, "on_cap": "refuse", "slow_bps": 64000}, "beta": {...}}}
--
-- The file is read again when it changes: new limits count for new allocations. Every limit may be left out. on_cap, once monthly_bytes have been
-- relayed: "refuse" new calls and Refreshes (the default), "throttle" to slow_bps (64000), "close" within a minute. Months are UTC's; the sums are
-- kept in the database (userdb), without one a restart forgets them.
--
-- Users of a tenant are those of the users database; names of no tenant are strangers. A user of the form user@tenant is stored under that whole
-- name and the default realm, because that is what his client signs with: relay user add --realm DEFAULT ann@acme; he counts as ann of acme.

local D       = relay.data("tenants.json")
local month   = relay.meter("transfer", {period = "month", persist = true})
local UNKNOWN = relay.deny(403, "unknown tenant")
local CAPPED  = relay.deny(486, "monthly transfer cap reached")
local NOAUTH  = relay.deny(401, "unknown tenant")
local CLOSE   = relay.close("monthly transfer cap reached")
local ON_CAP  = relay.set{"refuse", "throttle", "close"}
local SLOW_BPS <const> = 64000

local function find(map, key) return map and key and map[key] end
local function tenant_of(id) return find(D.tenants, id) end

-- what is to be done because the tenant's month is used up: nil, "refuse", "throttle" or "close"
local function over_cap(id, t)
  if not t.monthly_bytes or month:get(id) < t.monthly_bytes then return nil end
  return ON_CAP[t.on_cap or ""] and t.on_cap or "refuse"
end

return {
  name = "tenants",
  route = function(req)                           -- hints of strangers; the answer is kept for (listener, sni, alpn, origin)
    local id = find(D.by_sni, req.sni) or find(D.by_origin, req.origin) or find(D.by_port, tostring(req.dst.port))
    local t = tenant_of(id)
    if t then return relay.tenant(id, {realm = t.realm}) end
  end,
  authenticate = function(req)
    if req.tenant or not req.username then return nil end   -- routed: the users database is asked for (tenant, user)
    local user, id = relay.split(req.username, "@")
    if not tenant_of(id) then return NOAUTH end
    return relay.lookup(user, {tenant = id})
  end,
  authorize = function(req)
    local t = tenant_of(req.tenant)
    if not t then return UNKNOWN end
    local full = over_cap(req.tenant, t)
    if full == "refuse" or full == "close" then return CAPPED end
    return relay.allow{
      realm_quota = t.allocations, user_quota = t.per_user, max_bps = full and (t.slow_bps or SLOW_BPS) or t.bps, meter = {month, req.tenant},
    }
  end,
  refresh = function(alloc)                       -- a long call outlives the cap by one lifetime at most
    local t = tenant_of(alloc.tenant)
    if t and over_cap(alloc.tenant, t) == "refuse" then return CAPPED end
  end,
  usage = function(alloc)                         -- the core counts, by the meter of `authorize`
    local t = tenant_of(alloc.tenant)
    local full = t and over_cap(alloc.tenant, t)
    if full == "close" then return CLOSE end
    if full == "throttle" then return relay.allow{max_bps = t.slow_bps or SLOW_BPS} end
  end,
}
