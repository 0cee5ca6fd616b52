-- relay.fake.auth: who is asking: the route, the key, the check of the password. What the core does between parsing and authorize.

local address = require "relay.address"
local hash = require "relay.hash"
local minted = require "relay.fake.minted"
local views = require "relay.fake.views"

local M = {}

local function refusal(d) return {code = d.code, reason = d.reason, by = d.by, servers = d.servers, domain = d.domain} end
M.refusal = refusal

local function long_term_key(username, realm, password)
  return hash.hex(hash.md5(("%s:%s:%s"):format(username, realm, password)))
end

-- The tenant and realm of a 5-tuple, decided once per (listener, sni, alpn, origin); or nil and a refusal.
function M.route(core, client, fields)
  local flow, a = client.flow, client.allocation
  if a then return {tenant = a.tenant, realm = a.realm} end
  local key = table.concat({flow.listener, flow.sni or "", flow.alpn or "", fields.origin or ""}, "\0")
  local d = core.routes[key]
  if d == nil then
    local req, forget = views.request(core, client, fields, {realm = core.spec.realm})
    d = core.chain:first("route", req) or false
    forget()
    if not d or d.kind ~= "fail" then core.routes[key] = d end
  end
  if d and d.kind ~= "tenant" then return nil, refusal(d) end
  if not d then return {realm = core.spec.realm} end
  return {tenant = d.tenant, realm = d.realm or core.spec.realm}
end

-- the key of a minted credential; false if the name is of another form
local function find_minted(core, username)
  local said = core.spec.mint_secret and minted.parse(username)
  if not said then return false end
  if said.expires * 1000 <= core.unix_ms() then return nil, {code = 401, reason = "credential_expired", by = "core"} end
  return {
    user = said.tag or said.credential, tenant = said.tenant, passwords = {minted.password(core.spec.mint_secret, username)}, expires = said.expires,
    minted = said,
  }
end

-- the key material of a request's username: what the policies say, else the built-in users; or nil and a refusal
local function find_key(core, client, fields, route)
  local named = not fields.hidden or core.has_user(fields.username)
  local known = {realm = route.realm, tenant = route.tenant, username = named and fields.username or nil}
  local req, forget = views.request(core, client, fields, known)
  local d = core.chain:first("authenticate", req)
  forget()
  if not named and not (d and d.kind == "key" and d.user == fields.username) then
    return nil, {code = d and d.code or 401, reason = d and d.reason or "unknown_user", by = d and d.by or "core", unsigned = true}
  end
  if d and d.kind == "key" then
    return {
      user = d.user, tenant = d.tenant or route.tenant, passwords = d.passwords, ha1 = d.ha1, mac_key = d.mac_key, expires = d.expires,
      reauth = d.reauth, strict = d.strict,
    }
  end
  if d and d.kind ~= "lookup" then return nil, refusal(d) end
  if not d then
    local key, refused = find_minted(core, fields.username)
    if key ~= false then return key, refused end
  end
  local tenant, user = route.tenant, fields.username
  if d then tenant, user = d.tenant or tenant, d.user end
  local found = core.find_user(tenant, user)
  if not found then return nil, {code = 401, reason = "unknown_user", by = "core"} end
  return {user = found.user, tenant = tenant, passwords = {found.password}, ha1 = found.ha1}
end

local function fits(key, fields, realm)
  if key.mac_key or fields.mac_key then return key.mac_key == (fields.mac_key or ""):lower() end
  local sent = long_term_key(fields.username, realm, fields.password or "")
  if key.ha1 == sent then return true end
  for _, password in ipairs(key.passwords) do
    if long_term_key(fields.username, realm, password) == sent then return true end
  end
  return false
end

-- Who sent a request: {user, tenant, realm, username, key}; or nil and a refusal. A key is asked for once per client and username, again when it
-- has expired, unless it may keep an allocation alive, and for every access token; that of a Refresh counts once it is granted.
function M.identify(core, client, fields)
  client.who = {realm = core.spec.realm}
  local route, refused = M.route(core, client, fields)
  if not route then
    refused.unsigned = true -- the first request of a client carries no name
    return nil, refused
  end
  client.who = {tenant = route.tenant, realm = route.realm}
  if not fields.username then return nil, {code = 401, reason = "unauthenticated", by = "core", quiet = true} end
  local key = client.key
  local expired = key and key.expires and key.expires <= core.unix_ms() // 1000 and (key.reauth or not client.allocation)
  local asks = not key or key.username ~= fields.username or expired or fields.access_token
  if asks then
    key, refused = find_key(core, client, fields, route)
    if not key then return nil, refused end
    key.username = fields.username
  end
  if not fits(key, fields, route.realm) then return nil, {code = 401, reason = "bad_integrity", by = "core"} end
  if (asks or key.strict) and key.expires and key.expires <= core.unix_ms() // 1000 then
    return nil, {code = 401, reason = "expired", by = "core"}
  end
  local a = client.allocation
  if not a or a.username == fields.username and not key.mac_key then client.key = key end -- another user's request (441) changes nothing
  client.who = {user = key.user, tenant = key.tenant, realm = route.realm, username = fields.username, key = key, minted = key.minted}
  return client.who
end

-- The 5-tuple of a client, made by its first request.
function M.flow(fields)
  local transport = fields.transport or "udp"
  local flow = {transport = transport, sni = fields.sni, alpn = fields.alpn}
  flow.src, flow.dst = address.parse(fields.src), address.parse(fields.dst)
  if not flow.src or not flow.dst then error(("not an address: src %s, dst %s"):format(fields.src, fields.dst), 0) end
  flow.listener = fields.listener or ("%s:%s"):format(transport, fields.dst)
  return flow
end

return M
