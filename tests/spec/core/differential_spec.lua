-- Seeded random scenarios through both back-ends: the fake core and the real one give the same answers and tell the same events.
-- RELAY_SEED=n repeats one scenario alone.

local T = require "relay.testing"

local SCENARIOS <const>, STEPS <const> = 60, 60

local mixed = [[
local near, inner = relay.cidr{"20.0.0.0/24", "2a00::/16"}, relay.cidr("20.0.0.0/25")
local OFFICE = relay.allow{permission_acl = near, max_channels = 2, tags = {plan = "office"}}
local HOME = relay.allow{user_quota = 2, max_lifetime = 900, max_permissions = 3}
local FAR, NUMBER, MAL = relay.deny(403, "too far"), relay.deny(403, "unlucky"), relay.deny(486)

return {
  route = function(req)
    if req.sni == "acme" then return relay.tenant("acme", {realm = "acme.example"}) end
    if req.origin == "https://no.example" then return relay.deny(403, "origin") end
    if req.origin == "https://away.example" then return relay.redirect{server = "20.0.0.1:3478"} end
    if req.origin == "https://bad.example" then error("no such origin") end
  end,
  authenticate = function(req)
    if req.username == "keyed" then
      return relay.key{user = "k", passwords = {"x", "keyed"}, expires = req.now - req.now % 500 + 500, on_expiry = "reauth"}
    end
    if req.username == "kept" then return relay.key{user = "k", tenant = "acme", password = "kept", expires = req.now + 200} end
    if req.username == "ann@acme" then return relay.lookup("ann", {tenant = "acme"}) end
    if req.username == "banned" then return relay.deny(403, "banned") end
    if req.username == "expired" then return relay.deny(401, "gone") end
  end,
  authorize = function(req)
    if req.user == "mal" then return MAL end
    if req.software == "boom" then error("boom") end
    if req.software == "odd" then return relay.deny(403) end
    if req.user == "bob" then return OFFICE end
    if req.user == "ann" then return HOME end
  end,
  permission = function(_, peer, kind)
    if peer.ip == "20.0.1.13" then error("thirteen") end
    if kind == "channel" and inner:contains(peer) then return FAR end
    if not near:contains(peer) and peer.family == 4 then return FAR end
  end,
  channel = function(_, _, number)
    if number == 0x4003 then return NUMBER end
    if number == 0x4004 then return relay.fail("four") end
  end,
  refresh = function(alloc, req)
    if req.lifetime == 701 then return relay.reauth() end
    if req.lifetime == 702 then return relay.deny(508, "draining") end
    if req.lifetime == 703 then error("703") end
    if alloc.user == "bob" then return relay.allow{max_lifetime = 1200} end
  end,
  usage = function(alloc)
    if alloc.bytes_in + alloc.bytes_out > 4000 then return relay.close("enough") end
  end,
  log = function(ev) relay.audit{type = ev.type, code = ev.code, user = ev.user or "", bytes = ev.bytes or 0, reason = ev.reason or ""} end,
}
]]

local credentials = {
  {"ann", "p"}, {"ann", "p"}, {"bob", "q"}, {"bob", "q"}, {"mal", "m"}, {"eve", "x"}, {"ann", "wrong"}, {"keyed", "keyed"}, {"kept", "kept"},
  {"ann@acme", "r"}, {"banned", "x"}, {"expired", "x"}, {},
}
local peers = {
  "20.0.0.9", "20.0.0.9:7", "20.0.0.200:7", "20.0.0.200:8", "20.0.1.1:9", "20.0.1.13:1", "10.0.0.1", "127.0.0.1:80", "192.0.2.9:1", "2a00::9",
  "2a00::9:1", "fe80::1", "64:ff9b::1400:9", "::ffff:20.0.0.9", "224.0.0.1:5", "8.8.4.4:53", "2001:db8::1",
}
local origins = {"https://beta.example", "https://no.example", "https://away.example", "https://bad.example"}

