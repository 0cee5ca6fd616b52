-- relay.fake.requests: one function per kind of request, each a list of its refusals and then the work. RFC 8656.

local address = require "relay.address"
local auth = require "relay.fake.auth"
local decision = require "relay.fake.decision"
local minted = require "relay.fake.minted"
local peers = require "relay.fake.peers"
local views = require "relay.fake.views"

local M = {}
local DEFAULT_LIFETIME <const>, SCRIPT_ERROR_LIFETIME <const>, PACKET <const>, THROTTLE_BPS <const> = 600, 600, 1200, 64000

-- whether the meter of relay.allow has reached its cap
function M.is_capped(limits)
  local meter = limits.meter
  return meter and meter.cap and meter.inside.get(meter.key) >= meter.cap
end

local function refuse(code, reason) return {code = code, reason = reason, by = "core"} end

-- no allocation outlives the access token that was shown for it, RFC 7635 section 9, nor a strict key
local function lifetime_s(core, limits, asked, key)
  local left = key.strict and key.expires and key.expires - (core.unix_ms() + 999) // 1000
  local longest = math.min(core.spec.options.max_allocate_lifetime, limits.max_lifetime or math.maxinteger, left or math.maxinteger)
  return math.min(math.max(asked or DEFAULT_LIFETIME, DEFAULT_LIFETIME), longest)
end

local function configured_limits(core)
  local o = core.spec.options
  return {
    total_quota = o.total_quota, user_quota = o.user_quota, max_permissions = o.max_permissions, max_channels = o.max_channels,
    max_pps = o.max_pps, max_user_bps = o.max_user_bps, max_new_peers = o.max_new_peers,
  }
end

local function strictest(a, b) return a and b and math.min(a, b) or a or b end

-- what a minted credential says
local function apply_minted(limits, said)
  limits.tags = minted.tags(said, limits.tags)
  limits.max_bps = strictest(limits.max_bps, said.max_bps)
  limits.user_quota = strictest(limits.user_quota, said.max_allocations)
end

-- authorize: the limits, nil and who gave them; or nil and a refusal
local function authorize(core, client, fields, who)
  local limits = configured_limits(core)
  local req, forget = views.request(core, client, fields, who)
  local d, by = core.chain:strictest("authorize", limits, req)
  forget()
  if d then return nil, auth.refusal(d) end
  if M.is_capped(limits) then
    if limits.meter.on_cap ~= "throttle" then return nil, refuse(486, "meter_cap") end
    limits.max_bps = math.min(limits.max_bps or THROTTLE_BPS, THROTTLE_BPS)
  end
  if who.minted then apply_minted(limits, who.minted) end
  return limits, nil, by
end

local function relayed_text(family, port, pool)
  return (family == 6 and "[%s]:%d" or "%s:%d"):format(peers.relay(family, pool), port)
end

local function numbers(limits)
  local out = {}
  for name, value in pairs(limits) do out[name] = math.type(value) and math.tointeger(value) end
  return out
end

local function granted(core, a)
  return {
    ok = true, lifetime = (a.expires_ms - core.now_ms) // 1000, relayed = a.relayed, mapped = tostring(a.client.flow.src),
    user = a.user, tenant = a.tenant, realm = a.realm, tags = a.limits.tags or {}, limits = numbers(a.limits), allocation = a.id,
    group = a.limits.group, reservation = a.reservation,
  }
end

local streams <const> = {tcp = true, tls = true}

-- RFC 6062 section 5.1
local function impossible_tcp(client, fields)
  if not streams[client.flow.transport] then return refuse(400, "requested_transport") end
  if fields.even_port or fields.reserve_next or fields.reservation then return refuse(400, "not for tcp") end
end

