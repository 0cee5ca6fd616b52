-- relay.fake.peers: which peers are refused before any policy is asked: whatever is not reachable by everybody on the Internet.

local address = require "relay.address"

local M = {}

local not_global = address.set {
  "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
  "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
}
local loopback = address.set {"127.0.0.0/8", "::1"}

-- Judges peers: `allowed` opens holes in the built-in denial, `denied` wins over all. Lists of ranges.
function M.new(allowed, denied, allow_loopback)
  allowed, denied = address.set(allowed), address.set(denied)
  return function(peer)
    if denied:contains(peer) then return false end
    if allowed:contains(peer) then return true end
    if loopback:contains(peer) then return allow_loopback end
    return not not_global:contains(peer)
  end
end

return M
