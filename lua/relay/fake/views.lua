-- relay.fake.views: what a hook is shown of a request, an allocation, its usage, an event. Read-only, dead when the hook returns.

local address = require "relay.address"
local hash = require "relay.hash"
local nearest = require "relay.nearest"
local strict = require "relay.fake.strict"

local M = {}

local request_names = {
  "id", "method", "now", "transport", "src", "dst", "listener", "sni", "alpn", "origin", "username", "userhash", "realm", "tenant",
  "user", "software", "lifetime", "requested_transport", "requested_family", "even_port", "reservation", "minted",
  "tag", "room", "credential", "key", "access_token", "attr", "count",
}

-- fields: the request as the back-end got it. known: realm, tenant, user, held(scope) as far as they are known in this phase
function M.request(core, client, fields, known)
  local flow = client.flow
  local shown = {
    id = core.decision, method = fields.kind, now = core.unix_ms() // 1000, transport = flow.transport, src = flow.src, dst = flow.dst,
    listener = flow.listener, sni = flow.sni, alpn = flow.alpn, origin = fields.origin, username = known.username, realm = known.realm,
    userhash = fields.hidden and hash.hex(hash.sha256(fields.username .. ":" .. known.realm)) or nil,
    tenant = known.tenant, user = known.user, software = fields.software, lifetime = fields.lifetime,
    requested_transport = fields.requested_transport or "udp", requested_family = fields.family,
    even_port = fields.even_port, reservation = fields.reservation, minted = known.minted ~= nil, access_token = fields.access_token,
  }
  for _, name in ipairs {"tag", "room", "credential", "key"} do shown[name] = known.minted and known.minted[name] end
  function shown.attr(_, number)
    if number == 0x8022 then return fields.software end
    return fields.attributes and fields.attributes[number]
  end
  function shown.count(_, scope) return core.quota:held(scope, known.tenant, known.user) end
  return strict.view("request", request_names, shown)
end

local function tags_of(tags)
  local pairs_of = {}
  for i, name in ipairs(nearest.keys(tags)) do pairs_of[i] = name .. "=" .. tags[name] end
  local text = table.concat(pairs_of, ",")
  return setmetatable({}, {
    __index = tags, __newindex = function() error("tags are read-only", 2) end, __tostring = function() return text end, __metatable = "relay.tags",
  })
end

local allocation_names = {
  "id", "user", "tenant", "realm", "src", "relay", "transport", "relay_transport", "created", "expires", "bytes_in", "bytes_out", "packets_in",
  "packets_out", "permissions", "channels", "connections", "group", "tags",
}

function M.size(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

function M.allocation(core, a)
  local shown = {
    id = a.id, user = a.user, tenant = a.tenant, realm = a.realm, src = a.client.flow.src, relay = address.parse(a.relayed),
    transport = a.client.flow.transport, relay_transport = a.protocol, created = a.created_ms // 1000 + core.spec.now, expires = a.expires_ms // 1000 + core.spec.now,
    permissions = M.size(a.permissions), channels = M.size(a.channels), connections = M.size(a.connected), group = a.limits.group,
    tags = tags_of(a.limits.tags or {}),
  }
  for name, value in pairs(a.usage) do shown[name] = value end
  return strict.view("allocation", allocation_names, shown)
end

local usage_names = {"bytes_in", "bytes_out", "packets_in", "packets_out", "closing"}

function M.usage(delta) return strict.view("usage", usage_names, delta) end

local event_names = {
  "type", "code", "reason", "by", "decision_id", "policy_rev", "method", "user", "tenant", "realm", "username", "src", "transport", "peer",
  "allocation", "bytes", "bytes_in", "bytes_out", "packets_in", "packets_out", "seconds", "group", "tags",
}

-- event: a plain table, as core:events() shows it
function M.event(event)
  local shown = {}
  for name, value in pairs(event) do shown[name] = value end
  shown.src = event.src and address.parse(event.src)
  shown.peer = event.peer and address.parse(event.peer)
  shown.tags = event.tags and tags_of(event.tags)
  return strict.view("event", event_names, shown)
end

return M
