-- relay.fake.peers: which peers are refused before any policy is asked: whatever is not reachable by everybody on the Internet; in a group
-- whatever is not in it.

local address = require "relay.address"

local M = {}

-- the server's own relayed addresses, by family; those of the i-th pool
local relays = {[4] = "8.0.0.1", [6] = "2001:4860::1"}
local of_pools = {[4] = "8.0.1.%d", [6] = "2001:4860:1::%d"}
M.POOLS_MAX = 8

-- the special-purpose registries of IANA, multicast, what is reserved; of IPv6 all but 2000::/3. Documentation ranges too: a spec that
-- needs a peer takes a public address.
local special = address.set {
  "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
  "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
  "203.0.113.0/24", "224.0.0.0/3", "::/127", "64:ff9b::/96", "100::/8", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32",
  "2620:4f:8000::/48", "3fff::/20",
}
local embedded = {"^::ffff:", "^64:ff9b:", "^2002:"} -- tunnels to IPv4 are refused as such
local loopback = address.set {"127.0.0.0/8", "::1"}

local function is_special(peer)
  for _, form in ipairs(peer.family == 6 and embedded or {}) do
    if peer.ip:find(form) then return true end
  end
  return special:contains(peer)
end

-- Judges peers: `allowed` opens holes in the built-in denial, `denied` wins over all. Lists of ranges.
function M.new(allowed, denied, allow_loopback)
  allowed, denied = address.set(allowed), address.set(denied)
  return function(peer, group)
    if denied:contains(peer) then return false end
    if group then return M.is_relay(peer) end
    if allowed:contains(peer) then return true end
    if loopback:contains(peer) then return allow_loopback end
    return not is_special(peer)
  end
end

-- The relayed address of the family; of the `pool`-th pool, if there is one.
function M.relay(family, pool) return pool and of_pools[family]:format(pool) or relays[family] end

function M.is_relay(peer)
  if peer.ip == relays[peer.family] then return true end
  for pool = 1, M.POOLS_MAX do
    if peer.ip == M.relay(peer.family, pool) then return true end
  end
  return false
end

local function is_mate(a, other) return a.limits.group == other.limits.group and (a.limits.group == nil or a.tenant == other.tenant) end

-- Whether allocation `a` and `peer` may exchange packets now: who holds that relayed address is in the same group, or both are in none.
function M.reaches(allocations, a, peer)
  if not M.is_relay(peer) then return not a.limits.group end
  for _, other in pairs(allocations) do
    if other.protocol == a.protocol and other.relayed == tostring(peer) then return is_mate(a, other) end
  end
  return false
end

return M