local function impossible(client, fields)
  local wanted = fields.requested_transport or "udp"
  if wanted ~= "udp" and wanted ~= "tcp" then return refuse(442, "requested_transport") end
  local refused = wanted == "tcp" and impossible_tcp(client, fields)
  if refused then return refused end
  if fields.family and fields.family ~= 4 and fields.family ~= 6 then return refuse(440, "requested_address_family") end
  if fields.reservation and (fields.even_port or fields.family) then return refuse(400, "reservation_token") end
end

-- who sent a request that the core can read to its end, or nil and a refusal
local function identify(core, client, fields)
  local who, refused = auth.identify(core, client, fields)
  for number in pairs(who and fields.attributes or {}) do
    if number < 0x8000 then return nil, refuse(420, "unknown_attribute") end
  end
  return who, refused
end

function M.allocate(core, client, fields)
  local who, refused = identify(core, client, fields)
  if not who then return refused end
  if client.allocation then return refuse(437, "5-tuple in use") end
  refused = impossible(client, fields)
  if refused then return refused end
  local limits, no, by = authorize(core, client, fields, who)
  if not limits then return no end
  if limits.pool and not core.pools[limits.pool] then return refuse(500, "unknown_pool") end
  local full = core.quota:take(who.tenant, who.user, limits)
  if full then return refuse(486, full) end
  local family = fields.family or client.flow.dst.family
  local tcp = fields.requested_transport == "tcp"
  local pool = core.pools[limits.pool]
  local ports = (tcp and core.tcp_ports or core.ports)[pool or 0][family]
  local port, reservation = ports:take(fields, core.now_ms)
  if not port then
    core.quota:give(who.tenant, who.user)
    return refuse(508, fields.reservation and "reservation_token" or "no_port")
  end
  local a = core:add_allocation(client, who, limits, lifetime_s(core, limits, fields.lifetime, who.key) * 1000)
  a.port, a.ports, a.family, a.reservation, a.protocol, a.connected = port, ports, family, reservation, tcp and "tcp" or "udp", {}
  a.relayed = relayed_text(a.family, port, pool)
  core:event("allocated", client, {method = "allocate", allocation = a, by = by})
  return granted(core, a)
end

-- a Refresh with a token of the same tenant: the name there is a key's, and keys change
local function is_renewal(fields, who, a)
  return fields.kind == "refresh" and fields.access_token and who.key.mac_key and who.tenant == a.tenant
end

local function is_owner(client, fields, who, a)
  if (who.key.mac_key ~= nil) ~= (client.key.mac_key ~= nil) then return false end
  return a.username == who.username or is_renewal(fields, who, a)
end

-- the allocation of an authenticated request, or nil and a refusal
local function own_allocation(core, client, fields)
  local who, refused = identify(core, client, fields)
  if not who then return nil, refused end
  local a = client.allocation
  if not a then return nil, refuse(437, "no allocation") end
  if not is_owner(client, fields, who, a) then return nil, refuse(441, "other user's allocation") end
  return a
end

function M.refresh(core, client, fields)
  local a, refused = own_allocation(core, client, fields)
  if not a then return refused end
  if fields.lifetime == 0 then
    local answer = granted(core, a)
    answer.lifetime = 0
    core:end_allocation(a, "released", "core")
    return answer
  end
  local req, forget_req = views.request(core, client, fields, a)
  local alloc, forget = views.allocation(core, a)
  local limits = decision.merge({}, {max_lifetime = a.limits.max_lifetime})
  local d, told = core.chain:refresh(limits, alloc, req)
  forget_req()
  forget()
  if d then
    local refusal = auth.refusal(d)
    if d.kind == "reauth" then client.key, refusal.quiet = nil, true end -- 438 is a challenge
    return refusal
  end
  local failed = told and told.kind == "fail"
  if failed then limits.max_lifetime = math.min(limits.max_lifetime or SCRIPT_ERROR_LIFETIME, SCRIPT_ERROR_LIFETIME) end
  local who = client.who
  if who.key.mac_key and fields.access_token then client.key, a.username, a.key = who.key, who.username, who.key end
  a.expires_ms = core.now_ms + lifetime_s(core, limits, fields.lifetime, who.key) * 1000
  core:event("refreshed", client, {method = "refresh", allocation = a, by = told and told.by, reason = failed and told.reason or nil})
  return granted(core, a)
