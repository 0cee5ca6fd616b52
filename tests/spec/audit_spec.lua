local T = require "relay.testing"

local function server(set, more)
  local given = {policy = "audit.lua", set = set, users = {["/ann"] = "p"}, user_quota = 1}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local ann = {username = "ann", password = "p", src = "198.51.100.1:5000"}

describe("audit.lua", function()
  it("writes a row and a line when an allocation ends", function()
    local s = server()
    local a = s:allocate(ann)
    s:permission(a, "20.0.0.9")
    s:traffic(a, 1000)
    s:traffic(a, 500, {direction = "out"})
    s:advance(30)
    assert.same({}, s.audit)
    s:close(a)
    assert.same({
      type = "closed", user = "ann", src = "198.51.100.1:5000", code = 0, reason = "released", by = "core", bytes = 1500, seconds = 30,
    }, s.audit[1])
    assert.equal(1, #s.audit)
    assert.equal("allocation closed", s.log[1].message)
    assert.equal("info", s.log[1].level)
    assert.equal(1500, s.log[1].fields.bytes)
  end)

  it("writes what was refused, with who refused it", function()
    local s = server({}, {
      policy = {"audit.lua", "no.lua"},
      files = {["no.lua"] = "local NO = relay.deny(403, 'not today')\nreturn {permission = function() return NO end}"},
    })
    local a = s:allocate(ann)
    s:allocate {username = "ann", password = "p"}
    s:permission(a, "20.0.0.9")
    s:allocate {username = "eve", password = "x"}
    assert.equal(3, #s.audit)
    assert.equal("user_quota", s.audit[1].reason)
    assert.equal("no.lua:1", s.audit[2].by)
    assert.equal("20.0.0.9", s.audit[2].peer)
    assert.equal("auth_failed", s.audit[3].type)
    assert.equal("eve", s.audit[3].user)
    assert.equal("warn", s.log[1].level)
  end)

  it("writes a failing policy", function()
    local s = server({}, {policy = {"audit.lua", "bad.lua"}, files = {["bad.lua"] = "return {authorize = function() error('boom') end}"}})
    assert.equal(500, s:allocate(ann).code)
    assert.equal("policy_error", s.audit[1].type)
    assert.equal("bad.lua:1", s.audit[1].by)
  end)

  it("passes over the challenge that every client gets", function()
    local s = server()
    assert.equal(401, s:allocate {}.code)
    assert.same({}, s.audit)
  end)

  it("can leave out refusals and the log", function()
    local s = server {["audit.refused"] = false, ["audit.log"] = "no"}
    local a = s:allocate(ann)
    s:allocate {username = "eve", password = "x"}
    s:close(a)
    assert.equal(1, #s.audit)
    assert.same({}, s.log)
  end)

  it("writes the allocations that a stop ends", function()
    local s = server()
    s:allocate(ann)
    s:stop()
    assert.equal("shutdown", s.audit[1].reason)
  end)
end)
