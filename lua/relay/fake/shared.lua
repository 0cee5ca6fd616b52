-- relay.fake.shared: state that all workers share, known by name: tables, rate limits, meters. now() is in unix seconds, with a fraction.

local strict = require "relay.fake.strict"

local M = {}

local function count(label, value)
  if math.type(value) ~= "integer" or value < 1 then error(label .. ": an integer from 1 expected", 4) end
  return value
end

local function key_of(key)
  if type(key) ~= "string" and math.type(key) ~= "integer" then error("key: a string or an integer expected, got " .. type(key), 3) end
  return tostring(key)
end

-- when an entry with this ttl ends: never if `false`; there is no silent default
local function deadline(ttl, now)
  if ttl == false then return math.huge end
  if type(ttl) ~= "number" or ttl <= 0 then error("ttl: seconds, or false for an entry that does not expire", 3) end
  return now + ttl
end

local scalar = {string = true, number = true, boolean = true}

local function shared_table(now, options)
  local most = count("relay.shared: max_entries", options.max_entries)
  if options.evict ~= nil and options.evict ~= "lru" then error("relay.shared: evict: 'lru' expected", 3) end
  local entries, size, clock, self = {}, 0, 0, {}

  local function drop(key) entries[key], size = nil, size - 1 end
  local function live(key)
    local e = entries[key]
    if not e then return nil end
    if e.ends <= now() then drop(key) return nil end
    clock = clock + 1
    e.used = clock
    return e
  end
  local function make_room()
    for key, e in pairs(entries) do
      if e.ends <= now() then drop(key) end
    end
    if size < most then return true end
    if options.evict ~= "lru" then return false end
    local oldest
    for key, e in pairs(entries) do
      if not oldest or e.used < entries[oldest].used then oldest = key end
    end
    drop(oldest)
    return true
  end
  local function put(key, value, ends)
    if not scalar[type(value)] then error("value: a string, number or boolean expected, got " .. type(value), 3) end
    if not live(key) then
      if size >= most and not make_room() then return nil, "full" end
      size = size + 1
    end
    clock = clock + 1
    entries[key] = {value = value, ends = ends, used = clock}
    return true
  end

  function self.get(_, key)
    local e = live(key_of(key))
    return e and e.value
  end
  function self.set(_, key, value, ttl) return put(key_of(key), value, deadline(ttl, now())) end
  function self.add(_, key, value, ttl)
    key = key_of(key)
    if live(key) then return nil, "exists" end
    return put(key, value, deadline(ttl, now()))
  end
  function self.incr(_, key, n, how)
    strict.only("incr", how, {"init", "ttl"})
    key = key_of(key)
    local e, ends = live(key), deadline(how.ttl, now())
    local before = e and e.value or not e and (how.init or 0)
    if math.type(before) ~= "integer" then return nil, "not an integer" end
    if e then
      e.value = before + (n or 1)
      return e.value
    end
    local ok, why = put(key, before + (n or 1), ends)
    if not ok then return nil, why end
    return before + (n or 1)
  end
  function self.cas(_, key, old, new, ttl)
    local e = live(key_of(key))
    if (e and e.value) ~= old then return false end
    return put(key_of(key), new, deadline(ttl, now()))
  end
  function self.delete(_, key)
    key = key_of(key)
    local there = live(key) ~= nil
    if there then drop(key) end
    return there
  end
  return strict.library("shared", self)
end

-- the generic cell rate algorithm: a key's theoretical arrival time may be at most `burst` intervals ahead
local function rate_limit(now, options)
  if type(options.rate) ~= "number" or options.rate <= 0 then error("relay.ratelimit: rate: a number above 0 a second expected", 3) end
  local interval, burst, arrival = 1 / options.rate, count("relay.ratelimit: burst", options.burst), {}
  return strict.library("ratelimit", {
    take = function(_, key, n)
      key = key_of(key)
      local t = now()
      local next_arrival = math.max(arrival[key] or t, t) + interval * (n or 1)
      local wait = next_arrival - t - interval * burst
      if wait > 1e-6 then return false, wait end
      arrival[key] = next_arrival
      return true, 0
    end,
  })
end

-- what C has of a meter: {add = function(key, n), get = function(key)}
local insides = setmetatable({}, {__mode = "k"})
function M.inside(meter) return insides[meter] end

local periods = {day = "!%Y-%m-%d", month = "!%Y-%m"}

local function meter(now, options)
  local format, period = periods[options.period], nil
  if not format then error("relay.meter: period: 'month' or 'day' expected", 3) end
  local sums = {}
  local function current()
    local name = os.date(format, math.floor(now()))
    if name ~= period then period, sums = name, {} end
    return sums
  end
  local function get(key) return current()[key] or 0 end
  local function add(key, n)
    local of = current()
    of[key] = (of[key] or 0) + n
    return of[key]
  end
  if type(options.persist or false) ~= "boolean" then error("relay.meter: persist: true or false expected", 3) end
  local object = strict.library("meter", {
    get = function(_, key) return get(key_of(key)) end,
    add = function(_, key, n)
      if math.type(n) ~= "integer" or n < 0 then error("add: an integer from 0 expected", 2) end
      return add(key_of(key), n)
    end,
  })
  insides[object] = {get = get, add = add}
  return object
end

local function gate(_, options)
  local max, held = count("relay.gate: max", options.max), {}
  local function give(key) held[key] = held[key] > 1 and held[key] - 1 or nil end
  local function hold(_, key)
    key = key_of(key)
    if (held[key] or 0) >= max then return nil, "busy" end
    held[key] = (held[key] or 0) + 1
    local given = false
    local function close()
      if not given then give(key) end
      given = true
    end
    return setmetatable({}, {__close = close, __gc = close, __metatable = "relay.hold"})
  end
  return strict.library("gate", {hold = hold})
end

local option_names = {gate = {"max"}, shared = {"max_entries", "evict"}, ratelimit = {"rate", "burst"}, meter = {"period", "persist"}}

-- What outlives a reload: meters, and of the rest what is in `asked`.
function M.kept(objects, asked)
  local out = {}
  for name, made in pairs(objects) do
    if made.kind == "meter" or asked[name] then out[name] = made end
  end
  return out
end

-- The constructors relay.shared, relay.ratelimit, relay.meter, relay.gate: one name is one object, whichever policy asks for it. objects: those that there are, by
-- name; asked[name] becomes true.
function M.constructors(now, objects, asked)
  local out = {}
  for kind, make in pairs {shared = shared_table, ratelimit = rate_limit, meter = meter, gate = gate} do
    out[kind] = function(name, options)
      if type(name) ~= "string" then error(("relay.%s: a name expected, got %s"):format(kind, type(name)), 2) end
      strict.only("relay." .. kind, options or {}, option_names[kind])
      local how = {}
      for i, option in ipairs(option_names[kind]) do how[i] = tostring((options or {})[option]) end
      how = table.concat(how, ",")
      local made = objects[name] or {object = make(now, options or {}), kind = kind, how = how}
      if made.kind ~= kind then error(("'%s' is there already, as a relay.%s"):format(name, made.kind), 2) end
      if made.how ~= how then error(("'%s' is there already, with other options"):format(name), 2) end
      objects[name], asked[name] = made, true
      return made.object
    end
  end
  return out
end

return M
