-- relay.fake.library: the table `relay` that a policy sees, over a fake core.

local address = require "relay.address"
local base64 = require "relay.base64"
local decision = require "relay.fake.decision"
local hash = require "relay.hash"
local json = require "relay.json"
local jwt = require "relay.fake.jwt"
local mmdb = require "relay.mmdb"
local nearest = require "relay.nearest"
local shared = require "relay.fake.shared"
local strict = require "relay.fake.strict"
local waiting = require "relay.fake.waiting"

local M = {}
local RANDOM_MAX <const>, SERIES_MAX <const>, WORK <const> = 1024, 256, 10

local function plain(fields)
  local out = {}
  for k, v in pairs(fields or {}) do
    if address.is_address(v) then v = tostring(v) end
    out[k] = v
  end
  return out
end

local function split(text, separator)
  local at, last = text:find(separator, 1, true)
  if not at then return text, nil end
  return text:sub(1, at - 1), text:sub(last + 1)
end

local function set_of(list)
  local members = {}
  for _, name in ipairs(list) do members[name] = true end
  return setmetatable({}, {
    __index = members, __newindex = function() error("a set is read-only", 2) end, __metatable = "relay.set",
  })
end

-- candidates(): the values at the moment; work(f, ...) calls a function of the library
local function secret(candidates, work)
  local function macs(_, algorithm, text)
    if algorithm ~= "sha1" and algorithm ~= "sha256" then error("hmac_b64: 'sha1' or 'sha256' expected", 2) end
    local out = {}
    for i, key in ipairs(candidates()) do out[i] = base64.encode(work(hash.hmac, algorithm, key, text)) end
    return out
  end
  return setmetatable({}, {
    __index = strict.library("secret", {hmac_b64 = macs}), __newindex = function() error("a secret is read-only", 2) end,
    __tostring = function() return "relay.secret(hidden)" end, __metatable = "relay.secret",
  })
end

local function check_algorithm(label, algorithm, with_md5)
  if algorithm == "sha1" or algorithm == "sha256" or with_md5 and algorithm == "md5" then return end
  error(("%s: %s'sha1' or 'sha256' expected"):format(label, with_md5 and "'md5', " or ""), 3)
end

local function is_url(alphabet)
  if alphabet ~= nil and alphabet ~= "standard" and alphabet ~= "url" then error("relay.base64: 'standard' or 'url' expected", 3) end
  return alphabet == "url"
end

-- hash, hmac, hex, base64, random
local function digests(relay, work)
  function relay.hash(algorithm, text)
    check_algorithm("relay.hash", algorithm, true)
    return work(hash[algorithm], text)
  end
  function relay.hmac(algorithm, key, text)
    check_algorithm("relay.hmac", algorithm)
    return work(hash.hmac, algorithm, key, text)
  end
  relay.hex = hash.hex
  function relay.random(count)
    if math.type(count) ~= "integer" or count < 1 or count > RANDOM_MAX then
      error(("relay.random: 1 to %d bytes expected"):format(RANDOM_MAX), 2)
    end
    local bytes = {}
    for i = 1, count do bytes[i] = string.char(math.random(0, 255)) end
    return table.concat(bytes)
  end
  relay.base64 = strict.library("relay.base64", {
    encode = function(bytes, alphabet) return work(is_url(alphabet) and base64.encode_url or base64.encode, bytes) end,
    decode = function(text, alphabet) return work(is_url(alphabet) and base64.decode_url or base64.decode, text) end,
  })
end

-- get(): a function of an address at the moment
local function geo(get)
  local function at(asked, ...)
    local value = get()(asked)
    for _, name in ipairs {...} do
      value = type(value) == "table" and value[name] or nil
    end
    if type(value) == "table" then return nil end
    return value
  end
  return strict.library("mmdb", {
    country = function(_, asked)
      local own = at(asked, "country", "iso_code")
      return own == nil and at(asked, "registered_country", "iso_code") or own
    end,
    get = function(_, asked, ...)
      if select("#", ...) < 1 then error("get: 1 to 8 names expected", 2) end
      return at(asked, ...)
    end,
  })
end

local function log_of(core)
  local levels = {}
  for _, level in ipairs {"debug", "info", "warn", "error"} do
    levels[level] = function(message, fields)
      table.insert(core.lists.log, {level = level, message = tostring(message), fields = plain(fields)})
    end
  end
  return strict.library("relay.log", levels)
