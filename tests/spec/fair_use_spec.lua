local T = require "relay.testing"

-- 8,000 bits a second, 100 s at once: bursts of 100,000 bytes
local function server(more)
  local given = {
    policy = "fair_use.lua", users = {ann = "p", bob = "q"},
    set = {["fair.bps"] = 8000, ["fair.window"] = 100, ["fair.peak"] = 10000000},
  }
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function call(s, user, password)
  local a = s:allocate {username = user or "ann", password = password or "p"}
  s:permission(a, "20.0.0.9")
  return a
end

-- relays, and says how fast the allocation may be after the next minute
local function minute(s, a, bytes, direction)
  s:traffic(a, bytes, {direction = direction})
  s:advance(60)
  s:permission(a, "20.0.0.9")
  return s:refresh(a).limits.max_bps
end

local FAST <const>, SLOW <const> = 10000000, 4000

describe("fair_use.lua", function()
  it("gives bursts, slows down who goes on, and gives back after silence", function()
    local s = server()
    local a = call(s)
    assert.equal(FAST, a.limits.max_bps)
    assert.equal(FAST, minute(s, a, 90000))
    assert.equal(SLOW, minute(s, a, 90000, "out"))
    assert.equal(1, s.metrics.fair_use_slowed_total)
    assert.equal(FAST, minute(s, a, 100))
    assert.same({}, s.errors)
  end)

  it("leaves a steady user alone for ever", function()
    local s = server()
    local a = call(s)
    for _ = 1, 30 do assert.equal(FAST, minute(s, a, 58000)) end
  end)

  it("lets a burst be paid back, however large", function()
    local s = server()
    local a = call(s)
    assert.equal(SLOW, minute(s, a, 900000))         -- 900 s, of which 60 are over
    for _ = 1, 13 do assert.equal(SLOW, minute(s, a, 0)) end
    s:advance(60)
    assert.equal(FAST, s:allocate {username = "ann", password = "p"}.limits.max_bps)
  end)

  it("counts all allocations of a user together; a new one is no way out", function()
    local s = server()
    local one, two = call(s), call(s)
    s:traffic(one, 90000)
    s:traffic(two, 90000)
    s:advance(60)
    assert.equal(SLOW, s:allocate {username = "ann", password = "p"}.limits.max_bps)
    assert.equal(FAST, s:allocate {username = "bob", password = "q"}.limits.max_bps)
  end)

  it("counts what was relayed just before the end", function()
    local s = server()
    local a = call(s)
    s:traffic(a, 120000)
    s:close(a)
    assert.equal(SLOW, s:allocate {username = "ann", password = "p"}.limits.max_bps)
    s:advance(30)
    assert.equal(FAST, s:allocate {username = "ann", password = "p"}.limits.max_bps)
  end)

  it("gives no more than another policy does", function()
    local s = server {policy = {"fair_use.lua", "slow.lua"}, files = {["slow.lua"] = "return {authorize = function() return relay.allow{max_bps = 6000000} end}"}}
    local a = call(s)
    assert.equal(6000000, a.limits.max_bps)
    assert.equal(SLOW, minute(s, a, 150000))
    assert.equal(6000000, minute(s, a, 0))
  end)
end)
