local T = require "relay.testing"
local base64 = require "relay.base64"
local hash = require "relay.hash"
local mmdb = require "relay.mmdb"

-- the examples of RFC 7515, appendices A.1 to A.3: three signatures of the same claims, which end in 2011
local CLAIMS <const> = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local ISSUED <const> = 1300819000
local RSA <const> = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1"
  .. "W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQ"
  .. "Y4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
local keys = {
  HS256 = '{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}',
  RS256 = '{"kty": "RSA", "e": "AQAB", "kid": "r", "n": "' .. RSA .. '"}',
  ES256 = '{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}',
}
local tokens = {
  HS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. CLAIMS .. ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
  RS256 = "eyJhbGciOiJSUzI1NiJ9." .. CLAIMS .. "."
    .. "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcA"
    .. "cQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHW"
    .. "EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
  ES256 = "eyJhbGciOiJFUzI1NiJ9." .. CLAIMS
    .. ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
}
local SECRET <const> = ("k"):rep(32)
local OCT <const> = '{"kty": "oct", "kid": "a", "k": "' .. base64.encode_url(SECRET) .. '"}'

-- a token of ours, under HS256 unless the header says otherwise
local function token(claims, header, secret)
  local signed = base64.encode_url(header or '{"alg":"HS256"}') .. "." .. base64.encode_url(claims)
  return signed .. "." .. base64.encode_url(hash.hmac("sha256", secret or SECRET, signed))
end

-- what verify says of a token: the value of `shown` in the claims, or why not
local function said(key_set, text, demands, shown, more)
  local given = {
    policy = "p.lua", jwt_signature = function() return true end,
    files = {["k.json"] = '{"keys": [' .. key_set .. "]}", ["p.lua"] = ([[
      local claims, why = relay.jwt.verify(%q, relay.jwt.keys("k.json"), %s)
      relay.log.info(tostring(claims and claims[%q] or why))
      return {}]]):format(text, demands or "{now = 1700000000}", shown or "sub")},
  }
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given).log[1].message
end

describe("relay.jwt", function()
  it("verifies the examples of the standard with the key that fits", function()
    local all = keys.HS256 .. "," .. keys.RS256 .. "," .. keys.ES256
    for _, text in pairs(tokens) do
      assert.equal("joe", said(all, text, ("{now = %d}"):format(ISSUED), "iss"))
      assert.equal("expired", said(all, text, "{now = 1300819380}"))
      assert.equal("joe", said(all, text, "{now = 1300819380, leeway = 1}", "iss"))
    end
    assert.equal("1300819380", said(all, tokens.ES256, ("{now = %d}"):format(ISSUED), "exp"))
  end)

  it("lets the key decide what verifies it", function()
    assert.equal("algorithm not allowed", said(keys.RS256, token('{"exp":2000000000}', '{"alg":"none"}')))
    assert.equal("algorithm not allowed", said(keys.RS256, token('{"exp":2000000000}', nil, RSA)))
    assert.equal("algorithm not allowed", said(keys.ES256, tokens.RS256))
    assert.equal("algorithm not allowed", said(OCT, token('{"exp":2000000000}', '{"alg":"hs256"}')))
    assert.equal("malformed token", said(OCT, token('{"exp":2000000000}', '{"alg":"HS256","crit":["b64"],"b64":false}')))
    assert.equal("malformed token", said(OCT, token('{"exp":2000000000}', '{"typ":"JWT"}')))
  end)

  it("takes the key that the token names", function()
    local other = '{"kty": "oct", "kid": "b", "k": "' .. base64.encode_url(("o"):rep(32)) .. '"}'
    local claims = '{"sub":"ann","exp":2000000000}'
    assert.equal("ann", said(other .. "," .. OCT, token(claims)))
    assert.equal("ann", said(other .. "," .. OCT, token(claims, '{"alg":"HS256","kid":"a"}')))
    assert.equal("bad signature", said(other .. "," .. OCT, token(claims, '{"alg":"HS256","kid":"b"}')))
    assert.equal("unknown key", said(other .. "," .. OCT, token(claims, '{"alg":"HS256","kid":"c"}')))
    assert.equal("malformed token", said(OCT, token(claims, '{"alg":"HS256","kid":5}')))
    assert.equal("ann", said(OCT .. ',{"kty":"oct","use":"enc","k":"x"},{"kty":"new"},{"kty":"RSA","alg":"PS256"}', token(claims)))
  end)

  it("insists on times, audience and issuer", function()
    local function of(claims, demands) return said(OCT, token(claims), demands) end
    assert.equal("malformed claims", of '{"sub":"ann"}')
    assert.equal("malformed claims", of '{"sub":"ann","exp":"2000000000"}')
    assert.equal("malformed claims", of '["exp"]')
    assert.equal("not yet valid", of '{"sub":"ann","exp":2000000000,"nbf":1700000001}')
    assert.equal("ann", of('{"sub":"ann","exp":2000000000,"nbf":1700000001}', "{now = 1700000000, leeway = 1}"))
    assert.equal("wrong audience", of '{"sub":"ann","exp":2000000000,"aud":"turn"}')
    assert.equal("wrong audience", of('{"sub":"ann","exp":2000000000}', '{aud = "turn", now = 1700000000}'))
    assert.equal("wrong audience", of('{"sub":"ann","exp":2000000000,"aud":["x","turns"]}', '{aud = "turn", now = 1700000000}'))
    assert.equal("ann", of('{"sub":"ann","exp":2000000000,"aud":["x","turn"]}', '{aud = "turn", now = 1700000000}'))
    assert.equal("ann", of('{"sub":"ann","exp":2000000000,"aud":"turn","iss":"us"}', '{aud = "turn", iss = "us", now = 1700000000}'))
    assert.equal("wrong issuer", of('{"sub":"ann","exp":2000000000}', '{iss = "us", now = 1700000000}'))
    assert.equal("ann", of('{"sub":"ann","exp":1700000001}', "nil")) -- now is that of the server
  end)

  it("reads any text without harm", function()
    local good = token '{"sub":"ann","exp":2000000000}'
    for _, bad in ipairs {"", ".", "..", "...", good .. ".x", good .. "=", good:gsub("%.", "!"), "a.b.c"} do
      assert.equal("malformed token", said(OCT, bad), bad)
    end
    assert.equal("bad signature", said(OCT, good:sub(1, -44)))
    assert.equal("bad signature", said(OCT, token('{"sub":"ann","exp":2000000000}', nil, ("x"):rep(32))))
    assert.equal("token too long", said(OCT, ("a"):rep(8193)))
    assert.error_matches(function() said("", good) end, "no key of HS256")
    assert.error_matches(function() said('{"kty": "oct", "k": "c2hvcnQ"}', good) end, "at least 32 bytes")
    assert.error_matches(function() said(OCT, good, "{audience = 'x'}") end, "unknown field 'audience'")
  end)

  it("takes new keys without a restart", function()
    local s = T.new {policy = "p.lua", files = {["k.json"] = '{"keys": [' .. keys.HS256 .. "]}", ["p.lua"] = [[
      local keys = relay.jwt.keys("k.json")
      return {authenticate = function(req)
        local claims, why = relay.jwt.verify(req.username, keys)
        if not claims then return relay.deny(401, why) end
        return relay.key{user = claims.sub, expires = claims.exp, password = "p"}
      end}]]}}
    local ann = token '{"sub":"ann","exp":2000000000.5}'
    assert.equal("bad signature", s:allocate {username = ann, password = "p"}.reason)
    s:rewrite("k.json", '{"keys": [' .. OCT .. "]}")
    s:advance(3)
    assert.equal("ann", s:allocate {username = ann, password = "p"}.user)
  end)
end)

