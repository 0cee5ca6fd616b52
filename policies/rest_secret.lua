-- rest_secret.lua: short-lived credentials that a web application makes from a shared secret, without asking the server.
--
--   relay --policy policies/rest_secret.lua --secret rest=/run/secrets/turn
--
--   username  "<unix expiry>:<user>", or the expiry alone
--   password  base64(HMAC-SHA1(secret, username))
--
--   rest.skew       0     seconds that a credential is taken after its expiry, for clocks that differ
--   rest.max_ttl    86400 seconds that an expiry may lie ahead: whoever knows the secret for a day does not own the server for a year
--
-- The file of the secret may have several lines, newest first: the core tries each, so that a secret can be changed without a moment in which
-- credentials fail; it is read again when it changes. A running call outlives its credential; a new allocation needs a new one.

local P       = relay.params("rest", {skew = {default = 0, min = 0, max = 300}, max_ttl = {default = 86400, min = 60}})
local secrets = relay.secret("rest")
local EXPIRED = relay.deny(401, "expired")
local FAR     = relay.deny(401, "expires too far ahead")
local OLDEST  = 1000000000                                 -- smaller numbers are names of users, not times
local MINTED  = "^%d+:t[^:.]+%.[^:.]+:[^:]*:[^:]"         -- a minted credential's name: mint-secret-file verifies it

return {
  name = "rest_secret",
  authenticate = function(req)
    if not req.username or req.username:find(MINTED) then return nil end
    local time, user = relay.split(req.username, ":")
    local expiry = time:find("^%d+$") and math.tointeger(time)
    if not expiry or expiry < OLDEST or user == "" then return nil end   -- not ours: next policy, or the users database
    if expiry + P.skew <= req.now then return EXPIRED end
    if expiry > req.now + P.max_ttl then return FAR end
    return relay.key{
      user = user or req.username, tenant = req.tenant, expires = expiry + P.skew, passwords = secrets:hmac_b64("sha1", req.username),
    }
  end,
}
