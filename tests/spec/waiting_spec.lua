-- hooks that wait, the same on the fake core and on the real one
local T = require "relay.testing"

local function server(body, more)
  local given = {policy = "p.lua", users = {["/ann"] = "p"}, files = {["p.lua"] = body}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function reason(body, more)
  local s = server("return {authorize = function(req) " .. body .. " end}", more)
  local a = s:allocate{username = "ann", password = "p"}
  return a.reason, a.code, s
end

describe("a hook that waits", function()
  it("moves the clock and goes on", function()
    local s = server [[
      return {authorize = function(req)
        local src, before = req.src, os.time()
        relay.sleep(1) relay.sleep(1.5)
        return relay.deny(403, src.ip .. " " .. req.user .. " " .. os.time() - before)
      end}]]
    local before = s:now()
    assert.equal("198.51.100.9 ann 2", s:allocate{username = "ann", password = "p", src = "198.51.100.9:5000"}.reason)
    assert.equal(before + 2, s:now())
  end)

  it("has failed after three seconds", function()
    local why, code, s = reason("relay.sleep(1)\nrelay.sleep(3) return relay.deny(403)")
    assert.same({"waited too long", 500}, {why, code})
    assert.same({"late", "p.lua:2"}, {s.errors[1].kind, s.errors[1].by})
  end)

  it("runs functions side by side", function()
    assert.equal("abc1", (reason [[
      local before = os.time()
      local function slow(s, v) return function() relay.sleep(s) return v end end
      local a, b, c = relay.all{slow(1, "a"), slow(0.5, "b"), function() return (relay.all{slow(1, "c"), slow(0.2)}) end}
      return relay.deny(403, a .. b .. c .. os.time() - before)]]))
    assert.equal("false p.lua:1: boom", (reason [[local ok, why = pcall(relay.all, {function() relay.sleep(2) end, function() error("boom") end}) 
      return relay.deny(403, tostring(ok) .. " " .. why)]]))
  end)

  it("asks over HTTP", function()
    local stubs = {
      ["http://a/"] = function(request) return {json = {got = request.body, how = request.headers["X-How"]}, headers = {["X-More"] = "1"}, after = 0.5} end,
      ["http://slow/"] = function() return {after = 1} end, ["http://down/"] = function() return nil, "resolve" end,
    }
    assert.equal('200 [1,{"a":"b"}] yes 1 timeout resolve connect', (reason([[
      local res = relay.http.post("http://a/", {json = {1, {a = "b"}}, headers = {["X-How"] = "yes"}})
      local body = res:json()
      local words = {res.status, body.got, body.how, res.headers["x-more"]}
      for _, url in ipairs{"http://slow/", "http://down/", "http://nowhere/"} do
        words[#words + 1] = select(2, relay.http.get(url, {timeout = 0.3}))
      end
      return relay.deny(403, table.concat(words, " "))]], {http_stubs = stubs})))
  end)

  it("raises where it may not", function()
    local function why(body) return (reason("local _, why = pcall(function() " .. body .. " end) return relay.deny(403, why:sub(1, 90))")) end
    assert.matches("not in a coroutine of the script", why "coroutine.wrap(function() relay.sleep(1) end)()")
    assert.matches("not in a function that table.sort", why "table.sort({2, 1}, function() relay.sleep(1) end)")
    assert.matches("seconds from 0", why "relay.sleep(-1)")
    assert.matches("a list of functions", why "relay.all{1}")
    assert.matches("unknown field 'jsn'; did you mean 'json'", why "relay.http.post('http://a/', {jsn = 1})")
    local loaded, refusal = pcall(server, "relay.sleep(1) return {}")
    assert.same({false, "p.lua:1: relay.sleep: only in hooks, not while the policy loads"}, {loaded, refusal})
    local s = server "return {permission = function() relay.sleep(1) end}"
    local a = s:allocate{username = "ann", password = "p"}
    assert.equal(403, s:permission(a, "20.0.0.9").code)
    assert.matches("only in authenticate, authorize, usage, log, init and timers", s.errors[1].message)
  end)

  it("may be init, a timer, log or usage", function()
    local s = server([[
      local fleet
      relay.timer.every(10, function() relay.sleep(1) relay.audit{type = "timer", fleet = fleet} end)
      return {
        init = function() fleet = relay.http.get("http://fleet/").body end,
        log = function(ev) local user = ev.user relay.sleep(0.5) relay.audit{type = ev.type, user = user, src = ev.src} end,
        usage = function(alloc, used) relay.sleep(0.5) if used.bytes_in > 0 then return relay.close("used " .. used.bytes_in .. alloc.user) end end,
      }]], {http_stubs = {["http://fleet/"] = function() return {body = "north", after = 2} end}})
    local a = s:allocate{username = "ann", password = "p", src = "198.51.100.9:5000"}
    s:permission(a, "20.0.0.9")
    s:traffic(a, 100)
    s:advance(75)
    local closed = s.events[#s.events]
    assert.same({"closed", "used 100ann"}, {closed.type, closed.reason})
    local seen = {}
    for _, row in ipairs(s.audit) do seen[row.type] = row end
    assert.equal("north", seen.timer.fleet)
    assert.same({"ann", "198.51.100.9:5000"}, {seen.allocated.user, seen.allocated.src})
  end)
end)

describe("a place of a gate", function()
  it("is held while the hook waits, and free afterwards, however it ends", function()
    local s = server [[
      local G = relay.gate("g", {max = 1})
      return {authorize = function(req)
        local place <close>, why = G:hold(req.user)
        if not place then return relay.deny(486, why) end
        local again <close>, busy = G:hold(req.user)
        if req.software == "error" then error("no") end
        if req.software == "loop" then while true do end end
        relay.sleep(req.software == "late" and 5 or 1)
        return relay.deny(403, tostring(again) .. " " .. busy)
      end}]]
    local function try(software) return s:allocate({username = "ann", password = "p", software = software}).reason end
    for _, software in ipairs {"error", "loop", "late", "fine"} do
      try(software)
      assert.equal("nil busy", try "fine")
    end
  end)
end)