end

-- release: what s:close sends
function M.close(core, client, fields)
  local release = setmetatable({kind = "refresh", lifetime = 0}, {__index = fields})
  return M.refresh(core, client, release)
end

local function in_all(sets, peer)
  for _, set in ipairs(sets) do
    if not set:contains(peer) then return false end
  end
  return true
end

-- what the policies say about a peer that has no permission yet: nil or a refusal
local function ask_permission(core, a, peer, kind)
  if a.limits.acls and in_all(a.limits.acls, peer) then return nil end
  if not core.chain:has("permission") then
    return a.limits.acls and refuse(403, "permission_acl") or nil
  end
  local alloc, forget = views.allocation(core, a)
  local d = core.chain:any_denial("permission", alloc, peer, kind)
  forget()
  return d and auth.refusal(d)
end

local function shut(a) return refuse(403, a.limits.group and "not_in_group" or "peer_not_allowed") end

local function judge_stranger(core, a, peer, kind)
  if peer.family ~= a.family then return refuse(443, "peer_family") end
  if not core.peer_allowed(peer, a.limits.group) then return shut(a) end
  return ask_permission(core, a, peer, kind)
end

-- one of the new peers that the allocation may have in a second: a refusal, or nil
local function pace_peer(core, a)
  local most = a.limits.max_new_peers
  if not most then return nil end
  local full, at = most * 1000, a.peers_at or core.now_ms
  a.peers_left, a.peers_at = math.min(full, (a.peers_left or full) + (core.now_ms - at) * most), core.now_ms
  if a.peers_left < 1000 then return refuse(508, "max_new_peers") end
  a.peers_left = a.peers_left - 1000
end

local function unpace_peer(a)
  if a.limits.max_new_peers then a.peers_left = a.peers_left + 1000 end
end

local function judge_new_peer(core, a, peer, kind)
  local refused = judge_stranger(core, a, peer, kind) or pace_peer(core, a)
  if refused then return refused end
  if views.size(a.permissions) < (a.limits.max_permissions or math.huge) then return nil end
  unpace_peer(a)
  return refuse(508, "max_permissions")
end

local function tell_permission(core, a, peer, kind, refused)
  local more = {method = kind, allocation = a, peer = tostring(peer)}
  if refused then more.code, more.reason, more.by = refused.code, refused.reason, refused.by end
  core:event("permission", a.client, more)
end

-- a refusal, or nil: then `peer` may be permitted, or is
local function judge_peer(core, a, peer, kind)
  local refused = not a.permissions[peer.ip] and judge_new_peer(core, a, peer, kind) or nil
  if refused then tell_permission(core, a, peer, kind, refused) end
  return refused
end

local function peer_of(fields) return address.parse(fields.peer or "") end

local function permit(core, a, peer, kind)
  if not a.permissions[peer.ip] then tell_permission(core, a, peer, kind) end
  a.permissions[peer.ip] = core.now_ms + core.spec.options.permission_lifetime * 1000
end

function M.permission(core, client, fields)
  local a, refused = own_allocation(core, client, fields)
  if not a then return refused end
  local peer = peer_of(fields)
  if not peer then return refuse(400, "xor_peer_address") end
  refused = judge_peer(core, a, peer, "permission")
  if refused then return refused end
  permit(core, a, peer, "permission")
  return granted(core, a)
end

-- a refusal of what cannot be bound: a number is bound to one peer, a peer to one number
local function channel_conflict(a, number, peer)
  if math.type(number) ~= "integer" or number < 0x4000 or number > 0x7fff then return refuse(400, "channel_number") end
  if not peer then return refuse(400, "xor_peer_address") end
  for bound, channel in pairs(a.channels) do
    if (bound == number) ~= (channel.peer == tostring(peer)) then return refuse(400, "bound otherwise") end
  end
