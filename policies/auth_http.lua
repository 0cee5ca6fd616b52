-- auth_http.lua: users whom a backend knows, asked over HTTP.
--
--   relay --policy auth_http.lua --set auth.url=https://auth.example.org/turn --policy-http https://auth.example.org/turn
--
-- The backend is posted {"username", "realm", "tenant", "ip"} and answers 200 with {"ha1"} (MD5 of username:realm:password, 32 digits) or
-- {"password"}, and perhaps "user" (whom quotas count), "tenant", "expires" (unix seconds); or 404: there is no such user. Anything else is
-- an outage: 500, never 401. Answers are kept for `auth.ttl` seconds (a changed password counts after that), and that there is nobody for five:
-- who guesses names costs nothing. Every name is asked about: in a chain this policy comes behind those that know some names themselves.
--
--   auth.url      where to ask; needed
--   auth.timeout  seconds until an answer must be there (1.5)
--   auth.ttl      seconds that an answer is good for (60)

local P = relay.params("auth", {
  url = {required = true}, timeout = {default = 1.5, min = 0.1, max = 3}, ttl = {default = 60, min = 1, max = 86400},
})
local NOBODY_TTL <const> = 5
local cache = relay.shared("auth.cache", {max_entries = 200000, evict = "lru"})
local NOBODY = relay.deny(401, "unknown_user")

-- what the backend says of the name, which `key` says in full: the text of its answer, or "-"; or nil and why it is out of order
local function ask(req, key)
  local res, why = relay.http.post(P.url, {
    timeout = P.timeout, single_flight = key,
    json = {username = req.username, realm = req.realm, tenant = req.tenant, ip = req.src.ip},
  })
  if not res then return nil, why end
  if res.status == 404 then return "-" end
  if res.status ~= 200 then return nil, "answers " .. res.status end
  local user = res:json()
  if type(user) ~= "table" or not (user.ha1 or user.password) then return nil, "answers neither ha1 nor password" end
  return res.body
end

local function fetch(req, key)
  local text, why = ask(req, key)
  if not text then return nil, why end
  cache:set(key, text, text == "-" and NOBODY_TTL or P.ttl)
  return text
end

return {
  name = "auth_http",
  authenticate = function(req)
    if not req.username then return nil end
    local key = (req.tenant or "") .. "\n" .. req.realm .. "\n" .. req.username
    local text, why = cache:get(key)
    if not text then text, why = fetch(req, key) end
    if not text then return relay.fail("backend: " .. why) end
    if text == "-" then return NOBODY end
    local user = relay.json.decode(text)
    return relay.key{user = user.user or req.username, tenant = user.tenant, ha1 = user.ha1, password = user.password, expires = user.expires}
  end,
}
