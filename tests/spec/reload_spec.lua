local T = require "relay.testing"

local function server(text, given)
  given = given or {}
  given.policy, given.users, given.files = given.policy or "p.lua", {ann = "p"}, given.files or {}
  given.files["p.lua"] = text
  return T.new(given)
end

local function try(s) return s:allocate {username = "ann", password = "p"} end

local function deny(code) return ("return {authorize = function() return relay.deny(%d) end}"):format(code) end

describe("a reload", function()
  it("exchanges the policies, and what is allocated stays", function()
    local s = server "return {}"
    local a = try(s)
    assert.is_true(s:reload {["p.lua"] = deny(486)})
    assert.same({486, 600}, {try(s).code, s:refresh(a).lifetime})
    assert.equal(1, s:held("user", "", "ann"))
    assert.is_true(s:reload {["p.lua"] = "return {}"})
    assert.is_true(try(s).ok)
  end)

  it("that fails leaves the old ones, and says file and line", function()
    local s = server(deny(403))
    for text, why in pairs {
      ["return {"] = "^p%.lua:1: ", ["return {athorize = print}"] = "did you mean 'authorize'", ["\nerror 'no'"] = "^p%.lua:2: no$",
      ["return {init = function()\n error('no backend') end}"] = "^p%.lua:2: no backend", ["relay.params('q', {x = {required = true}}) return {}"] = "q%.x: a value is required",
    } do
      local done, said = s:reload {["p.lua"] = text}
      assert.is_nil(done)
      assert.matches(why, said)
      assert.equal(403, try(s).code)
    end
    assert.is_true(s:reload {["p.lua"] = deny(508)})
    assert.equal(508, try(s).code)
  end)

  it("hands on what save returned", function()
    local s = server [[
      local n = 0
      return {
        init = function(ctx) n = ctx.saved and ctx.saved.n or 0 relay.audit{reload = ctx.reload, n = n} end,
        authorize = function() n = n + 1 end,
        save = function() return {n = n} end,
      }]]
    try(s)
    try(s)
    assert.is_true(s:reload())
    assert.same({{reload = false, n = 0}, {reload = true, n = 2}}, s.audit)
  end)

  it("is refused for what cannot be saved", function()
    for body, why in pairs {
      ["return print"] = "^p%.lua: save: a function is no plain data", ["return setmetatable({}, {})"] = "^p%.lua: save: a table with a metatable",
      ["local t = {} t.t = t return t"] = "nested more than 32 levels", ["return ('x'):rep(65529)"] = "more than 64 KiB", ["\nerror 'no'"] = "^p%.lua:2: no",
    } do
      local s = server("return {authorize = function() return relay.deny(403) end, save = function() " .. body .. " end}")
      local done, said = s:reload {["p.lua"] = "return {}"}
      assert.is_nil(done)
      assert.matches(why, said)
      assert.equal(403, try(s).code)
    end
  end)

  it("keeps what is shared by name, and forgets what nobody asks for", function()
    local count = "local t = relay.shared('t', {max_entries = 9})\nrelay.audit{n = t:incr('k', 1, {ttl = false}), m = relay.meter('m', {period = 'day'}):add('k', 1)}\nreturn {}"
    local s = server(count)
    assert.is_true(s:reload())
    assert.same({{n = 1, m = 1}, {n = 2, m = 2}}, s.audit)
    local done, why = s:reload {["p.lua"] = "relay.shared('t', {max_entries = 8}) return {}"}
    assert.is_nil(done)
    assert.matches("'t' is there already, with other options", why)
    assert.is_true(s:reload {["p.lua"] = "return {}"})
    assert.is_true(s:reload {["p.lua"] = count})
    assert.same({n = 1, m = 3}, s.audit[3])
  end)

  it("begins timers and answers of route anew", function()
    local function ticks(name)
      return ("relay.timer.every(10, function() relay.audit{by = %q} end)\nreturn {route = function() return relay.tenant(%q) end}"):format(name, name)
    end
    local s = server(ticks "old", {users = {}})
    s:advance(10)
    s:reload {["p.lua"] = ticks "new"}
    s:advance(15)
    assert.same({{by = "old"}, {by = "new"}}, s.audit)
  end)

  it("changes the revision that events show", function()
    local s = server "return {}"
    try(s)
    s:reload {["p.lua"] = "return {log = function() end}"}
    try(s)
    assert.is_not.equal(s.events[1].policy_rev, s.events[2].policy_rev)
  end)
end)