end

local function judge_channel(core, a, peer, number)
  if a.limits.group and not peers.reaches(core.allocations, a, peer) then return shut(a) end
  if a.channels[number] then return nil end
  local alloc, forget = views.allocation(core, a)
  local d = core.chain:any_denial("channel", alloc, peer, number)
  forget()
  if d then return auth.refusal(d) end
  if views.size(a.channels) >= (a.limits.max_channels or math.huge) then return refuse(508, "max_channels") end
end

function M.channel(core, client, fields)
  local a, refused = own_allocation(core, client, fields)
  if not a then return refused end
  if a.protocol ~= "udp" then return refuse(403, "tcp allocation") end
  local peer, number = peer_of(fields), fields.number
  local is_new = peer and not a.permissions[peer.ip]
  refused = channel_conflict(a, number, peer) or judge_peer(core, a, peer, "channel")
  if refused then return refused end
  refused = judge_channel(core, a, peer, number)
  if refused and is_new then unpace_peer(a) end
  if refused then return refused end
  permit(core, a, peer, "channel")
  a.channels[number] = {peer = tostring(peer), ends = core.now_ms + core.spec.options.channel_lifetime * 1000}
  return granted(core, a)
end

local DEFAULT_PORT <const> = 9 -- of a peer that is named without one

-- Connect, RFC 6062 section 5.2: the connection is there at once. It needs no permission and gives none.
function M.connect(core, client, fields)
  local a, refused = own_allocation(core, client, fields)
  if not a then return refused end
  if a.protocol ~= "tcp" then return refuse(403, "udp allocation") end
  local peer = peer_of(fields)
  if not peer then return refuse(400, "xor_peer_address") end
  local name = ("%s:%d"):format(peer.ip, peer.port and peer.port > 0 and peer.port or DEFAULT_PORT)
  if a.connected[name] then return refuse(446, "connected already") end
  refused = not a.permissions[peer.ip] and judge_stranger(core, a, peer, "connect")
  if not refused and (peer == address.parse(a.relayed) or not peers.reaches(core.allocations, a, peer)) then refused = shut(a) end
  refused = refused or pace_peer(core, a)
  if refused then return refused end
  a.connected[name] = true
  tell_permission(core, a, peer, "connect")
  return granted(core, a)
end

-- who is permitted and within reach: the peer that is named, else anybody
local function reaches_any(core, a, peer)
  if peer then return a.permissions[peer.ip] and peers.reaches(core.allocations, a, peer) end
  if not a.limits.group then return next(a.permissions) end
  for _, other in pairs(core.allocations) do
    local mate = address.parse(other.relayed)
    if a.permissions[mate.ip] and peers.reaches(core.allocations, a, mate) then return true end
  end
end

-- Payload between the client and a permitted peer (any, if none is named). Not a request of TURN: no answer on the wire, no event.
function M.traffic(core, client, fields)
  local a = client.allocation
  if not a then return {code = 0, reason = "no allocation", by = "core", quiet = true} end
  if a.protocol ~= "udp" then return {code = 0, reason = "no_permission", by = "core", quiet = true} end
  local peer = fields.peer and peer_of(fields)
  local permitted = not (fields.peer and not peer) and reaches_any(core, a, peer)
  if not permitted then return {code = 0, reason = "no_permission", by = "core", quiet = true} end
  local way = fields.direction or "in"
  a.usage["bytes_" .. way] = a.usage["bytes_" .. way] + fields.bytes
  local meter = a.limits.meter
  if meter then meter.inside.add(meter.key, fields.bytes) end
  a.usage["packets_" .. way] = a.usage["packets_" .. way] + (fields.bytes + PACKET - 1) // PACKET
  return {ok = true}
end

return M
