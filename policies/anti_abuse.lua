-- anti_abuse.lua: who guesses passwords, tries forbidden peers or scans through the relay is banned for a while, with his network.
--
--   relay --policy policies/anti_abuse.lua --policy ...                  first in the chain: what is banned is asked nothing else
--   relay --policy policies/anti_abuse.lua --set abuse.allow=192.0.2.0/24 --set abuse.strikes=10
--
--   abuse.strikes  30    failed logins and 403s of a network, at once or spread over abuse.window; one more is a ban
--   abuse.peers   200    different peers that one allocation may be permitted in abuse.window; more is a scan
--   abuse.window  300    seconds                              abuse.ban  600   seconds
--   abuse.allow          networks that are never banned: offices, probes, carriers behind whose address a city lives
--
-- A network is a /24 of IPv4, a /64 of IPv6. Sources are real: nobody gets as far as a failed login without an answer to a nonce. A ban refuses
-- logins, new allocations and new peers with 403 "banned"; calls that run go on. What was refused because of a ban does not prolong it; an expired
-- credential is no strike. Each ban is a row of the audit table, a line in the log and one of the counter anti_abuse_bans_total. Bans live in memory: a
-- restart forgets them, a reload does not. To lift one: put the network into abuse.allow and reload.

local P = relay.params("abuse", {
  strikes = {default = 30, min = 1}, peers = {default = 200, min = 1}, window = {default = 300, min = 1, max = 86400},
  ban = {default = 600, min = 1}, allow = {default = {}},
})
local strikes = relay.ratelimit("abuse.strikes", {rate = P.strikes / P.window, burst = P.strikes})
local scans   = relay.ratelimit("abuse.scans", {rate = P.peers / P.window, burst = P.peers})
local banned  = relay.shared("abuse.banned", {max_entries = 100000, evict = "lru"})
local allow   = relay.cidr(P.allow)
local bans    = relay.metric.counter("anti_abuse_bans_total")
local REASON <const> = "banned"
local BANNED  = relay.deny(403, REASON)

local function network(address) return address:mask(address.family == 4 and 24 or 64) end
local function is_banned(address) return banned:get(network(address)) and not allow:contains(address) end

-- what the event is a sign of, once there have been too many; or nil
local function offence(ev)
  if ev.type == "auth_failed" and ev.reason ~= "expired" and not strikes:take(network(ev.src)) then return "logins" end
  if ev.type == "denied" and ev.code == 403 and ev.reason ~= REASON and not strikes:take(network(ev.src)) then return "refusals" end
  if ev.type == "permission" and ev.code == 0 and not scans:take(ev.allocation) then return "scan" end
end

return {
  name = "anti_abuse",
  authenticate = function(req)
    if is_banned(req.src) then return BANNED end
  end,
  authorize = function(req)                       -- of a client who logged in before the ban
    if is_banned(req.src) then return BANNED end
  end,
  permission = function(alloc)
    if is_banned(alloc.src) then return BANNED end
  end,
  log = function(ev)
    local why = not allow:contains(ev.src) and offence(ev)
    if not why or not banned:add(network(ev.src), true, P.ban) then return end
    local row = {
      type = "banned", network = network(ev.src), src = ev.src, why = why, user = ev.user or ev.username, tenant = ev.tenant, seconds = P.ban,
    }
    bans:add()
    relay.audit(row)
    relay.log.warn("banned", row)
  end,
}
