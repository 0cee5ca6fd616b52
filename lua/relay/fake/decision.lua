-- relay.fake.decision: what a hook may answer: built and checked by constructors, judged by the hook that returned it.
--
-- Inside, a decision is {kind=, code=, reason=, by=, ...}; a policy holds an opaque value. `by` is where it was built.

local address = require "relay.address"
local shared = require "relay.fake.shared"
local strict = require "relay.fake.strict"

local M = {}
local NAME_MAX <const>, REALM_MAX <const>, REASON_MAX <const>, TAGS_MAX <const>, KEYS_MAX <const> = 128, 127, 95, 127, 8

-- which hooks may refuse with a code; a code that is missing here belongs to the core, or is none
local deny_hooks = {
  [401] = {authenticate = true},
  [403] = {route = true, authenticate = true, authorize = true, permission = true, channel = true, refresh = true},
  [440] = {authorize = true}, [442] = {authorize = true}, [443] = {permission = true},
  [486] = {authorize = true, refresh = true}, [508] = {authorize = true, refresh = true},
}

-- which kinds a hook may return; `fail` is the script's own way to say that it failed, in any of them
local kinds = {
  route = {tenant = true, redirect = true}, authenticate = {key = true, lookup = true},
  authorize = {allow = true, redirect = true}, permission = {}, channel = {},
  refresh = {allow = true, reauth = true}, usage = {allow = true, close = true},
}
local allow_fields = {refresh = {max_lifetime = true}, usage = {max_bps = true}} -- authorize: all

local content = setmetatable({}, {__mode = "k"})
local meta = {__name = "relay.Decision", __metatable = "relay.Decision"}
meta.__index = function() error("a decision cannot be read", 2) end
meta.__newindex = function() error("a decision is read-only", 2) end
meta.__tostring = function(d)
  local c = content[d]
  return ("relay.%s(%s) by %s"):format(c.kind, c.code or c.user or c.tenant or "", c.by)
end

local function text(label, value, longest, optional)
  if value == nil and optional then return nil end
  if type(value) ~= "string" then error(("%s: a string expected, got %s"):format(label, type(value)), 3) end
  if #value > longest then error(("%s: longer than %d bytes"):format(label, longest), 3) end
  return value
end

local function positive(label, value)
  if math.type(value) ~= "integer" or value < 1 then
    error(("%s: an integer from 1 expected, got %s"):format(label, tostring(value)), 3)
  end
  return value
end

local function tags_of(given)
  local tags, length = {}, -1
  for key, value in pairs(given) do
    local pair = ("%s=%s"):format(key, tostring(value))
    if type(key) ~= "string" or type(value) == "table" or pair:find(",", 1, true) or key:find("=", 1, true) then
      error("relay.allow: tags: names and plain values without ',' expected", 3)
    end
    tags[key], length = tostring(value), length + #pair + 1
  end
  if length > TAGS_MAX then error(("relay.allow: tags: longer than %d bytes"):format(TAGS_MAX), 3) end
  return tags
end

local limit_names = {
  "total_quota", "realm_quota", "user_quota", "max_lifetime", "max_bps", "max_permissions", "max_channels",
  "max_pps", "max_user_bps", "max_new_peers",
  "permission_acl", "tags", "meter", "group", "pool",
}

local on_caps = {refuse = true, throttle = true, close = true}

-- {meter, key, cap?, on_cap?} as {inside, key, cap, on_cap}
local function metering_of(given)
  strict.only("relay.allow: meter", given, {1, 2, "cap", "on_cap"})
  local inside = shared.inside(given[1]) or error("relay.allow: meter: a relay.meter expected", 4)
  local on_cap = given.on_cap or "refuse"
  if type(given[2]) ~= "string" then error("relay.allow: meter: key: a string expected", 4) end
  if not on_caps[on_cap] then error("relay.allow: meter: on_cap: 'refuse', 'throttle' or 'close' expected", 4) end
  if given.cap ~= nil and (math.type(given.cap) ~= "integer" or given.cap < 1) then
    error("relay.allow: meter: cap: bytes, an integer from 1 expected", 4)
  end
  return {inside = inside, key = given[2], cap = given.cap, on_cap = on_cap}
