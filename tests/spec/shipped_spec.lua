-- All shipped policies in one chain, in the order that policies/README.md recommends.

local T = require "relay.testing"
local base64 = require "relay.base64"
local hash = require "relay.hash"
local json = require "relay.json"
local mmdb = require "relay.mmdb"

local KEY <const> = ("k"):rep(32)
local URL <const> = "https://auth.example.org/turn"
local order = {
  "maintenance.lua", "anti_abuse.lua", "geofence.lua", "jwt.lua", "rest_secret.lua", "tenants.lua", "auth_http.lua", "quota.lua",
  "fair_use.lua", "room.lua", "peers.lua", "audit.lua",
}
local files = {
  ["maintenance.json"] = "{}",
  ["country.mmdb"] = mmdb.encode {["198.51.100.0/22"] = {country = {iso_code = "DE"}}, ["203.0.113.0/24"] = {country = {iso_code = "FR"}}},
  ["jwks.json"] = '{"keys": [{"kty": "oct", "k": "' .. base64.encode_url(KEY) .. '"}]}',
  ["tenants.json"] = '{"by_port": {"3479": "acme"}, "tenants": {"acme": {"allocations": 4, "bps": 500000, "monthly_bytes": 50000}, "beta": {}}}',
}

local function without(list, name)
  local out = {}
  for _, item in ipairs(list) do
    if item ~= name then out[#out + 1] = item end
  end
  return out
end

local anywhere = without(order, "room.lua") -- for users without a room, who reach anybody

local function server(set, policies)
  local given = {
    policy = policies or without(anywhere, "auth_http.lua"), files = {}, users = {["acme/ann"] = "p", ["beta/bob"] = "q"},
    secrets = {rest = {"shared"}, jwt = {"minted"}}, set = {["geo.refuse"] = "FR", ["peers.deny"] = "20.0.0.66", ["quota.user"] = 2},
    http_stubs = {[URL] = function() return {status = 404} end},
  }
  for name, text in pairs(files) do given.files[name] = text end
  for name, value in pairs(set or {}) do given.set[name] = value end
  return T.new(given)
end

local port = 1000

-- an Allocate from a port of its own
local function come(s, user, password, more)
  port = port + 1
  local fields = {username = user, password = password, src = "198.51.100.7"}
  for name, value in pairs(more or {}) do fields[name] = value end
  fields.src = fields.src .. ":" .. port
  return s:allocate(fields)
end

local function token(s, claims)
  claims.exp, claims.aud = s:now() + 600, "turn"
  local signed = base64.encode_url '{"alg":"HS256"}' .. "." .. base64.encode_url(json.encode(claims))
  local name = signed .. "." .. base64.encode_url(hash.hmac("sha256", KEY, signed))
  return name, base64.encode(hash.hmac("sha256", "minted", name))
end

describe("all shipped policies in one chain", function()
  it("load, with what each of them needs", function()
    assert.same({}, server({["auth.url"] = URL}, order).errors)
  end)

  it("are all of them", function()
    local listing = assert(io.popen "ls policies/*.lua")
    local there = {}
    for path in listing:lines() do there[#there + 1] = path:match "[^/]+$" end
    listing:close()
    table.sort(there)
    local asked = table.move(order, 1, #order, 1, {})
    table.sort(asked)
    assert.same(there, asked)
  end)

  it("are asked in the order of policies/README.md", function()
    local file = assert(io.open "policies/README.md")
    local told = {}
    for name in file:read("a"):gmatch "\n    policy=policies/([%w_]+%.lua)" do told[#told + 1] = name end
    file:close()
    assert.same(without(anywhere, "auth_http.lua"), told)
  end)

  it("let in whom each of them knows", function()
    local s = server()
    assert.equal("acme", come(s, "ann@acme", "p").tenant)
    local name, password = token(s, {sub = "carl", tenant = "acme", room = "blue"})
    local carl = come(s, name, password)
    assert.same({"carl", "acme", {cc = "DE", room = "blue"}}, {carl.user, carl.tenant, carl.tags})
    local rest = s:now() + 600 .. ":dora"
    local dora = come(s, rest, base64.encode(hash.hmac("sha1", "shared", rest)), {dst = "192.0.2.1:3479"})
    assert.same({"dora", "acme"}, {dora.user, dora.tenant})
    assert.same({}, s.errors)
  end)

  it("merge their limits to the strictest", function()
    local s = server()
    local name, password = token(s, {sub = "carl", tenant = "acme", limits = {max_bps = 100000, max_lifetime = 700}})
    assert.same({4, 2, 100000}, {come(s, "ann@acme", "p").limits.realm_quota, come(s, name, password).limits.user_quota, come(s, name, password).limits.max_bps})
    assert.equal("user_quota", come(s, name, password).reason)
    assert.equal(500000, come(s, "ann@acme", "p").limits.max_bps)
    assert.equal("realm_quota", come(s, token(s, {sub = "eve", tenant = "acme"})).reason)
    assert.equal(2000000, come(s, "bob@beta", "q").limits.max_bps)
  end)

  it("refuse for the reason of the first that refuses, and say who it was", function()
    local s = server()
    local a = come(s, "ann@acme", "p")
    for reason, answer in pairs {
      ["country FR"] = come(s, "ann@acme", "p", {src = "203.0.113.7"}), ["peer in peers.deny"] = s:permission(a, "20.0.0.66"),
      ["peer_not_allowed"] = s:permission(a, "10.0.0.1"), ["unknown tenant"] = come(s, token(s, {sub = "eve", tenant = "gone"})),
    } do
      assert.same({403, reason}, {answer.code, answer.reason})
    end
    assert.equal("unknown tenant", come(s, "mallory", "x").reason)
    s:rewrite("maintenance.json", '{"on": true}')
    s:advance(3)
    local out = come(s, "ann@acme", "p", {src = "203.0.113.7"})
    assert.same({508, "maintenance: no message"}, {out.code, out.reason})
    assert.is_true(s:refresh(a).ok)
    local by = {}
    for _, row in ipairs(s.audit) do by[#by + 1] = row.by:match("^[^:]+") end
    table.sort(by)
    assert.same({"core", "geofence.lua", "maintenance.lua", "peers.lua", "tenants.lua", "tenants.lua"}, by)
    assert.same({}, s.errors)
  end)

  it("ban who tries too often, before anything else is asked", function()
    local s = server {["abuse.strikes"] = 3}
    for _ = 1, 4 do come(s, "ann@acme", "guess", {src = "198.51.101.7"}) end
    assert.equal("anti_abuse.lua", come(s, "ann@acme", "p", {src = "198.51.101.8"}).by:match("^[^:]+"))
    assert.same({"auth_failed", "banned", "auth_failed", "denied"}, {s.audit[3].type, s.audit[4].type, s.audit[5].type, s.audit[6].type})
    assert.is_true(come(s, "ann@acme", "p").ok)
  end)

  it("slow down and cap by what was relayed, each by its own count", function()
    local s = server {["fair.bps"] = 1000, ["fair.window"] = 10, ["audit.refused"] = false}
    local a = come(s, "ann@acme", "p")
    s:permission(a, "20.0.0.9")
    s:traffic(a, 5000)
    s:advance(60)
    assert.equal(500, s:refresh(a).limits.max_bps)
    assert.equal(500, come(s, "ann@acme", "p").limits.max_bps)
    local carl = come(s, token(s, {sub = "carl", tenant = "acme"}))
    s:permission(carl, "20.0.0.9")
    s:traffic(carl, 50000)
    s:advance(60)
    assert.equal("monthly transfer cap reached", come(s, token(s, {sub = "dora", tenant = "acme"})).reason)
    assert.equal("monthly transfer cap reached", s:refresh(carl).reason)
    assert.is_true(come(s, "bob@beta", "q").ok)
    s:stop()
    assert.same({"closed", 50000, "cc=DE"}, {s.audit[3].type, s.audit[3].bytes, s.audit[3].tags})
    assert.same({}, s.errors)
  end)

  it("keep a user in his room, if they are told of rooms", function()
    local s = server(nil, without(order, "auth_http.lua"))
    local function join(user)
      local name = s:now() + 600 .. ":" .. user
      return come(s, name, base64.encode(hash.hmac("sha1", "shared", name)), {dst = "192.0.2.1:3479"})
    end
    local ann, bob, cleo = join "red:ann", join "red:bob", join "blue:cleo"
    assert.is_true(s:channel(ann, bob.relayed, 0x4000).ok)
    assert.equal("not_in_group", s:channel(ann, cleo.relayed, 0x4001).reason)
    assert.same({403, "no room"}, {come(s, "ann@acme", "p").code, come(s, "ann@acme", "p").reason})
    assert.same({}, s.errors)
  end)

  it("have an opinion of a hashed name only if they know it", function()
    local s = server({["auth.url"] = URL}, order)
    local refused = come(s, "eve", "x", {hidden = true})
    assert.same({401, "unknown_user"}, {refused.code, refused.reason})
    assert.same({}, s.errors)
  end)

  it("ask the backend last, where there is one", function()
    local s = server({["auth.url"] = URL}, without(anywhere, "tenants.lua"))
    s.http_stubs[URL] = function(request)
      return {json = {password = "b", user = json.decode(request.body).username, tenant = "acme"}}
    end
    assert.equal("carl", come(s, token(s, {sub = "carl"})).user)
    assert.same({"finn", "acme"}, {come(s, "finn", "b").user, come(s, "finn", "b").tenant})
    assert.same({}, s.errors)
  end)
end)
