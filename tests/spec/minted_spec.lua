local T = require "relay.testing"

local LOOK = [[return {
  authenticate = function(req) relay.audit{early = tostring(req.minted) .. tostring(req.tag)} end,
  authorize = function(req)
    relay.audit{minted = req.minted, tag = req.tag or "none", room = req.room or "none", credential = req.credential or "none", key = req.key or "none"}
    return relay.allow{tags = {room = "blue", plan = "gold"}, user_quota = 5, max_bps = 1000}
  end}]]

local function server(more)
  local given = {policy = "look.lua", files = {["look.lua"] = LOOK}, mint_secret = "master", users = {ann = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

describe("a minted credential", function()
  it("is verified by the server, and policies see what it says", function()
    local s = server()
    local a = s:allocate(s:minted {tenant = "acme", key = "k7", tag = "ann", room = "red", credential = "c42"})
    assert.is_true(a.ok)
    assert.equal("acme", a.tenant)
    assert.equal("ann", a.user)
    assert.same({early = "falsenil"}, s.audit[1])
    assert.same({minted = true, tag = "ann", room = "red", credential = "c42", key = "k7"}, s.audit[2])
  end)

  it("is what the allocation is called by, behind what policies say", function()
    local s = server()
    local a = s:allocate(s:minted {tenant = "acme", key = "k7", tag = "ann", room = "red", credential = "c42"})
    assert.same({room = "blue", plan = "gold", tag = "ann", credential = "c42", key = "k7"}, a.tags)
    assert.same({credential = "c1", key = "k1"}, server {policy = {}}:allocate(s:minted {tenant = "acme"}).tags)
  end)

  it("tightens limits and loosens none", function()
    local s = server()
    local function limits(said)
      said.tenant = "acme"
      return s:allocate(s:minted(said)).limits
    end
    assert.equal(2, limits {credential = "a", max_allocations = 2}.user_quota)
    assert.equal(5, limits {credential = "b", max_allocations = 9}.user_quota)
    assert.equal(500, limits {credential = "c", max_bps = 500}.max_bps)
    assert.equal(1000, limits {credential = "d", max_bps = 5000}.max_bps)
    local one = s:minted {tenant = "acme", tag = "bob", max_allocations = 1}
    assert.is_true(s:allocate(one).ok)
    assert.equal("user_quota", s:allocate(one).reason)
  end)

  it("counts for itself without a tag, and under names that are written %XX", function()
    local s = server()
    assert.equal("c9", s:allocate(s:minted {tenant = "acme", credential = "c9"}).user)
    local a = s:allocate(s:minted {tenant = "studio.example:8", tag = "a:b %41"})
    assert.equal("studio.example:8", a.tenant)
    assert.equal("a:b %41", a.user)
  end)

  it("is refused when it has expired or is signed by somebody else", function()
    local s = server()
    local late = s:allocate(s:minted {tenant = "acme", expires = s:now() - 1})
    assert.equal(401, late.code)
    assert.equal("credential_expired", late.reason)
    local forged = s:minted {tenant = "acme"}
    forged.username = forged.username:gsub("acme", "evil")
    assert.equal("bad_integrity", s:allocate(forged).reason)
  end)

  it("is not what other users come with", function()
    local s = server()
    assert.is_true(s:allocate {username = "ann", password = "p"}.ok)
    assert.same({minted = false, tag = "none", room = "none", credential = "none", key = "none"}, s.audit[#s.audit])
  end)
end)