local function pick(list) return list[math.random(#list)] end
local function now_and_then(n, value) if math.random(n) == 1 then return value end end

local function start(options, backend)
  local own = rawget(_G, "relay_core_backend")
  rawset(_G, "relay_core_backend", backend)
  local s = T.new(options)
  rawset(_G, "relay_core_backend", own)
  return s
end

local function options_of()
  return {
    policy = pick {{"mixed.lua"}, {"mixed.lua", "quota.lua"}, {"quota.lua"}, {"audit.lua"}}, files = {["mixed.lua"] = mixed},
    users = {ann = "p", bob = "q", mal = "m", ["acme/ann"] = "r", ["acme/bob"] = "q"}, total_quota = now_and_then(2, math.random(4, 12)),
    user_quota = now_and_then(2, math.random(1, 4)), max_allocate_lifetime = pick {3600, 700, 1800}, min_port = 50000,
    max_port = pick {65535, 50003}, permission_lifetime = pick {300, 120}, denied_peer_ip = now_and_then(3, "20.0.0.200"),
    allowed_peer_ip = now_and_then(3, "10.0.0.0/8"), allow_loopback_peers = math.random(3) == 1, max_permissions = now_and_then(3, 2),
    max_channels = now_and_then(3, 1),
  }
end

local function new_client(options)
  local who = pick(credentials)
  return {
    username = who[1], password = who[2], sni = now_and_then(4, "acme"), transport = pick {"udp", "tcp", "tls", "dtls"},
    origin = now_and_then(6, pick(origins)), lifetime = pick {0, 100, 700, 1000, 5000, nil}, family = now_and_then(3, pick {4, 6, 5}),
    requested_transport = now_and_then(4, "tcp"), even_port = options.max_port == 65535 and now_and_then(5, true) or nil,
    software = now_and_then(6, pick {"boom", "odd", "x"}),
    attributes = now_and_then(15, {[0x7abc] = "unknown"}),
  }
end

local function as_somebody(fields)
  if math.random(10) == 1 then
    local who = pick(credentials)
    fields.username, fields.password = who[1], who[2]
  end
  return fields
end

-- what one step does to a session, as a function of the session and its earlier answers; the choices are made before
local function step_of(options, known, fresh)
  local which, kind = known > 0 and math.random(known), math.random(22)
  if not which or kind <= 5 then
    local fields = new_client(options)
    return "allocate", function(s) return s:allocate(fields) end
  end
  if kind == 6 then return "allocate again", function(s, a) return s:allocate {client = a[which]} end end
  if kind == 7 and fresh then return "retransmit", function(s, a) return s:retransmit(a[#a]) end end
  if kind == 8 then
    local seconds = pick {1, 10, 59, 60, 61, 119, 300, 400}
    return "advance " .. seconds, function(s) s:advance(seconds) end
  end
  if kind == 9 then return "close", function(s, a) return s:close(a[which]) end end
  if kind <= 11 then
    local fields = as_somebody {lifetime = pick {nil, 600, 700, 701, 702, 703, 4000}}
    return "refresh", function(s, a) return s:refresh(a[which], fields) end
  end
  if kind <= 14 then
    local peer, fields = pick(peers), as_somebody {}
    return "permission " .. peer, function(s, a) return s:permission(a[which], peer, fields) end
  end
  if kind <= 17 then
    local peer, number, fields = pick(peers), pick {0x4000, 0x4001, 0x4003, 0x4004, 0x7fff, 0x3fff}, as_somebody {}
    return ("channel %s %x"):format(peer, number), function(s, a) return s:channel(a[which], peer, number, fields) end
  end
  if kind <= 19 then
    local peer, fields = pick(peers), as_somebody {}
    return "connect " .. peer, function(s, a) return s:connect(a[which], peer, fields) end
  end
  local bytes, way = pick {1, 100, 1200, 1201, 3000}, pick {"in", "out"}
  return "traffic " .. way, function(s, a) return s:traffic(a[which], bytes, {direction = way}) end
end

local function text_of(row, names)
  local parts = {}
  for _, name in ipairs(names) do
    if row[name] ~= nil then parts[#parts + 1] = name .. "=" .. tostring(row[name]) end
  end
  return table.concat(parts, " ")
end

local function sorted_of(map)
  local parts = {}
  for name, value in pairs(map or {}) do parts[#parts + 1] = name .. "=" .. tostring(value) end
  table.sort(parts)
  return table.concat(parts, ",")
end

local shown = {
  answer = {"ok", "code", "reason", "by", "server", "lifetime", "mapped", "user", "tenant", "realm"},
  events = {"type", "code", "reason", "by", "method", "user", "tenant", "realm", "username", "src", "transport", "bytes_in", "bytes_out",
            "packets_in", "packets_out", "seconds"},
  errors = {"policy", "hook", "by", "kind"},
  audit = {"type", "code", "user", "bytes", "reason"},
}

-- what a session said and wrote since `seen`, as sorted text: what happens in the same second has no order
local function news(s, answer, seen)
  local lines = {answer and text_of(answer, shown.answer) .. " tags " .. sorted_of(answer.tags) .. " limits " .. sorted_of(answer.limits) or ""}
  for _, list in ipairs {"events", "errors", "audit"} do
    local rows = s[list]
    for i = seen[list] + 1, #rows do lines[#lines + 1] = list .. ": " .. text_of(rows[i], shown[list]) end
    seen[list] = #rows
  end
  lines[#lines + 1] = "held " .. s:held("total") .. " " .. s:held("user", nil, "ann") .. " " .. s:held("realm", "acme")
  local said = table.remove(lines, 1)
  table.sort(lines)
  return said .. "\n" .. table.concat(lines, "\n")
end

local function run(seed)
  math.randomseed(seed)
  local options = options_of()
  local real, fake = start(options, rawget(_G, "relay_core_backend")), start(options, nil)
  assert(real.backend == "core" and fake.backend == "fake")
  local answers, seen = {real = {}, fake = {}}, {real = {events = 0, errors = 0, audit = 0}, fake = {events = 0, errors = 0, audit = 0}}
  local fresh = false
  for step = 1, STEPS do
    local name, act = step_of(options, #answers.real, fresh)
    local ours, theirs = act(real, answers.real), act(fake, answers.fake)
    assert.equal(news(fake, theirs, seen.fake), news(real, ours, seen.real), ("seed %d, step %d: %s"):format(seed, step, name))
    if ours then table.insert(answers.real, ours) table.insert(answers.fake, theirs) end
    fresh = ours ~= nil -- an answer is kept for 40 s
  end
  real:stop()
  fake:stop()
  assert.equal(news(fake, nil, seen.fake), news(real, nil, seen.real), ("seed %d: the end"):format(seed))
end

describe("the fake core and the real one", function()
  if not rawget(_G, "relay_core_backend") then return pending("are compared by relay test --live") end
  local seed = math.tointeger(os.getenv("RELAY_SEED"))
  for scenario = seed or 1, seed or SCENARIOS do
    it("agree on scenario " .. scenario, function() run(scenario) end)
  end
end)
