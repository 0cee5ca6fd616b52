-- relay.db, relay.users and relay.dns, the same on the fake core and on the real one
local T = require "relay.testing"

local function server(body, more)
  local given = {policy = "p.lua", users = {["/ann"] = "p", ["acme/zoe"] = "p"}, files = {["p.lua"] = "return {authorize = function(req) " .. body .. " end}"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function reason(body, more)
  local s = server(body, more)
  local a = s:allocate {username = "ann", password = "p"}
  return a.reason, a.code, s
end

local function why(body, more)
  return (reason("local _, why = pcall(function() " .. body .. " end) return relay.deny(403, tostring(why):sub(1, 94))", more))
end

describe("relay.db", function()
  local PLAN <const> = "SELECT plan, bps, price, until FROM plans WHERE user = ? AND active = ?"
  local stubs = {
    [PLAN] = function(user, active)
      if user ~= "ann" or active ~= 1 then return {columns = {"plan", "bps"}} end
      return {{plan = "gold", bps = 1000000, price = 9.5}, {plan = "old"}, columns = {"until"}}
    end,
    ["SELECT slow"] = function() return {{x = 1}, after = 3} end,
    ["SELECT large"] = function() return nil, "too large" end,
    ["SELECT wrong"] = function() return nil, "no such column: wrong" end,
    ["SELECT ?, ?, ?, ?, ?"] = function(...) return {{seen = table.concat({...}, " ")}} end,
  }

  it("answers with rows, by the names of their columns", function()
    assert.equal("2 gold 1000000 integer 9.5 nil nil 0", (reason([[
      local rows = relay.db:query("]] .. PLAN .. [[", req.user, true)
      local none = relay.db:query("]] .. PLAN .. [[", "bob", true)
      return relay.deny(403, table.concat({#rows, rows[1].plan, rows[1].bps, math.type(rows[1].bps), rows[1].price, tostring(rows[1]["until"]),
        tostring(rows[2].bps), #none}, " "))]], {db_stubs = stubs})))
  end)

  it("is asked with typed parameters", function()
    assert.equal("a 1 2.5 0 198.51.100.9:5000", server([[return relay.deny(403, relay.db:query("SELECT ?, ?, ?, ?, ?", "a", 1, 2.5, false, req.src)[1].seen)]],
      {db_stubs = stubs}):allocate {username = "ann", password = "p", src = "198.51.100.9:5000"}.reason)
    assert.matches("parameter 2: a string, number, boolean or nil expected, got table", why("relay.db:query('SELECT large', 1, {})", {db_stubs = stubs}))
    assert.matches("more than 32 parameters", why("relay.db:query('x', table.unpack({}, 1, 33))"))
    assert.matches("parameters: longer than 16384 bytes", why("relay.db:query('x', ('y'):rep(16385))"))
    assert.matches("the statement: a string expected", why("relay.db:query()"))
  end)

  it("says why there is no answer", function()
    assert.equal("timeout too large 2", (reason([[
      local before = os.time()
      local _, slow = relay.db:query("SELECT slow")
      local took, _, large = os.time() - before, relay.db:query("SELECT large")
      return relay.deny(403, slow .. " " .. large .. " " .. took)]], {db_stubs = stubs})))
    assert.matches("^p.lua:1: relay.db: no such column: wrong", why("relay.db:query('SELECT wrong')", {db_stubs = stubs}))
    assert.matches("row has no column 'plam'; did you mean 'plan'", why("return relay.db:query('" .. PLAN .. "', 'ann', true)[1].plam", {db_stubs = stubs}))
  end)

  it("raises where a hook may not wait", function()
    local s = T.new {policy = "p.lua", users = {["/ann"] = "p"}, files = {["p.lua"] = [[
      return {permission = function(alloc) return relay.db:query("SELECT 1") end, channel = function(alloc) return relay.users:get(nil, "ann") end,
              refresh = function(alloc) return relay.dns.lookup("a.example") end}]]}}
    local a = s:allocate {username = "ann", password = "p"}
    s:permission(a, "20.0.0.9")
    assert.matches("relay.db:query: only in authenticate, authorize, usage, log, init and timers", s.errors[1].message)
    s:refresh(a, {lifetime = 600})
    assert.matches("relay.dns.lookup: only in authenticate", s.errors[2].message)
  end)
end)

describe("relay.users", function()
  it("knows who is there", function()
    assert.equal("acme zoe nil / ann", (reason [[
      local zoe, ann = relay.users:get("acme", "zoe"), relay.users:get(nil, "ann")
      return relay.deny(403, table.concat({zoe.tenant, zoe.user, tostring(relay.users:get("acme", "bob")), ann.tenant .. "/", ann.user}, " "))]]))
    assert.equal("2", (reason [[return relay.deny(403, #{relay.all{function() return relay.users:get("acme", "zoe") end,
      function() return relay.users:get(nil, "ann") end}} .. "")]]))
  end)
end)

describe("relay.dns", function()
  local stubs = {
    ["A game.example"] = {"192.0.2.1", "192.0.2.2"},
    ["AAAA game.example"] = {"2001:db8::1", after = 0.5},
    ["SRV _turn._udp.game.example"] = function() return {{target = "t1.example", port = 3478, priority = 10}, {target = "t2.example", port = 3479, priority = 20, weight = 5}} end,
    ["TXT game.example"] = {"v=game1"}, ["A slow.example"] = {"192.0.2.3", after = 1}, ["A down.example"] = function() return nil, "failed" end,
  }

  it("looks names up", function()
    assert.equal("2 192.0.2.2 2001:db8::1 t2.example:3479 20 5 0 v=game1", (reason([[
      local a, aaaa = relay.dns.lookup("game.example"), relay.dns.lookup("game.example", {type = "AAAA"})
      local srv, txt = relay.dns.lookup("_turn._udp.game.example", {type = "SRV"}), relay.dns.lookup("game.example", {type = "TXT"})
      return relay.deny(403, table.concat({#a, a[2], aaaa[1], srv[2].target .. ":" .. srv[2].port, srv[2].priority, srv[2].weight, srv[1].weight, txt[1]}, " "))]],
      {dns_stubs = stubs})))
  end)

  it("says why there is no answer", function()
    assert.equal("timeout failed not found", (reason([[
      local words = {}
      for _, name in ipairs{"slow.example", "down.example", "no.example"} do words[#words + 1] = select(2, relay.dns.lookup(name, {timeout = 0.3})) end
      return relay.deny(403, table.concat(words, " "))]], {dns_stubs = stubs})))
    assert.matches("type: 'A', 'AAAA', 'SRV' or 'TXT' expected, got 'MX'", why "relay.dns.lookup('a.example', {type = 'MX'})")
    assert.matches("unknown field 'typ'; did you mean 'type'", why "relay.dns.lookup('a.example', {typ = 'A'})")
    assert.matches("timeout: seconds above 0", why "relay.dns.lookup('a.example', {timeout = 0})")
    assert.matches("has no field 'prt'; did you mean 'port'", why("return relay.dns.lookup('_turn._udp.game.example', {type = 'SRV'})[1].prt", {dns_stubs = stubs}))
  end)
end)