end

local function limits_of(given)
  local limits = {}
  for name, value in pairs(given) do
    if name == "permission_acl" then
      if not address.is_set(value) then error("relay.allow: permission_acl: a relay.cidr expected", 3) end
      limits.acls = {value}
    elseif name == "meter" then
      limits.meter = metering_of(value)
    elseif name == "tags" then
      if type(value) ~= "table" then error("relay.allow: tags: a table expected", 3) end
      limits.tags = tags_of(value)
    elseif name == "group" or name == "pool" then
      limits[name] = text("relay.allow: " .. name, value, NAME_MAX)
      if value == "" then error(("relay.allow: %s: a name expected, got an empty one"):format(name), 3) end
    else
      limits[name] = positive("relay.allow: " .. name, value)
    end
  end
  return limits
end

local on_expiries <const> = {keep = true, reauth = true, strict = true}
local key_names = {"user", "tenant", "password", "passwords", "ha1", "ha1_sha256", "mac_key", "expires", "on_expiry"}

local function key_of(given)
  local sources = (given.password and 1 or 0) + (given.passwords and 1 or 0) + ((given.ha1 or given.ha1_sha256) and 1 or 0)
    + (given.mac_key and 1 or 0)
  if sources ~= 1 then error("relay.key: one of password, passwords, ha1 and mac_key expected", 3) end
  local passwords = given.passwords or given.password and {given.password} or {}
  if #passwords > KEYS_MAX then error(("relay.key: more than %d passwords"):format(KEYS_MAX), 3) end
  for i = 1, #passwords do text("relay.key: password", passwords[i], 763) end
  local mac_digits = #tostring(given.mac_key) == 64 and 64 or 40
  for name, digits in pairs {ha1 = 32, ha1_sha256 = 64, mac_key = mac_digits} do
    if given[name] and not tostring(given[name]):find("^" .. ("%x"):rep(digits) .. "$") then
      error(("relay.key: %s: %d hexadecimal digits expected"):format(name, digits), 3)
    end
  end
  if given.expires and math.type(given.expires) ~= "integer" then error("relay.key: expires: unix seconds expected", 3) end
  local on_expiry = given.on_expiry or "keep"
  if not on_expiries[on_expiry] then error("relay.key: on_expiry: 'keep', 'reauth' or 'strict' expected", 3) end
  return {
    user = text("relay.key: user", given.user, NAME_MAX), tenant = text("relay.key: tenant", given.tenant, NAME_MAX, true),
    passwords = passwords, ha1 = given.ha1 and given.ha1:lower(), mac_key = given.mac_key and given.mac_key:lower(),
    expires = given.expires, reauth = on_expiry == "reauth", strict = given.mac_key ~= nil or on_expiry == "strict",
  }
end

-- what each constructor makes of its arguments
local build = {}

function build.deny(code, reason)
  if code == 487 then error("relay.deny: 487 is an answer of ICE, not of TURN", 3) end
  if not deny_hooks[code] then error("relay.deny: no policy may answer " .. tostring(code), 3) end
  return {code = code, reason = text("relay.deny: reason", reason, REASON_MAX, true)}
end

function build.allow(given)
  strict.only("relay.allow", given or {}, limit_names)
  return {limits = limits_of(given or {})}
end

function build.key(given)
  strict.only("relay.key", given, key_names)
  return key_of(given)
end

function build.lookup(user, options)
  strict.only("relay.lookup", options or {}, {"tenant"})
  return {user = text("relay.lookup: user", user, 763), tenant = text("relay.lookup: tenant", (options or {}).tenant, NAME_MAX, true)}
end

