-- peers.lua: which peers clients may reach through the relay.
--
--   relay --policy policies/peers.lua --set peers.allow=203.0.113.0/24,2001:db8:1::/48 --set peers.deny=203.0.113.66
--
--   peers.allow   only these; empty (the default): all       peers.deny    not these, even if they are allowed
--
-- Ranges are "10.0.0.0/8", "10.0.0.1-10.0.0.9" or one address. IPv6 forms that embed an IPv4 address are judged by that address. The core has
-- already refused loopback, private, link-local and multicast peers (its options allowed-peer-ip and denied-peer-ip change that);
-- what it refuses does not come here, and this file cannot allow it.

local P     = relay.params("peers", {allow = {default = {}}, deny = {default = {}}})
local allow = relay.cidr(P.allow)
local deny  = relay.cidr(P.deny)
local only  = #P.allow > 0
local OUTSIDE = relay.deny(403, "peer not in peers.allow")
local LISTED  = relay.deny(403, "peer in peers.deny")

return {
  name = "peers",
  permission = function(_, peer)                  -- asked once for an allocation and a peer's address, then remembered
    if deny:contains(peer) then return LISTED end
    if only and not allow:contains(peer) then return OUTSIDE end
  end,
}
