local T = require "relay.testing"

local URL <const> = "https://auth.example.org/turn"

describe("auth_http.lua", function()
  local asked, said

  -- a server whose backend notes what it is asked, and says `said`
  local function server(more)
    asked = {}
    local given = {policy = "auth_http.lua", set = {["auth.url"] = URL}, http_stubs = {[URL] = function(request)
      asked[#asked + 1] = request.body
      return table.unpack(said)
    end}}
    for name, value in pairs(more or {}) do given[name] = value end
    return T.new(given)
  end

  it("asks the backend, and keeps its answer for a while", function()
    local s = server()
    said = {{json = {password = "p"}, after = 0.2}}
    local a = s:allocate{username = "ann", password = "p", src = "198.51.100.1:5000"}
    assert.is_true(a.ok)
    assert.equal("ann", a.user)
    assert.same({'{"ip":"198.51.100.1","realm":"relay.test","username":"ann"}'}, asked)
    assert.is_true(s:allocate{username = "ann", password = "p"}.ok)
    assert.equal("bad_integrity", s:allocate{username = "ann", password = "q"}.reason)
    assert.equal(1, #asked)
    s:advance(61)
    assert.is_true(s:allocate{username = "ann", password = "p"}.ok)
    assert.equal(2, #asked)
  end)

  it("takes what the backend says of the user", function()
    local s = server()
    said = {{json = {password = "p", user = "7", tenant = "acme"}}}
    local a = s:allocate{username = "ann", password = "p"}
    assert.same({"7", "acme"}, {a.user, a.tenant})
    assert.equal(1, s:held("user", "acme", "7"))
    said = {{json = {password = "p", expires = s:now() - 1}}}
    assert.equal("expired", s:allocate{username = "bob", password = "p"}.reason)
    said = {{json = {ha1 = ("0"):rep(32)}}}
    assert.equal("bad_integrity", s:allocate{username = "eve", password = "p"}.reason)
  end)

  it("asks five seconds later at the earliest about a name that is nobody's", function()
    local s = server()
    said = {{status = 404}}
    for _ = 1, 3 do
      local a = s:allocate{username = "eve", password = "p"}
      assert.same({401, "unknown_user"}, {a.code, a.reason})
    end
    assert.equal(1, #asked)
    s:advance(6)
    s:allocate{username = "eve", password = "p"}
    assert.equal(2, #asked)
  end)

  it("never takes an outage for a wrong password", function()
    for why, answer in pairs {
      ["backend: connect"] = {nil, "connect"}, ["backend: timeout"] = {{after = 2}}, ["backend: answers 503"] = {{status = 503}},
    } do
      local s = server()
      said = answer
      local a = s:allocate{username = "ann", password = "p"}
      assert.same({500, why}, {a.code, a.reason})
      said = {{json = {password = "p"}}}
      assert.is_true(s:allocate{username = "ann", password = "p"}.ok)
    end
  end)

  it("fails for answers that say nothing", function()
    for _, body in ipairs {"", "nonsense", "{}", "[1]", '{"password": 7}', '{"ha1": "x"}'} do
      local s = server()
      said = {{body = body}}
      assert.equal(500, s:allocate{username = "ann", password = "p"}.code)
    end
  end)

  it("keeps the same name apart in two tenants", function()
    local s = server {policy = {"route.lua", "auth_http.lua"}, files = {["route.lua"] = [[
      return {route = function(req) if req.sni then return relay.tenant(req.sni) end end}]]}}
    for _, tenant in ipairs {"acme", "beta"} do
      said = {{json = {password = tenant}}}
      assert.equal(tenant, s:allocate{username = "ann", password = tenant, sni = tenant, transport = "tls"}.tenant)
    end
    assert.equal(2, #asked)
  end)

  it("keeps no answer that says nothing", function()
    local s = server()
    said = {{body = "<html>"}}
    assert.equal("backend: answers neither ha1 nor password", s:allocate{username = "ann", password = "p"}.reason)
    said = {{json = {password = "p"}}}
    assert.is_true(s:allocate{username = "ann", password = "p"}.ok)
  end)

  it("waits no longer than it may", function()
    local s = server {set = {["auth.url"] = URL, ["auth.timeout"] = 3}}
    said = {{json = {password = "p"}, after = 10}}
    local before = s:now()
    assert.equal(500, s:allocate{username = "ann", password = "p"}.code)
    assert.equal(before + 3, s:now())
  end)
end)
