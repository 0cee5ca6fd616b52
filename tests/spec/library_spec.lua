local T = require "relay.testing"
local address = require "relay.address"
local base64 = require "relay.base64"
local hash = require "relay.hash"
local json = require "relay.json"

-- what `body` returns inside a policy, as text
local function run(body, more)
  local given = {policy = "p.lua", files = {["p.lua"] = "relay.log.info(tostring((function()\n" .. body .. "\nend)()))\nreturn {}"}}
  for name, value in pairs(more or {}) do given[name] = value end
  for name, value in pairs((more or {}).data or {}) do given.files[name] = value end
  given.data = nil
  return T.new(given).log[1].message
end

describe("the library", function()
  it("has shared tables with deadlines, limits and atomic numbers", function()
    assert.equal("1 2 exists 7 false true nil", run [[
      local t = relay.shared("t", {max_entries = 2})
      local out = {}
      out[1], out[2] = t:incr("a", 1, {ttl = 10}), t:incr("a", 1, {ttl = 10})
      out[3] = select(2, t:add("a", 1, 10))
      out[4] = t:incr("b", 2, {init = 5, ttl = false})
      out[5], out[6] = t:cas("b", 6, 8, 10), t:cas("b", 7, 8, 10)
      t:delete("b")
      out[7] = t:get("b")
      for i = 1, 7 do out[i] = tostring(out[i]) end
      return table.concat(out, " ")]])
    assert.equal("full", run "local t = relay.shared('t', {max_entries = 1}) t:set('a', 1, 9) return select(2, t:set('b', 1, 9))")
    assert.equal("nil", run "local t = relay.shared('t', {max_entries = 1, evict = 'lru'}) t:set('a', 1, 9) t:set('b', 1, 9) return t:get('a')")
  end)

  it("insists on a deadline", function()
    assert.error_matches(function() run "relay.shared('t', {max_entries = 1}):set('a', 1)" end, "ttl: seconds, or false")
  end)

  it("limits rates per key, by the clock", function()
    local s = T.new {policy = "p.lua", users = {ann = "p"}, files = {["p.lua"] = [[
      local r = relay.ratelimit("r", {rate = 1, burst = 2})
      return {authorize = function() if not r:take("k") then return relay.deny(486) end end}]]}}
    local function try() return s:allocate {username = "ann", password = "p"}.ok end
    assert.same({true, true, false}, {try(), try(), try()})
    s:advance(1)
    assert.same({true, false}, {try(), try()})
  end)

  it("reads data as a tree that cannot be changed", function()
    local data = {["d.json"] = '{"a": {"b": [1, 2]}}'}
    assert.equal("2 2 nil", run("local d = relay.data('d.json') return d.a.b[2] .. ' ' .. #d.a.b .. ' ' .. tostring(d.x)", {data = data}))
    assert.error_matches(function() run("relay.data('d.json').a = 1", {data = data}) end, "read%-only")
  end)

  it("hides a secret and signs with each of its values", function()
    local more = {secrets = {k = {"one", "two"}}}
    assert.equal("relay.secret(hidden)", run("return relay.secret('k')", more))
    assert.equal(base64.encode(hash.hmac("sha1", "two", "x")), run("return relay.secret('k'):hmac_b64('sha1', 'x')[2]", more))
  end)

  it("reads data again when it changes, and keeps what it has of a bad file", function()
    local s = T.new {policy = "p.lua", users = {ann = "p"}, files = {["d.json"] = '{"by": {"x": {"n": 1}}}', ["p.lua"] = [[
      local d = relay.data("d.json")
      local x = d.by.x
      return {authorize = function()
        local keys = 0
        for _ in pairs(d.by) do keys = keys + 1 end
        relay.audit{n = d.by.x and d.by.x.n or 0, kept = x.n or 0, keys = keys}
      end}]]}}
    local function seen()
      s:allocate {username = "ann", password = "p"}
      local row = s.audit[#s.audit]
      return {row.n, row.kept, row.keys}
    end
    assert.same({1, 1, 1}, seen())
    s:rewrite("d.json", '{"by": {"x": {"n": 2}, "y": {}}}')
    s:advance(3)
    assert.same({2, 2, 2}, seen())
    s:rewrite("d.json", '{"by": ')
    s:advance(3)
    assert.same({2, 2, 2}, seen())
    s:rewrite("d.json", '{"by": {}}')
    s:advance(3)
    assert.same({0, 0, 0}, seen())
  end)

  it("rotates secrets without a restart", function()
    local s = T.new {policy = "p.lua", users = {ann = "p"}, secrets = {k = {"one"}}, files = {["p.lua"] = [[
      local k = relay.secret("k")
      return {authorize = function() relay.audit{n = #k:hmac_b64("sha1", "x"), first = k:hmac_b64("sha1", "x")[1]} end}]]}}
    s:rotate("k", {"two", "one"})
    s:advance(3)
    s:allocate {username = "ann", password = "p"}
    assert.same({n = 2, first = base64.encode(hash.hmac("sha1", "two", "x"))}, s.audit[1])
  end)

  it("hashes, signs and writes bytes as text", function()
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", run "return relay.hex(relay.hash('sha1', 'abc'))")
    assert.equal("900150983cd24fb0d6963f7d28e17f72", run "return relay.hex(relay.hash('md5', 'abc'))")
    assert.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", run "return relay.hex(relay.hmac('sha1', 'Jefe', 'what do ya want for nothing?'))")
    assert.equal("-w -w== nil x", run [[
      local b = relay.base64
      return b.encode("\xfb", "url") .. " " .. b.encode("\xfb"):gsub("+", "-") .. " " .. tostring(b.decode("eA")) .. " " .. b.decode("eA", "url")]])
    assert.equal("16 true", run "return #relay.random(16) .. ' ' .. tostring(relay.random(16) ~= relay.random(16))")
    for _, body in ipairs {"relay.hash('sha512', 'x')", "relay.hmac('md5', 'k', 'x')", "relay.random(0)", "relay.base64.encode('x', 'hex')"} do
      assert.error_matches(function() run(body) end, "expected")
    end
  end)

  it("splits and compares", function()
    assert.equal("a b@c nil", run "local a, b = relay.split('a@b@c', '@') return a .. ' ' .. b .. ' ' .. tostring(select(2, relay.split('a', '@')))")
    assert.equal("true", run "return relay.prefix('eyJx', 'eyJ') and not relay.prefix('e', 'eyJ')")
  end)
end)

describe("hash", function()
  it("gives the digests of the standards", function()
    assert.equal("900150983cd24fb0d6963f7d28e17f72", hash.hex(hash.md5 "abc")) -- RFC 1321, A.5
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hash.hex(hash.sha1 "abc")) -- FIPS 180, examples
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hash.hex(hash.sha256 "abc"))
    assert.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", hash.hex(hash.hmac("sha1", "Jefe", "what do ya want for nothing?"))) -- RFC 2202, 2
    assert.equal("8493fbc53ba582fb4c044c456bdc40eb", hash.hex(hash.md5 "user:realm:pass")) -- RFC 5389, 15.4
  end)
end)

describe("address", function()
  it("reads and writes addresses", function()
    for text, shown in pairs {
      ["1.2.3.4:5"] = "1.2.3.4:5", ["[2001:DB8:0:0::1]:5"] = "[2001:db8::1]:5", ["::"] = "::", ["1::ffff:1.2.3.4"] = "1::ffff:102:304",
    } do
      assert.equal(shown, tostring(address.parse(text)))
    end
    for _, text in ipairs {"", "1.2.3", "256.1.1.1", "01.2.3.4", "1::2::3", "1:2:3:4:5:6:7:8:9", ":::", "1.2.3.4:99999", "host"} do
      assert.is_nil(address.parse(text), text)
    end
  end)

  it("compares with ranges, whatever the spelling", function()
    local set = address.set {"10.0.0.0/8", "192.0.2.1-192.0.2.9", "2a00::/32"}
    for _, text in ipairs {
      "10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "2001:0:1:2:3:4:f5fe:fdfc", "192.0.2.9", "2a00::1",
    } do
      assert.is_true(set:contains(text), text)
    end
    for _, text in ipairs {"11.0.0.0", "192.0.2.10", "2a01::1", "::1"} do assert.is_false(set:contains(text), text) end
    assert.equal("198.51.100.0/24", address.parse("198.51.100.7"):mask(24))
  end)
end)

describe("json", function()
  it("reads values and says where it cannot", function()
    assert.same({a = {1, 2.5, "é😀", true}}, json.decode '{"a": [1, 2.5, "\\u00e9\\ud83d\\ude00", true, null]}')
    for _, text in ipairs {"", "[1,]", "01", '"a', '{"a" 1}', "1.", "nul", '"\\ud83d"', "1 2"} do
      assert.is_nil(json.decode(text), text)
    end
    assert.matches("^line 3", select(2, json.decode "[1,\n2,\n}"))
  end)
end)
