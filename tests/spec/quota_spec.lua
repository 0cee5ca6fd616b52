local T = require "relay.testing"

local function server(set, more)
  local given = {policy = "quota.lua", set = set, users = {["/ann"] = "p", ["/bob"] = "q", ["acme/ann"] = "r"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local ann, bob = {username = "ann", password = "p"}, {username = "bob", password = "q"}

describe("quota.lua", function()
  it("refuses a user's second allocation and frees the slot on close", function()
    local s = server {["quota.user"] = 1}
    local a = s:allocate(ann)
    assert.is_true(a.ok)
    local refused = s:allocate(ann)
    assert.equal(486, refused.code)
    assert.equal("user_quota", refused.reason)
    assert.equal("core", refused.by)
    assert.is_true(s:allocate(bob).ok)
    s:close(a)
    assert.is_true(s:allocate(ann).ok)
  end)

  it("counts the whole server and the realm", function()
    assert.equal("total_quota", (function(s) s:allocate(ann) return s:allocate(bob) end)(server {["quota.total"] = 1}).reason)
    assert.equal("realm_quota", (function(s) s:allocate(ann) return s:allocate(bob) end)(server {["quota.realm"] = 1}).reason)
  end)

  it("keeps to the server's own total-quota when that is stricter", function()
    local s = server({["quota.total"] = 5}, {total_quota = 2})
    local granted = 0
    for _ = 1, 4 do granted = granted + (s:allocate(ann).ok and 1 or 0) end
    assert.equal(2, granted)
    assert.equal(2, s:held("total"))
  end)

  it("gives back the unit of an allocation that expired, and of one that found no port", function()
    local s = server({["quota.user"] = 1}, {min_port = 50000, max_port = 50000})
    assert.is_true(s:allocate(ann).ok)
    local refused = s:allocate(bob)
    assert.equal(508, refused.code)
    assert.equal("no_port", refused.reason)
    assert.equal(1, s:held("total"))
    assert.equal(0, s:held("user", nil, "bob"))
    s:advance(600)
    assert.equal(0, s:held("total"))
    assert.is_true(s:allocate(bob).ok)
  end)

  it("takes one unit for a request that was retransmitted", function()
    local s = server {["quota.user"] = 1}
    local a = s:allocate(ann)
    local again = s:retransmit(a)
    assert.is_true(again.ok)
    assert.equal(a.relayed, again.relayed)
    assert.equal(1, s:held("total"))
  end)

  it("slows down a user who tries too often, and nobody else", function()
    local s = server {["quota.rate"] = 3, ["quota.user"] = 1}
    for _ = 1, 3 do s:allocate(ann) end
    local refused = s:allocate(ann)
    assert.equal(486, refused.code)
    assert.equal("too many allocation attempts", refused.reason)
    assert.matches("^quota%.lua:%d+$", refused.by)
    assert.is_true(s:allocate(bob).ok)
    s:advance(20)
    assert.equal("user_quota", s:allocate(ann).reason)
    assert.equal("too many allocation attempts", s:allocate(ann).reason)
  end)

  it("does not count attempts with a wrong password", function()
    local s = server {["quota.rate"] = 1}
    for _ = 1, 5 do assert.equal(401, s:allocate {username = "ann", password = "wrong"}.code) end
    assert.is_true(s:allocate(ann).ok)
  end)

  it("refreshes an allocation that never carried data for quota.idle seconds, and others for ever", function()
    local s = server {["quota.idle"] = 120}
    local idle, busy = s:allocate(ann), s:allocate(bob)
    s:permission(busy, "20.0.0.9")
    s:traffic(busy, 100)
    s:advance(119)
    assert.is_true(s:refresh(idle).ok)
    s:advance(1)
    local refused = s:refresh(idle)
    assert.same({486, "never carried data"}, {refused.code, refused.reason})
    assert.is_true(s:refresh(busy).ok)
    s:advance(600)
    assert.equal(0, s:held("user", nil, "ann"))
    s = server()
    idle = s:allocate(ann)
    s:advance(500)
    assert.is_true(s:refresh(idle).ok)
  end)

  it("allows at most an hour", function()
    local s = server({}, {max_allocate_lifetime = 86400})
    assert.equal(3600, s:allocate {username = "ann", password = "p", lifetime = 80000}.lifetime)
  end)

  it("refuses to start with a value out of range, or a misspelt one", function()
    assert.error_matches(function() server {["quota.user"] = 0} end, "quota%.user=0: at least 1 expected")
    assert.error_matches(function() server {["quota.user"] = "many"} end, "quota%.user=many: an integer expected")
    assert.error_matches(function() server {["quota.usr"] = 4} end, "did you mean 'quota%.user'")
  end)
end)
