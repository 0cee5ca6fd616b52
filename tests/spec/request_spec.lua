-- What a policy is shown of a request, what it does with a USERHASH, and where it may send a client.

local T = require "relay.testing"
local hash = require "relay.hash"

local function with(text, more)
  local given = {policy = "under.lua", files = {["under.lua"] = text}, users = {["/ann"] = "p"}, realm = "example.org"}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

-- what one hook says it saw, as text
local function seen_by(hook, fields)
  local s = with(([[
    local names = {"method", "transport", "listener", "sni", "alpn", "origin", "software", "username", "userhash", "realm", "src", "dst"}
    return {%s = function(req)
      local seen = {}
      for _, name in ipairs(names) do seen[#seen + 1] = name .. "=" .. tostring(req[name]) end
      relay.log.info(table.concat(seen, " "))
    end}]]):format(hook))
  local a = s:allocate(fields)
  assert.is_true(a.ok)
  local seen = {}
  for name, value in s.log[1].message:gmatch("(%w+)=(%S+)") do seen[name] = value end
  return seen
end

describe("a request", function()
  it("shows where it came from and what its handshake said", function()
    local seen = seen_by("authorize", {
      username = "ann", password = "p", transport = "tls", sni = "turn.example.org", alpn = "stun.turn", origin = "https://app.example",
      software = "client/1", src = "198.51.100.7:4000", dst = "192.0.2.1:5349",
    })
    assert.same({
      method = "allocate", transport = "tls", listener = "tls:192.0.2.1:5349", sni = "turn.example.org", alpn = "stun.turn",
      origin = "https://app.example", software = "client/1", username = "ann", userhash = "nil", realm = "example.org",
      src = "198.51.100.7:4000", dst = "192.0.2.1:5349",
    }, seen)
  end)

  it("shows nil for what was not said", function()
    local seen = seen_by("route", {username = "ann", password = "p"})
    for _, name in ipairs {"sni", "alpn", "origin", "software", "username", "userhash"} do assert.equal("nil", seen[name]) end
    assert.equal("udp:192.0.2.1:3478", seen.listener)
  end)

  it("shows the name of a user of the server beside its hash", function()
    local seen = seen_by("authorize", {username = "ann", password = "p", hidden = true})
    assert.equal("ann", seen.username)
    assert.equal(hash.hex(hash.sha256("ann:example.org")), seen.userhash)
  end)
end)

describe("a hidden name", function()
  local policy = [[
    local zoe = relay.userhash("zoe", "example.org")
    return {authenticate = function(req)
      if req.userhash == zoe then return relay.key{user = req.origin or "zoe", password = "open"} end
    end, refresh = function(alloc, req) relay.log.info(tostring(req.username)) end}]]

  it("is found by a policy, which is not asked again for its allocation", function()
    local s = with(policy)
    local a = s:allocate {username = "zoe", password = "open", hidden = true}
    assert.is_true(a.ok)
    assert.equal("zoe", a.user)
    assert.is_true(s:refresh(a).ok)
    assert.equal("zoe", s.log[1].message)
  end)

  it("is refused if it is nobody's, or the password is wrong, or the policy calls it by another", function()
    local s = with(policy)
    assert.equal(401, s:allocate {username = "eve", password = "open", hidden = true}.code)
    assert.equal(401, s:allocate {username = "zoe", password = "shut", hidden = true}.code)
    assert.equal(401, s:allocate {username = "zoe", password = "open", hidden = true, origin = "north-zoe"}.code)
  end)
end)

describe("a redirect", function()
  local policy = [[
    local BOTH = relay.redirect{server = {"20.0.0.1:3478", "[2a00:1::1]:3479"}, domain = "turn2.example.org"}
    local IPV6 = relay.redirect{server = "[2a00:1::1]:3479"}
    local function send(req) return req.origin == "six" and IPV6 or BOTH end
    return {%s = send}]]
  local v4, v6 = {username = "ann", password = "p"}, {username = "ann", password = "p", src = "[2001:db8::7]:5000"}

  for _, hook in ipairs {"route", "authorize"} do
    it("of " .. hook .. " names a server of the client's family", function()
      local s = with(policy:format(hook))
      assert.equal("20.0.0.1:3478", s:allocate(v4).server)
      assert.equal("[2a00:1::1]:3479", s:allocate(v6).server)
      assert.equal(300, s:allocate(v4).code)
    end)

    it("of " .. hook .. " names the domain where there is a certificate", function()
      local s = with(policy:format(hook))
      for transport, domain in pairs {tls = "turn2.example.org", dtls = "turn2.example.org", udp = false, tcp = false} do
        assert.equal(domain or nil, s:allocate({username = "ann", password = "p", transport = transport}).domain)
      end
    end)

    it("of " .. hook .. " to the other family alone is a failure", function()
      local refused = with(policy:format(hook)):allocate {username = "ann", password = "p", origin = "six"}
      assert.equal(500, refused.code)
    end)
  end
end)
