local T = require "relay.testing"
local base64 = require "relay.base64"
local hash = require "relay.hash"

local function server(set, more)
  local given = {policy = "rest_secret.lua", set = set, secrets = {rest = {"new", "old"}}, users = {["/ann"] = "p", ["/1001"] = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function credential(name, secret)
  return {username = name, password = base64.encode(hash.hmac("sha1", secret or "new", name))}
end

describe("rest_secret.lua", function()
  it("takes time:user with either secret", function()
    local s = server()
    local name = s:now() + 3600 .. ":ann"
    local a = s:allocate(credential(name))
    assert.is_true(a.ok)
    assert.equal("ann", a.user)
    assert.is_true(s:allocate(credential(name, "old")).ok)
  end)

  it("keeps what is behind the first colon as the user", function()
    local s = server()
    assert.equal("room:7:ann", s:allocate(credential(s:now() + 60 .. ":room:7:ann")).user)
  end)

  it("takes a bare time, each its own user", function()
    local s = server()
    local name = tostring(s:now() + 3600)
    local a = s:allocate(credential(name))
    assert.is_true(a.ok)
    assert.equal(name, a.user)
  end)

  it("refuses a wrong secret with 401", function()
    local s = server()
    local refused = s:allocate(credential(s:now() + 60 .. ":ann", "stolen"))
    assert.equal(401, refused.code)
    assert.equal("bad_integrity", refused.reason)
  end)

  it("refuses an expired credential, and one that lives too long", function()
    local s = server {["rest.max_ttl"] = 3600}
    assert.matches("^rest_secret%.lua:%d+$", s:allocate(credential(s:now() - 1 .. ":ann")).by)
    assert.equal("expired", s:allocate(credential(s:now() .. ":ann")).reason)
    assert.is_true(s:allocate(credential(s:now() + 3600 .. ":ann")).ok)
    assert.equal("expires too far ahead", s:allocate(credential(s:now() + 3601 .. ":ann")).reason)
  end)

  it("allows for clocks that differ", function()
    local s = server {["rest.skew"] = 30}
    assert.is_true(s:allocate(credential(s:now() - 29 .. ":ann")).ok)
    assert.equal(401, s:allocate(credential(s:now() - 30 .. ":ann")).code)
  end)

  it("lets a running call outlive its credential, but not a new allocation", function()
    local s = server()
    local mine = credential(s:now() + 300 .. ":ann")
    local a = s:allocate(mine)
    s:advance(400)
    assert.is_true(s:refresh(a).ok)
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    assert.equal(401, s:allocate(mine).code)
  end)

  it("leaves other names to the users database, digits too", function()
    local s = server()
    assert.is_true(s:allocate {username = "ann", password = "p"}.ok)
    assert.is_true(s:allocate {username = "1001", password = "p"}.ok)
    assert.equal("unknown_user", s:allocate {username = "1e12:ann", password = "p"}.reason)
    assert.equal("unknown_user", s:allocate(credential(s:now() + 60 .. ":")).reason)
  end)

  it("leaves minted credentials to the server, and signs none", function()
    local s = server(nil, {mint_secret = "master"})
    assert.equal("ann", s:allocate(s:minted {tenant = "acme", tag = "ann"}).user)
    assert.equal("c1", s:allocate(s:minted {tenant = "acme"}).user)
    local name = s:minted({tenant = "acme"}).username
    assert.equal("bad_integrity", s:allocate(credential(name)).reason)
    assert.equal("unknown_user", server():allocate(credential(name)).reason)
    assert.equal("tom.smith:a", s:allocate(credential(s:now() + 60 .. ":tom.smith:a")).user)
  end)

  it("refuses to start without its secret", function()
    local _, why = pcall(server, {}, {secrets = {rst = {"x"}}})
    assert.matches("^rest_secret%.lua:%d+: relay%.secret: no secret 'rest' %(%-%-secret rest=FILE%); did you mean 'rst'", why)
  end)
end)
