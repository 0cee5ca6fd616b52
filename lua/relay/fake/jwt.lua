-- relay.fake.jwt: relay.jwt over a fake core: HS256 is verified, for the other algorithms a session says who has signed (T.new{jwt_signature = ...}).

local base64 = require "relay.base64"
local hash = require "relay.hash"
local json = require "relay.json"
local strict = require "relay.fake.strict"

local M = {}
local TOKEN_MAX <const>, LEEWAY_MAX <const>, KEYS_MAX <const>, SECRET_MIN <const>, WORK <const> = 8192, 3600, 64, 32, 5000

local contents = setmetatable({}, {__mode = "k"}) -- of a relay.jwt.keys: a function that returns its list of {algorithm, kid?, secret?}

local algorithm_of = {
  RSA = function(jwk) return jwk.n and jwk.e and "RS256" end,
  EC = function(jwk) return jwk.crv == "P-256" and "ES256" end,
  OKP = function(jwk) return jwk.crv == "Ed25519" and "EdDSA" end,
  oct = function() return "HS256" end,
}

-- what DER says of a public key in PEM
local identifiers = {
  ["\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"] = "RS256", ["\x2a\x86\x48\xce\x3d\x03\x01\x07"] = "ES256", ["\x06\x03\x2b\x65\x70"] = "EdDSA",
}

local function read_set(text)
  local set, why = json.decode(text)
  if set == nil then return nil, why end
  if type(set) ~= "table" or type(set.keys) ~= "table" then return nil, 'a JWK Set expected: {"keys": [...]}' end
  local keys = {}
  for i, jwk in ipairs(set.keys) do
    local find = (jwk.use or "sig") == "sig" and algorithm_of[jwk.kty]
    local algorithm = find and find(jwk)
    if algorithm and (jwk.alg or algorithm) == algorithm then
      local secret = algorithm == "HS256" and base64.decode_url(jwk.k or "") or nil
      if algorithm == "HS256" and #(secret or "") < SECRET_MIN then return nil, ("key %d: a secret of at least 32 bytes expected"):format(i) end
      keys[#keys + 1] = {algorithm = algorithm, kid = jwk.kid, secret = secret}
    end
  end
  return keys
end

local function read_pem(text)
  local keys = {}
  for body in text:gmatch("%-%-%-%-%-BEGIN PUBLIC KEY%-%-%-%-%-(.-)%-%-%-%-%-END") do
    local der = base64.decode((body:gsub("%s", ""))) or ""
    for identifier, algorithm in pairs(identifiers) do
      if der:find(identifier, 1, true) then keys[#keys + 1] = {algorithm = algorithm} end
    end
  end
  return keys
end

local function read(file)
  return function(text)
    local keys, why = (text:find("^%s*{") and read_set or read_pem)(text)
    if keys and (#keys == 0 or #keys > KEYS_MAX) then keys, why = nil, "no key of HS256, RS256, ES256 or EdDSA" end
    if not keys then return nil, ("%s: %s"):format(file, why) end
    return keys
  end
end

local function object(text)
  local value = text and json.decode(text)
  return type(value) == "table" and text:find("^%s*{") and value or nil
end

local function has_signed(core, key, signed, signature)
  if key.secret then return hash.hmac("sha256", key.secret, signed) == signature end
  local judge = core.spec.jwt_signature or error("the fake core verifies HS256 alone: T.new{jwt_signature = function(algorithm, kid, signed, signature) ... end}", 0)
  return judge(key.algorithm, key.kid, signed, signature)
end

-- nil, or why no key that the header chooses has signed
local function refuse_signature(core, keys, header, signed, signature)
  if type(header.alg) ~= "string" or header.kid and type(header.kid) ~= "string" or header.crit then return "malformed token" end
  local why = "algorithm not allowed"
  for _, key in ipairs(keys) do
    if key.algorithm == header.alg then
      if header.kid and key.kid and key.kid ~= header.kid then
        why = why == "bad signature" and why or "unknown key"
      elseif has_signed(core, key, signed, signature) then
        return nil
      else
        why = "bad signature"
      end
    end
  end
  return why
end

local function is_for(aud, audience)
  if not audience or type(aud) ~= "table" then return aud == audience end
  for _, name in ipairs(aud) do
    if name == audience then return true end
  end
  return false
end

local function refuse_claims(claims, demands)
  if type(claims.exp) ~= "number" or claims.nbf and type(claims.nbf) ~= "number" then return "malformed claims" end
  if demands.now >= claims.exp + demands.leeway then return "expired" end
  if claims.nbf and demands.now + demands.leeway < claims.nbf then return "not yet valid" end
  if not is_for(claims.aud, demands.aud) then return "wrong audience" end
  if demands.iss and claims.iss ~= demands.iss then return "wrong issuer" end
end

local function demands_of(core, given)
  strict.only("relay.jwt.verify", given or {}, {"aud", "iss", "leeway", "now"})
  local demands = {now = core.unix_ms() // 1000, leeway = 0}
  for name, value in pairs(given or {}) do demands[name] = value end
  for _, name in ipairs {"now", "leeway"} do
    if type(demands[name]) ~= "number" then error(("relay.jwt.verify: %s: seconds expected"):format(name), 3) end
  end
  if demands.leeway < 0 or demands.leeway > LEEWAY_MAX then error("relay.jwt.verify: leeway: 0 to 3600 seconds expected", 3) end
  return demands
end

local function examine(core, token, keys, demands)
  local signed, header, payload, signature = token:match("^(([^.]*)%.([^.]*))%.([^.]*)$")
  header, payload, signature = object(base64.decode_url(header or ".")), base64.decode_url(payload or "."), base64.decode_url(signature or ".")
  if not header or not payload or not signature then return nil, "malformed token" end
  local why = refuse_signature(core, keys, header, signed, signature)
  if why then return nil, why end
  local claims = object(payload)
  if not claims then return nil, "malformed claims" end
  why = refuse_claims(claims, demands)
  if why then return nil, why end
  claims.exp = math.floor(claims.exp)
  return claims
end

local function verify(core, box, token, keys, given)
  if type(token) ~= "string" then error("relay.jwt.verify: a string expected, got " .. type(token), 2) end
  local get = contents[keys] or error("relay.jwt.verify: a relay.jwt.keys expected", 2)
  local demands = demands_of(core, given)
  if #token > TOKEN_MAX then return nil, "token too long" end
  return box:work(WORK, examine, core, token, get(), demands)
end

-- The library relay.jwt; box(): the sandbox.
function M.new(core, box)
  return strict.library("relay.jwt", {
    keys = function(file)
      if box().loaded then error("relay.jwt.keys: only while the policy loads", 2) end
      local get, why = core.sources:open(file, read(file))
      if not get then error("relay.jwt.keys: " .. why, 2) end
      local keys = setmetatable({}, {__metatable = "relay.jwt.keys", __tostring = function() return "relay.jwt.keys(hidden)" end})
      contents[keys] = get
      return keys
    end,
    verify = function(...)
      local said = strict.checked(function(...) return table.pack(verify(core, box(), ...)) end, ...)
      return table.unpack(said, 1, said.n)
    end,
  })
end

return M
