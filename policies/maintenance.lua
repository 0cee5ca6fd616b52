-- maintenance.lua: takes a server out of service without cutting a call: new allocations are refused or sent to a sibling, running ones go on.
--
--   relay --policy policies/maintenance.lua --policy ...
--
-- Reads maintenance.json of the policy directory ({} is enough), again when it changes: within three seconds it counts, and the log says so.
--
--   {"on": true, "message": "kernel update"}                                     from now on
--   {"from": "2030-01-31 22:00", "until": "2030-02-01 00:30"}                    in this window, UTC; either may be left out
--   {"on": true, "redirect": ["198.51.100.9:3478", "[2001:db8::9]:3478"]}        300 to the server of the client's family, 508 if there is none
--   {}   or   {"on": false, ...}                                                 not, or not any more
--
-- Clients are told 508 or 300, the message is in the log. What is written wrongly changes nothing and is an error in the log. Wait until nobody is left:
-- a call lives as long as it is refreshed.

local D = relay.data("maintenance.json")
local MOMENT <const> = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d$"

-- whether the server is out of service at `now`; or nil and what is wrong with the file. Moments are compared as they are written.
local function is_out(now)
  for _, name in ipairs{"from", "until"} do
    local moment = D[name]
    if moment and not tostring(moment):find(MOMENT) then return nil, name .. ': not like "2030-01-31 22:00"' end
  end
  local on = D.on
  if on ~= nil and type(on) ~= "boolean" then return nil, "on: true or false expected" end
  if on == false or on == nil and not (D.from or D["until"]) then return false end
  local moment = os.date("!%Y-%m-%d %H:%M", now)
  return (not D.from or moment >= D.from) and (not D["until"] or moment < D["until"])
end

local function redirect_of(address)
  for _, server in ipairs(type(D.redirect) == "string" and {D.redirect} or D.redirect or {}) do
    if relay.prefix(server, "[") == (address.family == 6) then return relay.redirect{server = server} end
  end
end

local said = false
relay.timer.every(2, function()
  local out, wrong = is_out(os.time())
  local state = wrong or (out and "begins" or "ends")
  if state ~= (said or "ends") then (wrong and relay.log.error or relay.log.warn)("maintenance", {state = state, message = D.message}) end
  said = state
end)

return {
  name = "maintenance",
  authorize = function(req)
    if not is_out(req.now) then return nil end
    local ok, elsewhere = pcall(redirect_of, req.src)
    if ok and elsewhere then return elsewhere end
    if not ok then relay.log.error("maintenance", {redirect = elsewhere}) end
    return relay.deny(508, ("maintenance: %s"):format(tostring(D.message or "no message")):sub(1, 95))
  end,
}