function build.tenant(id, options)
  strict.only("relay.tenant", options or {}, {"realm"})
  return {tenant = text("relay.tenant", id, NAME_MAX), realm = text("relay.tenant: realm", (options or {}).realm, REALM_MAX, true)}
end

local function domain_name(name)
  if text("relay.redirect: domain", name, 255, true) == nil then return nil end
  for label in (name .. "."):gmatch("(.-)%.") do
    if #label > 63 or not label:find("^%w[%w-]*$") or label:find("-$") then error("relay.redirect: domain: a domain name expected", 4) end
  end
  return name
end

function build.redirect(given)
  strict.only("relay.redirect", given, {"server", "domain"})
  local servers = {}
  for i, name in ipairs(type(given.server) == "table" and given.server or {given.server}) do
    servers[i] = address.parse(text("relay.redirect: server", name, 64))
    if not servers[i] or servers[i].port == 0 then error("relay.redirect: server: an address with a port expected", 3) end
  end
  if type(given.server) == "table" and (#servers ~= 2 or servers[1].family == servers[2].family) then
    error("relay.redirect: server: an IPv4 and an IPv6 address expected", 3)
  end
  if not servers[1] then text("relay.redirect: server", given.server, 64) end
  return {code = 300, servers = servers, domain = domain_name(given.domain)}
end

function build.reauth() return {code = 438} end
function build.close(why) return {reason = text("relay.close", why, REASON_MAX)} end
function build.fail(why) return {code = 500, reason = text("relay.fail", why, REASON_MAX)} end

-- The constructors; where(tail_called) says which line of a policy called one.
function M.constructors(where)
  local out = {}
  for kind, make in pairs(build) do
    out[kind] = function(...)
      local made = strict.checked(make, ...)
      made.kind, made.by = kind, where(debug.getinfo(1, "t").istailcall)
      made.reason = made.reason or made.code and (kind == "deny" and "policy" or kind)
      local decision = setmetatable({}, meta)
      content[decision] = made
      return decision
    end
  end
  return out
end

-- what `hook` returned: nil, the decision's content, or nil, why it cannot be an answer of this hook, and where it was built
function M.judge(hook, value)
  if value == nil then return nil end
  local d = content[value]
  if not d then return nil, ("%s returned a %s, not a decision or nil"):format(hook, type(value)) end
  if d.kind == "fail" then return d end
  if d.kind == "deny" then
    if deny_hooks[d.code][hook] then return d end
    return nil, ("%s may not answer %d (built at %s)"):format(hook, d.code, d.by), d.by
  end
  if not kinds[hook][d.kind] then return nil, ("%s may not return relay.%s (built at %s)"):format(hook, d.kind, d.by), d.by end
  for name in pairs(d.kind == "allow" and allow_fields[hook] and d.limits or {}) do
    if not allow_fields[hook][name] then return nil, ("%s may not set this limit (built at %s)"):format(hook, d.by), d.by end
  end
  return d
end

local MISFIT <const> = "the limits of several policies do not fit together: two "

-- Adds the limits of one more policy: the strictest of each number, the intersection of the sets, the union of the tags, the one meter and
-- the one group, the one pool; or nil and why they do not fit together.
function M.merge(into, more)
  if into.meter and more.meter then return nil, MISFIT .. "meters" end
  for _, name in ipairs {"group", "pool"} do
    if (into[name] or more[name]) ~= (more[name] or into[name]) then return nil, ("%s%ss"):format(MISFIT, name) end
  end
  for name, value in pairs(more) do
    if name == "acls" then
      into.acls = into.acls or {}
      for _, set in ipairs(value) do table.insert(into.acls, set) end
    elseif name == "meter" or name == "group" or name == "pool" then
      into[name] = value
    elseif name == "tags" then
      into.tags = into.tags or {}
      for k, v in pairs(value) do into.tags[k] = v end
    else
      into[name] = math.min(into[name] or value, value)
    end
  end
  return into
end

return M