describe("relay.mmdb", function()
  local ranges = {
    ["198.51.100.0/24"] = {country = {iso_code = "DE"}, asn = 64500, cities = {"Berlin", "Bonn"}, vpn = true, location = {latitude = 52.5}},
    ["198.51.100.128/25"] = {registered_country = {iso_code = "FR"}}, ["2001:db8::/32"] = {country = {iso_code = "NL"}},
  }
  local function ask(body, more)
    local given = {policy = "p.lua", files = {["g.mmdb"] = mmdb.encode(ranges), ["p.lua"] = [[
      local geo = relay.mmdb("g.mmdb")
      relay.log.info(tostring((function() ]] .. body .. [[ end)()))
      return {}]]}}
    for name, value in pairs(more or {}) do given[name] = value end
    return T.new(given).log[1].message
  end

  it("knows the country of an address", function()
    for ip, country in pairs {
      ["198.51.100.7"] = "DE", ["198.51.100.200"] = "FR", ["2001:db8::1"] = "NL", ["203.0.113.1"] = "nil", ["64:ff9b::c633:6407"] = "DE",
    } do
      assert.equal(country, ask(("return geo:country(%q)"):format(ip)), ip)
    end
  end)

  it("reads what else is there", function()
    assert.equal("64500", ask 'return geo:get("198.51.100.7", "asn")')
    assert.equal("Bonn", ask 'return geo:get("198.51.100.7", "cities", 2)')
    assert.equal("true", ask 'return geo:get("198.51.100.7", "vpn")')
    assert.equal("52.5", ask 'return geo:get("198.51.100.7", "location", "latitude")')
    for _, nothing in ipairs {'"location"', '"none"', '"asn", "x"', '"cities", 3'} do
      assert.equal("nil", ask(('return geo:get("198.51.100.7", %s)'):format(nothing)), nothing)
    end
  end)

  it("refuses to start without the file, and follows it", function()
    assert.error_matches(function() ask("", {files = {["p.lua"] = 'relay.mmdb("none.mmdb") return {}'}}) end, "none.mmdb")
    assert.error_matches(function() ask("", {files = {["g.mmdb"] = "nonsense", ["p.lua"] = 'relay.mmdb("g.mmdb") return {}'}}) end, "g.mmdb")
    local s = T.new {policy = "p.lua", users = {ann = "p"}, files = {["g.mmdb"] = mmdb.encode(ranges), ["p.lua"] = [[
      local geo = relay.mmdb("g.mmdb")
      return {authorize = function(req) if geo:country(req.src) ~= "DE" then return relay.deny(403, "country") end end}]]}}
    local function try(src) return s:allocate {username = "ann", password = "p", src = src}.code end
    assert.same({0, 403}, {try "198.51.100.7:5000", try "203.0.113.7:5000"})
    s:rewrite("g.mmdb", mmdb.encode {["203.0.113.0/24"] = {country = {iso_code = "DE"}}})
    s:advance(3)
    assert.same({403, 0}, {try "198.51.100.8:5000", try "203.0.113.8:5000"})
  end)
end)
