local T = require "relay.testing"

local function server(set, more)
  local given = {
    policy = {"anti_abuse.lua"}, users = {ann = "p", bob = "q"}, set = {["abuse.strikes"] = 3, ["abuse.window"] = 60, ["abuse.ban"] = 100},
  }
  for name, value in pairs(set or {}) do given.set[name] = value end
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function login(s, src, password) return s:allocate {username = "ann", password = password or "p", src = src} end

describe("anti_abuse.lua", function()
  it("bans the network of who guesses passwords, for a time", function()
    local s = server()
    for i = 1, 4 do assert.equal(401, login(s, "198.51.100." .. i .. ":1000", "guess").code) end
    local banned = login(s, "198.51.100.99:1000")
    assert.same({403, "banned"}, {banned.code, banned.reason})
    assert.matches("^anti_abuse%.lua:%d+$", banned.by)
    assert.is_true(login(s, "198.51.101.1:1000").ok)
    assert.same({
      type = "banned", network = "198.51.100.0/24", src = "198.51.100.4:1000", why = "logins", user = "ann", seconds = 100,
    }, s.audit[1])
    assert.equal("banned", s.log[1].message)
    assert.equal(1, s.metrics.anti_abuse_bans_total)
    s:advance(101)
    assert.is_true(login(s, "198.51.100.99:2000").ok)
  end)

  it("does not prolong a ban by what it refuses", function()
    local s = server()
    for i = 1, 4 do login(s, "198.51.100.1:" .. 1000 + i, "guess") end
    for i = 1, 20 do
      s:advance(4)
      assert.equal("banned", login(s, "198.51.100.1:" .. 2000 + i).reason)
    end
    s:advance(21)
    assert.is_true(login(s, "198.51.100.1:3000").ok)
    assert.equal(1, #s.audit)
  end)

  it("forgives a slip now and then, and a credential that expired", function()
    local s = server({}, {policy = {"anti_abuse.lua", "old.lua"}, files = {["old.lua"] = [[
      return {authenticate = function(req)
        if req.username == "old" then return relay.key{user = "old", password = "p", expires = 1} end
      end}]]}})
    for i = 1, 10 do
      assert.equal(401, login(s, "198.51.100.1:" .. 1000 + i, "typo").code)
      assert.equal("expired", s:allocate {username = "old", password = "p", src = "198.51.100.1:" .. 3000 + i}.reason)
      s:advance(21)
    end
    assert.is_true(login(s, "198.51.100.1:2000").ok)
  end)

  it("bans who tries peers that are forbidden, and leaves his call alone", function()
    local s = server()
    local a = login(s, "198.51.100.1:1000")
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    for i = 1, 4 do assert.equal("peer_not_allowed", s:permission(a, "10.0.0." .. i).reason) end
    assert.equal("refusals", s.audit[1].why)
    assert.equal("banned", s:permission(a, "20.0.0.10").reason)
    assert.is_true(s:refresh(a).ok)
    assert.is_true(s:traffic(a, 100, {peer = "20.0.0.9"}).ok)
  end)

  it("bans who scans through the relay", function()
    local s = server {["abuse.peers"] = 5}
    local a = login(s, "[2001:db8:1:2::3]:1000")
    for i = 1, 6 do assert.is_true(s:permission(a, "2a00::" .. i).ok) end
    assert.same({"scan", "2001:db8:1:2::/64"}, {s.audit[1].why, s.audit[1].network})
    assert.equal("banned", s:permission(a, "2a00::7").reason)
    assert.equal("banned", login(s, "[2001:db8:1:2::4]:1000").reason)
    assert.is_true(login(s, "[2001:db8:1:3::4]:1000").ok)
  end)

  it("bans a new allocation of who had logged in before", function()
    local s = server()
    local a = login(s, "198.51.100.1:1000")
    s:close(a)
    for i = 1, 4 do login(s, "198.51.100.2:" .. 1000 + i, "guess") end
    assert.equal("banned", s:allocate {client = a, username = "ann", password = "p"}.reason)
  end)

  it("never bans the networks of abuse.allow", function()
    local s = server {["abuse.allow"] = "198.51.100.0/28,2001:db8::/32"}
    for i = 1, 10 do login(s, "198.51.100.1:" .. 1000 + i, "guess") end
    assert.is_true(login(s, "198.51.100.1:2000").ok)
    for i = 1, 4 do login(s, "198.51.100.77:" .. 1000 + i, "guess") end
    assert.equal("banned", login(s, "198.51.100.77:2000").reason)
    assert.is_true(login(s, "198.51.100.1:2001").ok)
  end)
end)
