-- jwt.lua: users who come with a token (JWT) that a backend of yours has signed; nothing is asked while they log in.
--
--   username  the token itself, in compact form. Keep it short: clients and RFC 8489 stop at 508 bytes. EdDSA, ES256 and HS256 leave room
--             for claims, RS256 hardly does
--   password  base64(HMAC-SHA256(secret, username)): the backend that makes the token makes it too. It is needed because a username is not secret
--             on the wire: whoever overhears the token must not be able to use it
--
--   relay --policy policies/jwt.lua --secret jwt=/run/secrets/turn-jwt
--
-- Reads jwks.json of the policy directory, again when it changes; the secret too.
--
-- Claims: `exp`, `sub` (whom quotas count), `aud`; perhaps `tenant`, `room`, and `limits`: {"max_bps", "user_quota", "max_lifetime", ...},
-- numbers that relay.allow takes. `room` becomes a tag of the allocation, for the log; with jwt.room=group also its group: players reach the
-- players of their own room and nothing else, as with room.lua, and a token without a room is refused. A name of another form is left to the next policy: in a
-- chain with auth_http.lua or tenants.lua, which answer for every name, this one comes first.
--
--   jwt.keys     jwks.json  a JWK Set, or public keys in PEM          jwt.aud   turn   what `aud` must name
--   jwt.iss                 what `iss` must be; empty: anything       jwt.leeway  5    seconds that clocks may differ
--   jwt.room     tag        or group: what the claim `room` makes

local P = relay.params("jwt", {
  keys = {default = "jwks.json"}, aud = {default = "turn"}, iss = {default = ""}, leeway = {default = 5, min = 0, max = 300},
  room = {default = "tag"},
})
if P.room ~= "tag" and P.room ~= "group" then error("jwt.room: 'tag' or 'group' expected, got '" .. P.room .. "'", 0) end
local keys, secrets = relay.jwt.keys(P.keys), relay.secret("jwt")
local NOBODY  = relay.deny(401, "the token has no sub")
local HOMELESS = relay.deny(403, "the token has no room")
local FOREIGN = relay.deny(401, "the token is another tenant's")
local LIMITS <const> = {"total_quota", "realm_quota", "user_quota", "max_lifetime", "max_bps", "max_permissions", "max_channels", "max_pps", "max_user_bps", "max_new_peers"}

local function is_token(name) return name and relay.prefix(name, "eyJ") and name:find(".", 1, true) end

local function claims_of(req)
  return relay.jwt.verify(req.username, keys, {aud = P.aud, iss = P.iss ~= "" and P.iss or nil, leeway = P.leeway, now = req.now})
end

return {
  name = "jwt",
  authenticate = function(req)
    if not is_token(req.username) then return nil end
    local claims, why = claims_of(req)
    if not claims then return relay.deny(401, why) end
    if type(claims.sub) ~= "string" or claims.sub == "" then return NOBODY end
    if req.tenant and claims.tenant and claims.tenant ~= req.tenant then return FOREIGN end
    return relay.key{
      user = claims.sub, tenant = claims.tenant or req.tenant, expires = claims.exp + P.leeway,
      passwords = secrets:hmac_b64("sha256", req.username),
    }
  end,
  authorize = function(req)                       -- verified again: another policy of the chain may have let this name in
    if not is_token(req.username) then return nil end
    local claims, why = claims_of(req)
    if not claims then return relay.deny(403, why) end
    local given, limits = claims.limits or {}, {tags = claims.room and {room = claims.room}}
    if P.room == "group" then
      if type(claims.room) ~= "string" or claims.room == "" then return HOMELESS end
      limits.group = claims.room
    end
    for _, name in ipairs(LIMITS) do limits[name] = given[name] end
    return relay.allow(limits)
  end,
}
