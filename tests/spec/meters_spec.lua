local T = require "relay.testing"

local ann = {username = "ann", password = "p"}

-- a server whose policy counts what is relayed for the user, up to 10,000 bytes a day
local function server(on_cap, more)
  local given = {
    policy = "p.lua", users = {ann = "p", bob = "q"}, files = {["p.lua"] = ([[
      local day = relay.meter("bytes", {period = "day", persist = true})
      return {
        authorize = function(req) return relay.allow{meter = {day, req.user, cap = 10000, on_cap = %s}} end,
        log = function(ev) relay.audit{type = ev.type, sum = day:get("ann")} end,
      }]]):format(on_cap and ("%q"):format(on_cap) or "nil")},
  }
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function relay(s, a, bytes)
  s:permission(a, "20.0.0.9")
  assert.is_true(s:traffic(a, bytes).ok)
end

describe("relay.allow{meter=}", function()
  it("counts what is relayed in both directions, to the byte", function()
    local s = server()
    local a = s:allocate(ann)
    relay(s, a, 3000)
    s:traffic(a, 2000, {direction = "out", peer = "20.0.0.9"})
    s:advance(2)
    s:traffic(a, 500)
    s:close(a)
    s:allocate(ann)
    assert.equal(5500, s.audit[#s.audit].sum)
  end)

  it("refuses who comes when the cap is reached, and lets those go on who are in", function()
    local s = server()
    local a = s:allocate(ann)
    relay(s, a, 10000)
    s:advance(2)
    local refused = s:allocate(ann)
    assert.same({486, "meter_cap", "core"}, {refused.code, refused.reason, refused.by})
    assert.is_true(s:allocate {username = "bob", password = "q"}.ok)
    assert.is_true(s:refresh(a).ok)
  end)

  it("puts out who relays beyond it, if asked to", function()
    local s = server "close"
    local a = s:allocate(ann)
    relay(s, a, 10000)
    s:advance(2)
    assert.same({"closed", "meter_cap"}, {s.events[#s.events].type, s.events[#s.events].reason})
    assert.equal(437, s:refresh(a).code)
    assert.equal(486, s:allocate(ann).code)
  end)

  it("slows down, if asked to", function()
    local s = server "throttle"
    local a = s:allocate(ann)
    relay(s, a, 10000)
    s:advance(2)
    assert.equal(64000, s:allocate(ann).limits.max_bps)
    assert.is_true(s:refresh(a).ok)
  end)

  it("begins anew with the period", function()
    local s = server(nil, {now = 1700006400 - 60}) -- a minute before midnight
    relay(s, s:allocate(ann), 10000)
    s:advance(2)
    assert.equal(486, s:allocate(ann).code)
    s:advance(60)
    assert.is_true(s:allocate(ann).ok)
  end)

  it("is checked where it is built", function()
    for what, why in pairs {
      ["{5, 'k'}"] = "a relay.meter", ["{m}"] = "key: a string", ["{m, 'k', cap = 0}"] = "cap: bytes, an integer from 1",
      ["{m, 'k', on_cap = 'stop'}"] = "on_cap: 'refuse', 'throttle' or 'close'",
    } do
      local text = "local m = relay.meter('m', {period = 'day'}) relay.allow{meter = " .. what .. "} return {}"
      assert.error_matches(function() T.new {policy = "p.lua", files = {["p.lua"] = text}} end, why)
    end
    assert.error_matches(function()
      T.new {policy = "p.lua", files = {["p.lua"] = "relay.meter('m', {period = 'day', persist = 5}) return {}"}}
    end, "persist: true or false")
  end)
end)
