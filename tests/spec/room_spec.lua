local T = require "relay.testing"
local base64 = require "relay.base64"
local hash = require "relay.hash"

local function server(set, more)
  local given = {policy = {"rest_secret.lua", "room.lua"}, set = set, secrets = {rest = {"s"}}, users = {ann = "p", ["acme/ann"] = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function join(s, name, fields)
  local username = s:now() + 3600 .. ":" .. name
  local all = {username = username, password = base64.encode(hash.hmac("sha1", "s", username))}
  for field, value in pairs(fields or {}) do all[field] = value end
  return s:allocate(all)
end

local function refused(answer)
  assert.equal(403, answer.code)
  assert.equal("core", answer.by)
  assert.equal("not_in_group", answer.reason)
end

local function meet(s, a, b)
  assert.is_true(s:permission(a, b.relayed).ok)
  assert.is_true(s:permission(b, a.relayed).ok)
  return s:traffic(a, 100, {peer = b.relayed}).ok and s:traffic(a, 100, {peer = b.relayed, direction = "out"}).ok
end

describe("room.lua", function()
  it("lets the players of a room reach each other", function()
    local s = server()
    local ann, bob = join(s, "red:ann"), join(s, "red:bob")
    assert.equal("red", ann.group)
    assert.is_true(meet(s, ann, bob))
    assert.is_true(s:channel(ann, bob.relayed, 0x4000).ok)
    assert.is_true(s:channel(bob, ann.relayed, 0x4000).ok)
  end)

  it("keeps two rooms apart on one address", function()
    local s = server()
    local ann, bob, cleo = join(s, "red:ann"), join(s, "red:bob"), join(s, "blue:cleo")
    assert.is_false(meet(s, ann, cleo))
    assert.is_true(meet(s, ann, bob))
    refused(s:channel(ann, cleo.relayed, 0x4000))
    refused(s:channel(cleo, bob.relayed, 0x4000))
  end)

  it("is no relay to anywhere else", function()
    local s = server(nil, {allow_loopback_peers = true, allowed_peer_ip = "10.0.0.0/8"})
    local ann = join(s, "red:ann")
    for _, peer in ipairs {"20.0.0.9", "127.0.0.1", "10.0.0.1", "8.0.0.2"} do
      refused(s:permission(ann, peer))
      refused(s:channel(ann, peer .. ":9", 0x4000))
      assert.is_false(s:traffic(ann, 100, {peer = peer .. ":9"}).ok)
    end
  end)

  it("shuts a channel when the other has left, and opens it to who comes", function()
    local s = server(nil, {min_port = 50000, max_port = 50001})
    local ann, bob = join(s, "red:ann"), join(s, "red:bob")
    assert.is_true(meet(s, ann, bob))
    assert.is_true(s:channel(ann, bob.relayed, 0x4000).ok)
    s:close(bob)
    assert.is_false(s:traffic(ann, 100, {peer = bob.relayed}).ok)
    refused(s:channel(ann, bob.relayed, 0x4000))
    local cleo = join(s, "blue:cleo")                     -- on bob's port
    assert.equal(bob.relayed, cleo.relayed)
    assert.is_false(s:traffic(ann, 100, {peer = cleo.relayed}).ok)
    refused(s:channel(ann, cleo.relayed, 0x4000))
    s:close(cleo)
    assert.is_true(meet(s, ann, join(s, "red:bob")))
  end)

  it("covers IPv6 and connections", function()
    local s = server()
    local ann, bob, cleo = join(s, "red:ann", {family = 6}), join(s, "red:bob", {family = 6}), join(s, "blue:cleo", {family = 6})
    assert.is_true(meet(s, ann, bob))
    assert.is_false(meet(s, ann, cleo))
    refused(s:permission(ann, "2a00::9"))
    local tcp = {transport = "tcp", requested_transport = "tcp"}
    ann, bob, cleo = join(s, "red:ann", tcp), join(s, "red:bob", tcp), join(s, "blue:cleo", tcp)
    assert.is_true(s:connect(ann, bob.relayed).ok)
    refused(s:connect(ann, cleo.relayed))
    refused(s:connect(ann, "20.0.0.9:80"))
    refused(s:connect(ann, ann.relayed))
  end)

  it("refuses who has no room", function()
    local s = server()
    for _, name in ipairs {"ann", "red:", ":ann"} do
      local answer = join(s, name)
      assert.equal(403, answer.code, name)
      assert.equal("no room", answer.reason)
      assert.matches("^room%.lua:%d+$", answer.by)
    end
    assert.equal(403, s:allocate {username = "ann", password = "p"}.code)
  end)

  it("takes the tenant for the room, and another separator", function()
    local byTenant = [[return {authenticate = function(req)
      local user, id = relay.split(req.username, "@")
      return relay.key{user = user, tenant = id, password = "p"}
    end}]]
    local s = server({["room.from"] = "tenant"}, {policy = {"t.lua", "room.lua"}, files = {["t.lua"] = byTenant}})
    local function allocate(name) return s:allocate {username = name, password = "p"} end
    local ann, bob, cleo = allocate("ann@red"), allocate("bob@red"), allocate("cleo@blue")
    assert.equal("red", ann.group)
    assert.is_true(meet(s, ann, bob))
    assert.is_false(meet(s, ann, cleo))
    assert.equal("no room", allocate("ann").reason)
    s = server {["room.separator"] = "/"}
    assert.equal("red:7", join(s, "red:7/ann").group)
    local _, why = pcall(server, {["room.from"] = "username"})
    assert.equal("room.from: 'user', 'tenant' or 'credential' expected, got 'username'", why:match("room%.from: .*"))
  end)

  it("takes the room that a credential was minted for", function()
    local s = T.new {policy = "room.lua", mint_secret = "m", set = {["room.from"] = "credential"}, users = {ann = "p"}}
    local function allocate(room, tag) return s:allocate(s:minted {tenant = "acme", room = room, tag = tag}) end
    local ann, bob, cleo = allocate("red", "ann"), allocate("red", "bob"), allocate("blue", "cleo")
    assert.equal("red", ann.group)
    assert.is_true(meet(s, ann, bob))
    assert.is_false(meet(s, ann, cleo))
    assert.equal("no room", allocate(nil, "ann").reason)
    assert.equal("no room", s:allocate {username = "ann", password = "p"}.reason)
  end)

  it("shows the room to other policies, and does not agree to another one", function()
    local files = {
      ["log.lua"] = [[return {
        permission = function(alloc) relay.audit{group = alloc.group} end, log = function(ev) relay.audit{type = ev.type, group = ev.group or "none"} end}]],
      ["other.lua"] = [[return {authorize = function(req)
        if req.software == "other" then return relay.allow{group = "green"} end
        if req.software == "same" then return relay.allow{group = "red", user_quota = 1} end
      end}]],
    }
    local s = server(nil, {policy = {"rest_secret.lua", "room.lua", "log.lua", "other.lua"}, files = files})
    local ann = join(s, "red:ann")
    s:permission(ann, ann.relayed)
    assert.same({{type = "allocated", group = "red"}, {group = "red"}, {type = "permission", group = "red"}}, s.audit)
    assert.is_true(join(s, "red:bob", {software = "same"}).ok)
    local answer = join(s, "red:bob", {software = "other"})
    assert.equal(500, answer.code)
    assert.equal("the limits of several policies do not fit together: two groups", answer.reason)
    assert.equal("fail", s.errors[1].kind)
    assert.matches("^other%.lua:%d+$", s.errors[1].by)
  end)

  it("knows what a group may be called", function()
    for argument, why in pairs {['""'] = "group: a name expected, got an empty one", ["7"] = "group: a string expected, got number",
      ['("x"):rep(129)'] = "group: longer than 128 bytes"} do
      local _, said = pcall(T.new, {policy = "g.lua", files = {["g.lua"] = "relay.allow{group = " .. argument .. "} return {}"}})
      assert.matches("relay.allow: " .. why, said, 1, true)
    end
  end)
end)
