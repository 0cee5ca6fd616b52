local T = require "relay.testing"

local tenants = [[{
  "by_sni":    {"turn.acme.example": "acme", "ghost.example": "ghost"},
  "by_origin": {"https://beta.example": "beta"},
  "by_port":   {"3479": "beta"},
  "tenants": {
    "acme": {"realm": "acme.example", "allocations": 3, "per_user": 2, "bps": 2000000, "monthly_bytes": 1000},
    "beta": {"monthly_bytes": 1000, "on_cap": "close"},
    "slow": {"monthly_bytes": 1000, "on_cap": "throttle", "slow_bps": 32000, "bps": 500000}
  }
}]]

local function server(json)
  return T.new {
    policy = "tenants.lua", files = {["tenants.json"] = json or tenants},
    users = {["acme/ann"] = "p", ["acme/bob"] = "p", ["beta/ann"] = "b", ["slow/ann"] = "s", ["/root"] = "r"},
  }
end

local function allocate(s, user, password, more)
  local fields = {username = user, password = password}
  for name, value in pairs(more or {}) do fields[name] = value end
  return s:allocate(fields)
end

local acme = {sni = "turn.acme.example", transport = "tls"}

describe("tenants.lua", function()
  it("finds the tenant by SNI and challenges with its realm", function()
    local a = allocate(server(), "ann", "p", acme)
    assert.is_true(a.ok)
    assert.equal("acme", a.tenant)
    assert.equal("acme.example", a.realm)
    assert.equal(2000000, a.limits.max_bps)
  end)

  it("finds the tenant by ORIGIN and by port", function()
    local s = server()
    assert.equal("beta", allocate(s, "ann", "b", {origin = "https://beta.example"}).tenant)
    assert.equal("beta", allocate(s, "ann", "b", {dst = "192.0.2.1:3479"}).tenant)
  end)

  it("finds the tenant in user@tenant", function()
    local a = allocate(server(), "ann@acme", "p")
    assert.is_true(a.ok)
    assert.equal("acme", a.tenant)
    assert.equal("ann", a.user)
  end)

  it("knows a user of one tenant as a stranger to another", function()
    local s = server()
    assert.equal(401, allocate(s, "ann", "b", acme).code)
    assert.equal(401, allocate(s, "bob@beta", "p").code)
    assert.equal(401, allocate(s, "ann@gamma", "p").code)
    assert.equal(401, allocate(s, "root", "r").code)
    assert.same({}, s.errors)
  end)

  it("takes an SNI of a tenant that is gone for no hint", function()
    local s = server()
    assert.equal(401, allocate(s, "ann", "p", {sni = "ghost.example", transport = "tls"}).code)
    assert.same({}, s.errors)
  end)

  it("counts the same name apart in two tenants", function()
    local s = server()
    assert.is_true(allocate(s, "ann", "p", acme).ok)
    assert.is_true(allocate(s, "ann@acme", "p").ok)
    assert.equal("user_quota", allocate(s, "ann", "p", acme).reason)
    assert.is_true(allocate(s, "ann@beta", "b").ok)
    assert.is_true(allocate(s, "bob", "p", acme).ok)
    assert.equal("realm_quota", allocate(s, "bob", "p", acme).reason)
    assert.equal(3, s:held("realm", "acme"))
    assert.equal(1, s:held("realm", "beta"))
  end)

  it("refuses new calls and Refreshes of a tenant that used up its month, until the next", function()
    local s = server()
    local a = allocate(s, "ann", "p", acme)
    s:permission(a, "20.0.0.9")
    assert.is_true(allocate(s, "bob", "p", acme).ok)
    s:traffic(a, 1000)
    s:advance(60)
    local refused = allocate(s, "bob", "p", acme)
    assert.equal(486, refused.code)
    assert.equal("monthly transfer cap reached", refused.reason)
    assert.equal(486, s:refresh(a).code)
    assert.is_true(s:close(a).ok)
    s:advance(31 * 86400)
    assert.is_true(allocate(s, "bob", "p", acme).ok)
  end)

  it("closes the calls of a tenant with on_cap close", function()
    local s = server()
    local a = allocate(s, "ann@beta", "b")
    s:permission(a, "20.0.0.9")
    s:traffic(a, 600)
    s:advance(60)
    assert.equal(1, s:held("total"))
    s:traffic(a, 400, {direction = "out"})
    s:advance(60)
    assert.equal(0, s:held("total"))
    assert.equal("monthly transfer cap reached", s.events[#s.events].reason)
    assert.equal(486, allocate(s, "ann@beta", "b").code)
  end)

  it("slows down a tenant with on_cap throttle", function()
    local s = server()
    local a = allocate(s, "ann@slow", "s")
    assert.equal(500000, a.limits.max_bps)
    s:permission(a, "20.0.0.9")
    s:traffic(a, 1000)
    s:advance(60)
    local next_call = allocate(s, "ann@slow", "s")
    assert.is_true(next_call.ok)
    assert.equal(32000, next_call.limits.max_bps)
    assert.equal(32000, s:refresh(a).limits.max_bps)
  end)

  it("refuses for an on_cap that it does not know", function()
    local s = server '{"tenants": {"acme": {"monthly_bytes": 1000, "on_cap": "stop"}}}'
    local a = allocate(s, "ann@acme", "p")
    s:permission(a, "20.0.0.9")
    s:traffic(a, 1000)
    s:advance(2)
    assert.equal("monthly transfer cap reached", allocate(s, "ann@acme", "p").reason)
  end)

  it("takes new limits from the file while it runs", function()
    local s = server()
    s:rewrite("tenants.json", '{"tenants": {"acme": {"per_user": 1}}}')
    s:advance(3)
    assert.is_true(allocate(s, "ann@acme", "p").ok)
    assert.equal("user_quota", allocate(s, "ann@acme", "p").reason)
    assert.equal(401, allocate(s, "ann@beta", "b").code)
  end)

  it("needs no section of the file but the tenants", function()
    local s = server '{"tenants": {"acme": {}}}'
    assert.is_true(allocate(s, "ann@acme", "p").ok)
    assert.equal(401, allocate(s, "ann", "p", acme).code)
    assert.same({}, s.errors)
  end)

  it("refuses to start with a file that is not JSON", function()
    local _, why = pcall(server, '{"tenants":\n{')
    assert.matches("^tenants%.lua:%d+: relay%.data: tenants%.json:2: ", why)
  end)
end)
