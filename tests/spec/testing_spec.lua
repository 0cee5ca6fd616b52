local T = require "relay.testing"

-- a server with one policy given as text
local function with(policy, more)
  local given = {policy = "p.lua", files = {["p.lua"] = policy}, users = {["/ann"] = "p", ["/bob"] = "q"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local ann = {username = "ann", password = "p"}

local function why_not(policy, more)
  local ok, why = pcall(with, policy, more)
  assert.is_false(ok)
  return why
end

describe("relay.testing: a server", function()
  it("admits the built-in users when there is no policy, and nobody else", function()
    local s = T.new {users = {["/ann"] = "p"}}
    assert.is_true(s:allocate(ann).ok)
    assert.equal("bad_integrity", s:allocate {username = "ann", password = "x"}.reason)
    assert.equal("unknown_user", s:allocate {username = "eve", password = "p"}.reason)
    assert.equal("unauthenticated", s:allocate {}.reason)
  end)

  it("takes a stored key for a password", function()
    local hash = require "relay.hash"
    local s = T.new {users = {["/ann"] = {ha1 = hash.hex(hash.md5 "ann:relay.test:p")}}}
    assert.is_true(s:allocate(ann).ok)
  end)

  it("lets a policy judge access tokens, which no allocation outlives", function()
    local policy = [[
      local KEYS = {old = {("0a"):rep(20), 300}, new = {("0B"):rep(20), 900}, past = {("0c"):rep(20), -1}}
      return {authenticate = function(req)
        local known = KEYS[req.access_token]
        if not req.access_token then return nil end
        if not known or req.username:sub(1, 3) ~= "kid" then return relay.deny(401) end
        return relay.key{user = req.username, mac_key = known[1], expires = 1800000000 + known[2]}
      end}]]
    local s = with(policy, {now = 1800000000})
    local old = {username = "kid1", access_token = "old", mac_key = ("0a"):rep(20)}
    local new = {username = "kid2", access_token = "new", mac_key = ("0b"):rep(20)}
    local a = s:allocate(old)
    assert.equal(300, a.lifetime)
    assert.equal("kid1", a.user)
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    assert.equal("bad_integrity", s:allocate {username = "kid1", access_token = "new", mac_key = ("0a"):rep(20)}.reason)
    assert.equal("bad_integrity", s:allocate {username = "kid1", access_token = "old", password = "p"}.reason)
    assert.equal("expired", s:allocate {username = "kid1", access_token = "past", mac_key = ("0c"):rep(20)}.reason)
    assert.equal(401, s:allocate {username = "kid1", access_token = "none", mac_key = ("0a"):rep(20)}.code)
    s:advance(100)
    assert.equal(200, s:refresh(a).lifetime)
    assert.equal(441, s:permission(a, "20.0.0.9", new).code) -- only a Refresh renews
    local b = s:refresh(a, new)
    assert.equal(600, b.lifetime)
    assert.equal("kid1", b.user)
    s:advance(400)
    assert.equal(1, s:held "total")
  end)

  it("refuses as the RFC says, without asking a policy", function()
    local s = T.new {users = {["/ann"] = "p", ["/bob"] = "q"}}
    local a = s:allocate(ann)
    assert.equal(437, s:allocate {username = "ann", password = "p", client = a}.code)
    assert.equal(441, s:refresh(a, {username = "bob", password = "q"}).code)
    assert.equal(442, s:allocate {username = "ann", password = "p", requested_transport = 33}.code)
    assert.equal(400, s:allocate {username = "ann", password = "p", requested_transport = "tcp"}.code)
    assert.equal(403, s:connect(a, "20.0.0.9").code)
    assert.equal(443, s:permission(a, "2a00::1").code)
    assert.equal(400, s:channel(a, "20.0.0.9", 0x3fff).code)
    assert.is_true(s:channel(a, "20.0.0.9:7", 0x4000).ok)
    assert.equal(400, s:channel(a, "20.0.0.9:8", 0x4000).code)
    assert.equal(400, s:channel(a, "20.0.0.9:7", 0x4001).code)
    s:close(a)
    assert.equal(437, s:refresh(a).code)
  end)

  it("connects peers of a TCP allocation as the RFC says", function()
    local s = T.new {users = {["/ann"] = "p"}}
    local a = s:allocate {username = "ann", password = "p", transport = "tcp", requested_transport = "tcp"}
    assert.is_true(s:connect(a, "20.0.0.9:80").ok)
    assert.equal(446, s:connect(a, "20.0.0.9:80").code)
    assert.is_true(s:connect(a, "20.0.0.9:81").ok)
    assert.equal(403, s:connect(a, "10.0.0.1:80").code)
    assert.equal(443, s:connect(a, "2a00::1").code)
    assert.equal(403, s:channel(a, "20.0.0.9:80", 0x4000).code)
    assert.equal(400, s:allocate {username = "ann", password = "p", transport = "tls", requested_transport = "tcp", even_port = true}.code)
  end)

  it("expires allocations, permissions and reservations on its clock", function()
    local s = T.new {users = {ann = "p"}}
    local a = s:allocate(ann)
    s:permission(a, "20.0.0.9")
    assert.is_true(s:traffic(a, 100).ok)
    s:advance(299)
    assert.is_true(s:traffic(a, 100).ok)
    s:advance(1)
    assert.equal("no_permission", s:traffic(a, 100).reason)
    assert.is_true(s:refresh(a).ok)
    s:advance(599)
    assert.equal(1, s:held("total"))
    s:advance(1)
    assert.equal(0, s:held("total"))
    assert.equal("expired", s.events[#s.events].reason)
  end)

  it("ends an allocation with a strict key, and keeps it otherwise", function()
    local files = {["p.lua"] = [[return {authenticate = function(req)
      return relay.key{user = req.username, password = "p", expires = 1800000100, on_expiry = req.username}
    end}]]}
    local s = T.new {policy = "p.lua", files = files, now = 1800000000}
    local strict, keep = s:allocate {username = "strict", password = "p"}, s:allocate {username = "keep", password = "p"}
    assert.same({100, 600}, {strict.lifetime, keep.lifetime})
    s:advance(60)
    assert.same({40, 600}, {s:refresh(strict).lifetime, s:refresh(keep).lifetime})
    s:advance(39)
    assert.equal(2, s:held("total"))
    s:advance(1)
    assert.equal(1, s:held("total"))
    assert.equal("credential_expired", s.events[#s.events].reason)
    assert.is_true(s:refresh(keep).ok)
    assert.equal("expired", s:allocate {username = "strict", password = "p"}.reason)
  end)

  it("lets an allocation have so many new peers in a second", function()
    local s = T.new {users = {ann = "p"}, max_new_peers = 2, max_permissions = 5}
    local a = s:allocate(ann)
    assert.equal(2, a.limits.max_new_peers)
    local said = {}
    for i = 1, 3 do said[i] = s:permission(a, "20.0.0." .. i).reason or "ok" end
    assert.same({"ok", "ok", "max_new_peers"}, said)
    assert.is_true(s:permission(a, "20.0.0.1").ok)
    assert.equal("max_new_peers", s:channel(a, "20.0.0.4:1", 0x4000).reason)
    s:advance(1)
    assert.is_true(s:channel(a, "20.0.0.4:1", 0x4000).ok)
  end)

  it("gives even ports and reserved neighbours", function()
    local s = T.new {users = {ann = "p"}, min_port = 50001, max_port = 50010}
    local a = s:allocate {username = "ann", password = "p", even_port = true, reserve_next = true}
    local port = math.tointeger(a.relayed:match(":(%d+)$"))
    assert.equal(0, port % 2)
    assert.equal("8.0.0.1:" .. port + 1, s:allocate {username = "ann", password = "p", reservation = a.reservation}.relayed)
    assert.equal(508, s:allocate {username = "ann", password = "p", reservation = a.reservation}.code)
  end)

  it("knows its words", function()
    assert.error_matches(function() T.new {polcy = "x.lua"} end, "unknown field 'polcy'; did you mean 'policy'")
    assert.error_matches(function() T.new():allocate {user = "ann"} end, "unknown field 'user'; did you mean")
    assert.error_matches(function() T.new():allocate {src = "198.51.100.1"} end, "an address with a port expected")
  end)

  it("runs over the back-end that it was started for", function()
    local given = rawget(_G, "relay_core_backend") and "core" or "fake"
    assert.equal(os.getenv("RELAY_BACKEND") or given, T.new().backend)
  end)

  it("uses another back-end when there is one", function()
    local asked, own = {}, rawget(_G, "relay_core_backend")
    rawset(_G, "relay_core_backend", {open = function(spec)
      asked.spec = spec
      return {request = function(_, kind, fields) asked.kind, asked.fields = kind, fields return {ok = true, code = 0} end}
    end})
    local s = T.new {set = {["a.list"] = {"x", "y"}, ["a.n"] = 4}, users = {["t/u"] = "p"}}
    rawset(_G, "relay_core_backend", own)
    assert.is_true(s:allocate(ann).ok)
    assert.equal("core", s.backend)
    assert.same({["a.list"] = "x,y", ["a.n"] = "4"}, asked.spec.set)
    assert.same({{tenant = "t", user = "u", password = "p"}}, asked.spec.users)
    assert.equal("allocate", asked.kind)
    assert.equal("198.51.100.1:10001", asked.fields.src)
  end)
end)

describe("relay.testing: hooks", function()
  it("asks route once for the same listener, SNI and ORIGIN", function()
    local s = with [[
      local calls = relay.shared("calls", {max_entries = 1})
      return {route = function(req)
        calls:incr("n", 1, {ttl = false})
        if req.sni == "no" then return relay.deny(403) end
        if req.sni == "away" then return relay.redirect{server = "20.0.0.1:3478"} end
        relay.log.info(tostring(calls:get("n")))
      end}]]
    s:allocate(ann)
    s:allocate(ann)
    assert.equal(1, #s.log)
    assert.equal(403, s:allocate {username = "ann", password = "p", sni = "no"}.code)
    local away = s:allocate {username = "ann", password = "p", sni = "away"}
    assert.equal(300, away.code)
    assert.equal("20.0.0.1:3478", away.server)
  end)

  it("asks authenticate again when a key is expired and may not be kept, or forgotten", function()
    local s = with [[
      local n = relay.metric.counter("asked")
      return {
        authenticate = function(req)
          n:add()
          return relay.key{user = "u", password = "p", expires = req.now + 100, on_expiry = "reauth"}
        end,
        refresh = function(_, req) if req.lifetime == 700 then return relay.reauth() end end,
      }]]
    local a = s:allocate(ann)
    s:refresh(a)
    assert.equal(1, s.metrics.asked)
    s:advance(100)
    s:refresh(a)
    assert.equal(2, s.metrics.asked)
    assert.equal(438, s:refresh(a, {lifetime = 700}).code)
    assert.is_true(s:refresh(a).ok)
    assert.equal(3, s.metrics.asked)
  end)

  it("asks permission once for an allocation and an address, while the permission lives", function()
    local s = with [[
      local n = relay.metric.counter("asked")
      return {permission = function(alloc, peer, kind)
        n:add()
        if peer.ip == "20.0.0.66" then return relay.deny(403, kind) end
      end}]]
    local a = s:allocate(ann)
    s:permission(a, "20.0.0.9:1")
    s:permission(a, "20.0.0.9:2")
    s:channel(a, "20.0.0.9:3", 0x4000)
    assert.equal(1, s.metrics.asked)
    assert.equal("channel", s:channel(a, "20.0.0.66:3", 0x4001).reason)
    assert.equal("permission", s:permission(a, "20.0.0.66").reason) -- a refusal is not kept
    assert.equal(3, s.metrics.asked)
    s:advance(300)
    s:permission(a, "20.0.0.9")
    assert.equal(4, s.metrics.asked)
  end)

  it("grants the members of an ACL, and asks about or refuses the others", function()
    local set, acl = "local set = relay.cidr('20.0.0.0/24')\n", "authorize = function() return relay.allow{permission_acl = set} end"
    local s = with(set .. "return {" .. acl .. "}")
    local a = s:allocate(ann)
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    assert.equal("permission_acl", s:permission(a, "20.0.1.9").reason)
    s = with(set .. "return {" .. acl .. ", permission = function() end}")
    assert.is_true(s:permission(s:allocate(ann), "20.0.1.9").ok)
  end)

  it("merges the limits of a chain to the strictest, and stops at a denial", function()
    local files = {
      ["a.lua"] = "return {authorize = function() return relay.allow{user_quota = 5, max_lifetime = 900, tags = {a = 1}} end}",
      ["b.lua"] = "return {authorize = function(r) if r.user == 'bob' then return relay.deny(508, 'full') end\n"
               .. "return relay.allow{user_quota = 3, max_lifetime = 1800, tags = {b = 'x'}} end}",
    }
    local s = with(nil, {policy = {"a.lua", "b.lua"}, files = files})
    local a = s:allocate {username = "ann", password = "p", lifetime = 3000}
    assert.equal(900, a.lifetime)
    assert.equal(3, a.limits.user_quota)
    assert.same({a = "1", b = "x"}, a.tags)
    assert.equal("full", s:allocate {username = "bob", password = "q"}.reason)
  end)

  it("reports usage in steps and lets a policy close or slow down", function()
    local s = with [[
      return {usage = function(alloc, u)
        relay.audit{delta = u.bytes_in, total = alloc.bytes_in}
        if alloc.bytes_in >= 300 then return relay.close("enough") end
        return relay.allow{max_bps = 1000}
      end}]]
    local a = s:allocate(ann)
    s:permission(a, "20.0.0.9")
    s:traffic(a, 100)
    s:advance(60)
    assert.same({delta = 100, total = 100}, s.audit[1])
    s:traffic(a, 200)
    s:advance(60)
    assert.same({delta = 200, total = 300}, s.audit[2])
    assert.equal("enough", s.events[#s.events].reason)
    assert.matches("^p%.lua:%d+$", s.events[#s.events].by)
  end)

  it("slows down to the strictest of several policies, and gives back no more than was granted", function()
    local s = T.new {
      policy = {"a.lua", "b.lua"}, users = {ann = "p"}, files = {["a.lua"] = [[
        return {
          authorize = function() return relay.allow{max_bps = 5000} end,
          usage = function(alloc) return relay.allow{max_bps = alloc.bytes_in > 200 and 2000 or 9000} end,
        }]], ["b.lua"] = [[
        return {usage = function(alloc)
          if alloc.bytes_in == 100 then return relay.allow{max_bps = 1000} end
          if alloc.bytes_in == 400 then error("b") end
        end}]]},
    }
    local a = s:allocate(ann)
    s:permission(a, "20.0.0.9")
    for _, bps in ipairs {1000, 5000, 2000, 2000} do
      s:traffic(a, 100)
      s:advance(60)
      assert.equal(bps, s:refresh(a).limits.max_bps)
    end
    assert.equal("b.lua:3", s.errors[1].by)
  end)

  it("runs init, timers and shutdown", function()
    local s = with [[
      relay.timer.every(10, function() relay.log.info("tick") end)
      return {init = function(ctx) relay.log.info("init " .. ctx.worker .. "/" .. ctx.workers) end,
              shutdown = function() relay.log.info("bye") end}]]
    s:advance(25)
    s:stop()
    local said = {}
    for i, line in ipairs(s.log) do said[i] = line.message end
    assert.same({"init 1/1", "tick", "tick", "bye"}, said)
  end)
end)

describe("relay.testing: what fails", function()
  local broken = {
    error = "error('boom')", type = "return true", budget = "while true do pcall(function() while true do end end) end",
    fail = "return relay.fail('backend')",
  }
  for kind, body in pairs(broken) do
    it("closes the door on " .. kind, function()
      local function policy(hook) return ("return {%s = function(...)\n%s\nend}"):format(hook, body) end
      for _, hook in ipairs {"route", "authenticate", "authorize"} do
        local s = with(policy(hook))
        local refused = s:allocate(ann)
        assert.equal(500, refused.code, hook)
        assert.equal("p.lua", s.errors[1].policy)
        assert.equal(hook, s.errors[1].hook)
        assert.equal(kind, s.errors[1].kind)
        assert.equal(0, s:held("total"))
      end
      for _, hook in ipairs {"permission", "channel"} do
        local s = with(policy(hook))
        assert.equal(403, s:channel(s:allocate(ann), "20.0.0.9", 0x4000).code, hook)
      end
    end)
  end

  it("keeps a running call alive through a broken refresh, for 600 seconds", function()
    local s = with "return {refresh = function() error('boom') end}"
    local a = s:allocate {username = "ann", password = "p", lifetime = 3000}
    local refreshed = s:refresh(a, {lifetime = 3000})
    assert.is_true(refreshed.ok)
    assert.equal(600, refreshed.lifetime)
    assert.equal("p.lua:1", s.errors[1].by)
  end)

  it("counts errors of usage and log, and changes nothing", function()
    local s = with "return {usage = function() error('u') end, log = function() error('l') end}"
    local a = s:allocate(ann)
    assert.is_true(a.ok)
    s:advance(60)
    assert.equal(1, s:held("total"))
    assert.equal("log", s.errors[1].hook)
    assert.equal("usage", s.errors[2].hook)
  end)

  it("takes a code or a decision that is not the hook's for an error", function()
    for hook, answer in pairs {
      authorize = "relay.deny(401)", authenticate = "relay.allow{}", permission = "relay.deny(486)", route = "relay.deny(486)",
    } do
      local s = with(("return {%s = function() return %s end}"):format(hook, answer))
      local a = s:allocate(ann)
      local refused = hook == "permission" and s:permission(a, "20.0.0.9") or a
      assert.equal(hook == "permission" and 403 or 500, refused.code, hook)
      assert.equal("type", s.errors[1].kind)
    end
  end)

  it("refuses a policy that is not one, with file and line", function()
    assert.matches("^p%.lua:1: unknown hook 'athorize'; did you mean 'authorize'", why_not "return {athorize = function() end}")
    assert.matches("^p%.lua:2:", why_not "return {\n= }")
    assert.matches("^p%.lua:1: a policy returns a table", why_not "return 1")
    assert.matches("^p%.lua:1: authorize: a function expected", why_not "return {authorize = 1}")
    assert.matches("^p%.lua:1: boom", why_not "return {init = function() error('boom') end}")
    assert.matches("killed", why_not "while true do end")
  end)
end)

describe("relay.testing: strictness", function()
  local function message(body)
    local s = with("return {authorize = function(req)\n" .. body .. "\nend}")
    assert.equal(500, s:allocate(ann).code)
    return s.errors[1].message
  end

  it("names the nearest field, constructor and global", function()
    assert.matches("^p%.lua:2: .*'usr'; did you mean 'user'", message "return req.usr")
    assert.matches("^p%.lua:2: .*'dney'; did you mean 'deny'", message "return relay.dney(403)")
    assert.matches("unknown global 'strng'; did you mean 'string'", message "return strng.rep('a', 2)")
    assert.matches("'user_qota'; did you mean 'user_quota'", message "return relay.allow{user_qota = 1}")
    assert.matches("'10' is not an address range", why_not "relay.cidr('10')")
    assert.matches("relay%.cidr: only while the policy loads", message "return relay.cidr('20.0.0.1')")
  end)

  it("refuses codes and values that make no sense", function()
    assert.matches("487 is an answer of ICE", message "return relay.deny(487)")
    assert.matches("no policy may answer 438", message "return relay.deny(438)")
    assert.matches("an integer from 1", message "return relay.allow{user_quota = 0}")
    assert.matches("one of password", message "return relay.key{user = 'x'}")
    assert.matches("one of password", message "return relay.key{user = 'x', mac_key = ('0'):rep(40), ha1 = ('0'):rep(32)}")
    assert.matches("mac_key: 40 hexadecimal", message "return relay.key{user = 'x', mac_key = ('0'):rep(32)}")
    assert.matches("mac_key: 64 hexadecimal", message "return relay.key{user = 'x', mac_key = ('x'):rep(64)}")
    assert.matches("read%-only", message "req.user = 'root'")
    assert.matches("read%-only", message "relay.deny = nil")
  end)

  it("keeps out what a policy must not have", function()
    for _, name in ipairs {"io", "load", "loadfile", "dofile", "package", "collectgarbage"} do
      assert.matches("unknown global '" .. name, message("return " .. name))
    end
    assert.matches("set after load", message "counter = 1")
    assert.matches("__gc is not allowed", message "setmetatable({}, {__gc = print})")
    assert.matches("string%.rep: more than 1048576 bytes", message "return string.rep('x', 1 << 30)")
  end)

  it("lets nobody keep a request beyond its hook", function()
    local s = with [[
      local kept
      return {authorize = function(req) kept = req end, log = function() return kept.user end}]]
    s:allocate(ann)
    assert.matches("used after the hook returned", s.errors[1].message)
  end)

  it("says where a decision was built, in a tail call too", function()
    local s = with [[local NO = relay.deny(403)
      return {authorize = function(req)
        if req.user == "ann" then return NO end
        return relay.deny(508)
      end}]]
    assert.equal("p.lua:1", s:allocate(ann).by)
    assert.equal("p.lua:4", s:allocate {username = "bob", password = "q"}.by)
  end)

  it("requires only files of the policy directory", function()
    local files = {
      ["p.lua"] = "local m = require 'm'\nreturn {authorize = function() return m.no end}", ["m.lua"] = "return {no = relay.deny(403)}",
    }
    local s = with(nil, {files = files})
    assert.equal("m.lua:1", s:allocate(ann).by)
    assert.matches("require", why_not "require '../secret'\nreturn {}")
  end)
end)
