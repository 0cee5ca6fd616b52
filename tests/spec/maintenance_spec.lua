local T = require "relay.testing"

local function server(text, more)
  local given = {policy = "maintenance.lua", files = {["maintenance.json"] = text or "{}"}, users = {ann = "p"}, now = 1900000000} -- 2030-03-17 17:46:40
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function come(s, src) return s:allocate {username = "ann", password = "p", src = src} end

local function write(s, text)
  s:rewrite("maintenance.json", text)
  s:advance(3)
end

describe("maintenance.lua", function()
  it("turns new clients away while the file says so; those who are in go on", function()
    local s = server()
    local a = come(s)
    assert.is_true(a.ok)
    write(s, '{"on": true, "message": "kernel update"}')
    local refused = come(s)
    assert.same({508, "maintenance: kernel update"}, {refused.code, refused.reason})
    assert.matches("^maintenance%.lua:%d+$", refused.by)
    assert.is_true(s:refresh(a).ok)
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    write(s, "{}")
    assert.is_true(come(s).ok)
    assert.same({"begins", "ends"}, {s.log[1].fields.state, s.log[2].fields.state})
    assert.same({2, "kernel update"}, {#s.log, s.log[1].fields.message})
  end)

  it("keeps to a window", function()
    local s = server '{"from": "2030-03-17 17:50", "until": "2030-03-17 18:00"}'
    assert.is_true(come(s).ok)
    s:advance(300)
    assert.equal(508, come(s).code)
    s:advance(600)
    assert.is_true(come(s).ok)
    write(s, '{"from": "2030-03-17 18:02", "on": false}')
    s:advance(600)
    assert.is_true(come(s).ok)
    write(s, '{"from": "2030-03-17 18:02"}')
    assert.equal(508, come(s).code)
  end)

  it("sends clients to the sibling of their family", function()
    local s = server '{"on": true, "redirect": ["198.51.100.9:3478", "[2001:db8::9]:3478"]}'
    local four, six = come(s), come(s, "[2001:db8::1]:1000")
    assert.same({300, "198.51.100.9:3478"}, {four.code, four.server})
    assert.same({300, "[2001:db8::9]:3478"}, {six.code, six.server})
    write(s, '{"on": true, "redirect": "198.51.100.9:3478"}')
    assert.equal(300, come(s).code)
    assert.equal(508, come(s, "[2001:db8::1]:1001").code)
    assert.same({}, s.errors)
  end)

  it("says what is written wrongly, and turns nobody away for it", function()
    for text, why in pairs {
      ['{"from": "31.01.2030 22:00"}'] = 'from: not like "2030-01-31 22:00"', ['{"until": 1900000000}'] = 'until: not like "2030-01-31 22:00"',
      ['{"on": "yes"}'] = "on: true or false expected",
    } do
      local s = server()
      write(s, text)
      assert.is_true(come(s).ok)
      assert.same({"error", why}, {s.log[1].level, s.log[1].fields.state})
    end
  end)

  it("refuses rather than fail for a sibling that is no address", function()
    for _, sibling in ipairs {'["turn2.example"]', '"turn2.example"', "[5]"} do
      local s = server('{"on": true, "redirect": ' .. sibling .. "}")
      local refused = come(s)
      assert.same({508, "maintenance: no message"}, {refused.code, refused.reason})
      assert.equal("error", s.log[1].level, sibling)
      assert.same({}, s.errors)
    end
  end)

  it("keeps what it has of half a file", function()
    local s = server '{"on": true}'
    write(s, '{"on": ')
    assert.equal(508, come(s).code)
  end)
end)
