local T = require "relay.testing"
local base64 = require "relay.base64"
local hash = require "relay.hash"
local json = require "relay.json"

local KEY <const> = ("k"):rep(32)
local JWKS <const> = '{"keys": [{"kty": "oct", "kid": "a", "k": "' .. base64.encode_url(KEY) .. '"}]}'

local function server(set, more)
  local given = {policy = "jwt.lua", set = set, secrets = {jwt = {"new", "old"}}, files = {["jwks.json"] = JWKS}, users = {["/ann"] = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function token(claims, key)
  local signed = base64.encode_url '{"alg":"HS256"}' .. "." .. base64.encode_url(json.encode(claims))
  return signed .. "." .. base64.encode_url(hash.hmac("sha256", key or KEY, signed))
end

-- the claims of ann for an hour, with these besides
local function claims_of(s, more)
  local claims = {sub = "ann", aud = "turn", exp = s:now() + 3600}
  for name, value in pairs(more or {}) do claims[name] = value end
  return claims
end

local function login(s, name, secret, more)
  local fields = {username = name, password = base64.encode(hash.hmac("sha256", secret or "new", name))}
  for field, value in pairs(more or {}) do fields[field] = value end
  return s:allocate(fields)
end

describe("jwt.lua", function()
  it("takes a token, and either secret", function()
    local s = server()
    local ann = token(claims_of(s))
    assert.equal("ann", login(s, ann).user)
    assert.equal("ann", login(s, ann, "old").user)
    assert.equal("bad_integrity", login(s, ann, "stolen").reason)
    assert.equal("bad_integrity", s:allocate{username = ann, password = ""}.reason)
  end)

  it("says why it refuses", function()
    local s = server {["jwt.iss"] = "us"}
    for why, claims in pairs {
      ["expired"] = {exp = s:now() - 5}, ["wrong audience"] = {aud = "mail"}, ["wrong issuer"] = {iss = "them"},
      ["the token has no sub"] = {sub = "", iss = "us"}, ["not yet valid"] = {nbf = s:now() + 60},
    } do
      local refused = login(s, token(claims_of(s, claims)))
      assert.same({401, why}, {refused.code, refused.reason})
      assert.matches("^jwt%.lua:%d+$", refused.by)
    end
    assert.equal("bad signature", login(s, token(claims_of(s, {iss = "us"}), ("x"):rep(32))).reason)
    assert.is_true(login(s, token(claims_of(s, {iss = "us"}))).ok)
    assert.same({}, s.errors)
  end)

  it("gives what the claims say", function()
    local s = server()
    local a = login(s, token(claims_of(s, {tenant = "acme", room = "blue", limits = {max_bps = 64000, user_quota = 1, max_lifetime = 900}})))
    assert.same({"ann", "acme", {room = "blue"}}, {a.user, a.tenant, a.tags})
    assert.equal(64000, a.limits.max_bps)
    assert.equal(900, s:refresh(a, {lifetime = 3600}).lifetime)
    assert.equal("user_quota", login(s, token(claims_of(s, {tenant = "acme", limits = {user_quota = 1}}))).reason)
  end)

  it("makes a group of the room, if it is told to", function()
    local s = server {["jwt.room"] = "group"}
    local function player(sub, room, tenant) return login(s, token(claims_of(s, {sub = sub, room = room, tenant = tenant}))) end
    local ann, bob, cleo, dan = player("ann", "red"), player("bob", "red"), player("cleo", "blue"), player("dan", "red", "acme")
    assert.equal("red", ann.group)
    assert.is_true(s:channel(ann, bob.relayed, 0x4000).ok)
    assert.equal("not_in_group", s:channel(ann, cleo.relayed, 0x4001).reason)
    assert.equal("not_in_group", s:channel(ann, dan.relayed, 0x4001).reason)
    assert.equal("not_in_group", s:permission(ann, "20.0.0.9").reason)
    for _, room in ipairs {"", 7} do
      assert.equal("the token has no room", player("eve", room).reason)
    end
    assert.equal("the token has no room", player("eve").reason)
    assert.is_false(pcall(server, {["jwt.room"] = "groups"}))
    assert.is_nil(login(server(), token(claims_of(s, {room = "red"}))).group)
  end)

  it("closes the door for claims that make no sense", function()
    local s = server()
    for _, claims in ipairs {{limits = {max_bps = "fast"}}, {limits = {max_bps = -1}}, {limits = 5}, {room = "a,b"}, {sub = ("x"):rep(129)}} do
      assert.equal(500, login(s, token(claims_of(s, claims))).code)
    end
  end)

  it("lets a call outlive its token, but no new one begin", function()
    local s = server()
    local mine = token(claims_of(s, {exp = s:now() + 300}))
    local a = login(s, mine)
    s:advance(400)
    assert.is_true(s:refresh(a).ok)
    assert.equal("expired", login(s, mine).reason)
  end)

  it("allows for clocks that differ", function()
    local s = server {["jwt.leeway"] = 30}
    assert.is_true(login(s, token(claims_of(s, {exp = s:now() - 29}))).ok)
    assert.equal("expired", login(s, token(claims_of(s, {exp = s:now() - 30}))).reason)
  end)

  it("keeps to the tenant that the client was routed to", function()
    local s = server({}, {
      policy = {"route.lua", "jwt.lua"}, files = {["jwks.json"] = JWKS, ["route.lua"] = [[
        return {route = function(req) if req.sni then return relay.tenant(req.sni, {realm = "relay.test"}) end end}]]},
    })
    local beta = {sni = "beta", transport = "tls"}
    assert.equal("the token is another tenant's", login(s, token(claims_of(s, {tenant = "acme"})), nil, beta).reason)
    assert.equal("beta", login(s, token(claims_of(s, {tenant = "beta"})), nil, beta).tenant)
    assert.equal("beta", login(s, token(claims_of(s)), nil, beta).tenant)
  end)

  it("leaves other names to the next policy, and trusts no token that another policy let in", function()
    local s = server()
    assert.is_true(s:allocate {username = "ann", password = "p"}.ok)
    assert.equal("unknown_user", s:allocate {username = "eyJohn", password = "p"}.reason)
    local careless = server({}, {
      policy = {"all.lua", "jwt.lua"}, files = {["jwks.json"] = JWKS, ["all.lua"] = [[
        return {authenticate = function() return relay.key{user = "x", password = "p"} end}]]},
    })
    local forged = token(claims_of(s, {room = "red"}), ("x"):rep(32))
    assert.same({403, "bad signature"}, {careless:allocate {username = forged, password = "p"}.code, careless:allocate {username = forged, password = "p"}.reason})
  end)

  it("takes new keys while it runs", function()
    local s = server()
    s:rewrite("jwks.json", (JWKS:gsub(base64.encode_url(KEY), (base64.encode_url(("n"):rep(32))))))
    s:advance(3)
    assert.equal("bad signature", login(s, token(claims_of(s))).reason)
    assert.is_true(login(s, token(claims_of(s), ("n"):rep(32))).ok)
  end)

  it("refuses to start without its keys", function()
    local _, why = pcall(server, {["jwt.keys"] = "none.json"})
    assert.matches("^jwt%.lua:%d+: relay%.jwt%.keys: .*none%.json", why)
  end)
end)