end

-- metric names and labels as one line: name{a="b"}
local function series(name, labels, value)
  local parts = {}
  for _, key in ipairs(nearest.keys(labels or {})) do parts[#parts + 1] = ('%s="%s"'):format(key, value or labels[key]) end
  return #parts > 0 and ("%s{%s}"):format(name, table.concat(parts, ",")) or name
end

local function counter(core, name, labels)
  local full, count = series(name, labels), 0
  for known in pairs(core.lists.metrics) do
    if known:match("^[^{]*") == name then count = count + 1 end
  end
  if count >= SERIES_MAX and not core.lists.metrics[full] then full = series(name, labels, "other") end
  core.lists.metrics[full] = core.lists.metrics[full] or 0
  return strict.library("counter", {
    add = function(_, n) core.lists.metrics[full] = core.lists.metrics[full] + (n or 1) end,
  })
end

local function every(core, seconds, run, options)
  strict.only("relay.timer.every", options or {}, {"on"})
  if options and options.on ~= nil and options.on ~= "one" and options.on ~= "all" then error("relay.timer.every: on: 'one' or 'all' expected", 3) end
  if type(seconds) ~= "number" or seconds <= 0 then error("relay.timer.every: seconds above 0 expected", 2) end
  if type(run) ~= "function" then error("relay.timer.every: a function expected", 2) end
  table.insert(core.timers, {interval_ms = math.ceil(seconds * 1000), due = core.now_ms + math.ceil(seconds * 1000), run = run})
end

-- what is made once, as long as the process lives: while the policies load
local function while_loading(core, name, make)
  return function(...)
    if core.chain and core.chain.box.loaded then error(("relay.%s: only while the policy loads"):format(name), 2) end
    return make(...)
  end
end

-- The library. core: now_ms, unix(), read(name), spec, lists, timers, params, find_user(tenant, user); where: see decision.constructors;
-- box(): the sandbox.
function M.new(core, where, box)
  local relay = decision.constructors(where)
  for name, make in pairs(shared.constructors(function() return core.unix_ms() / 1000 end, core.objects, core.asked)) do relay[name] = make end
  local function work(f, ...) return box():work(WORK, f, ...) end
  digests(relay, work)
  waiting.add(relay, core, box)
  relay.cidr, relay.set, relay.split = address.set, set_of, split
  function relay.userhash(name, realm) return hash.hex(hash.sha256(name .. ":" .. realm)) end
  function relay.prefix(text, prefix) return text:sub(1, #prefix) == prefix end
  function relay.params(namespace, rules) return core.params:declare(namespace, rules) end
  function relay.data(file)
    local get, why = core.sources:open(file, function(text)
      local value, where = json.decode(text)
      if value == nil then return nil, ("%s:%s"):format(file, (where:gsub("^line ", ""))) end
      return value
    end)
    return get and strict.following(get, "data") or error("relay.data: " .. why, 2)
  end
  function relay.mmdb(file)
    local get, why = core.sources:open(file, function(text)
      local find, wrong = mmdb.open(text)
      if not find then return nil, ("%s: %s"):format(file, wrong) end
      return find
    end)
    return get and geo(get) or error("relay.mmdb: " .. why, 2)
  end
  relay.jwt = jwt.new(core, box)
  function relay.secret(name)
    if core.spec.secrets[name] then return secret(function() return core.spec.secrets[name] end, work) end
    error(("relay.secret: no secret '%s' (--secret %s=FILE)%s"):format(name, name, nearest.hint(name, nearest.keys(core.spec.secrets))), 2)
  end
  function relay.audit(row) table.insert(core.lists.audit, plain(row)) end
  relay.log = log_of(core)
  relay.metric = strict.library("relay.metric", {
    counter = while_loading(core, "metric.counter", function(name, labels) return counter(core, name, labels) end),
  })
  relay.timer = strict.library("relay.timer", {every = while_loading(core, "timer.every", function(...) return every(core, ...) end)})
  for _, name in ipairs {"cidr", "data", "mmdb", "params", "secret", "shared", "ratelimit", "meter", "gate"} do
    relay[name] = while_loading(core, name, relay[name])
  end
  return strict.library("relay", relay)
end

return M
