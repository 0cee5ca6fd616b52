-- relay.allow{pool}: a tenant has relay addresses of its own.

local T = require "relay.testing"

local policy = [[
local D = {acme = "red", beta = "blue", lost = "green"}
return {
  route = function(req) return relay.tenant(req.sni or "none") end,
  authorize = function(req) return relay.allow{pool = D[req.tenant]} end,
}]]

local function server(more)
  local options = {
    policy = "pools.lua", files = {["pools.lua"] = policy}, relay_pools = {"red", "blue"},
    users = {["acme/ann"] = "p", ["beta/ann"] = "p", ["lost/ann"] = "p", ["none/ann"] = "p"},
  }
  for name, value in pairs(more or {}) do options[name] = value end
  return T.new(options)
end

local function join(s, tenant, more)
  local fields = {username = "ann", password = "p", sni = tenant}
  for name, value in pairs(more or {}) do fields[name] = value end
  return s:allocate(fields)
end

local function ip(answer) return (answer.relayed:gsub(":%d+$", "")) end

describe("relay.allow{pool}", function()
  it("gives each tenant the addresses of its pool, and others those of none", function()
    local s = server()
    local ours, theirs, others = join(s, "acme"), join(s, "beta"), join(s)
    assert.are_not.equal(ip(ours), ip(theirs))
    assert.are_not.equal(ip(ours), ip(others))
    assert.equal(ip(ours), ip(join(s, "acme")))
    assert.equal(ip(others), ip(join(s)))
    assert.are_not.equal(ip(ours), ip(join(s, "acme", {family = 6})))
  end)

  it("counts the ports of each pool apart", function()
    local s = server {min_port = 50000, max_port = 50000}
    assert.is_true(join(s, "acme").ok)
    local full = join(s, "acme")
    assert.equal(508, full.code)
    assert.equal("no_port", full.reason)
    assert.is_true(join(s, "beta").ok)
    assert.is_true(join(s).ok)
  end)

  it("fails where the pool is not there, and keeps no unit", function()
    local s = server()
    local lost = join(s, "lost")
    assert.equal(500, lost.code)
    assert.equal("unknown_pool", lost.reason)
    assert.equal(0, s:held("total"))
  end)

  it("frees the port of its own pool", function()
    local s = server {min_port = 50000, max_port = 50000}
    s:close(join(s, "acme"))
    assert.is_true(join(s, "acme").ok)
  end)

  it("must be a name, and one", function()
    local function two(first, second)
      return T.new {policy = {"a.lua", "b.lua"}, users = {ann = "p"}, relay_pools = {"red", "blue"}, files = {
        ["a.lua"] = ("return {authorize = function() return relay.allow{pool = %q} end}"):format(first),
        ["b.lua"] = ("return {authorize = function() return relay.allow{pool = %q} end}"):format(second),
      }}:allocate{username = "ann", password = "p"}
    end
    assert.is_true(two("red", "red").ok)
    assert.equal(500, two("red", "blue").code)
    assert.equal(500, two("red", "").code)
  end)
end)
