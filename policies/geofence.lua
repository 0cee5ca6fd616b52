-- geofence.lua: clients of some countries only, and peers of some networks only.
--
--   relay --policy policies/geofence.lua --set geo.countries=DE,FR,NL --set geo.peers=203.0.113.0/24
--
-- Reads a MaxMind DB with countries of the policy directory (GeoLite2-Country.mmdb, or another of that format), again when it changes. The country
-- is that of the client's address when it allocates, and again when it has moved (mobility). It is a tag of the allocation, `cc`, for the log.
--
--   geo.file       country.mmdb
--   geo.countries  only clients of these; empty: of all         geo.unknown  false  whether an address that is in no country is let in
--   geo.refuse     but not of these                             geo.peers           only these peers; empty: all

local P = relay.params("geo", {
  file = {default = "country.mmdb"}, countries = {default = {}}, refuse = {default = {}}, unknown = {default = false}, peers = {default = {}},
})
for _, list in ipairs{P.countries, P.refuse} do
  for _, cc in ipairs(list) do
    if not cc:find("^%u%u$") then error(("geo: '%s' is no country: two capital letters expected"):format(cc), 0) end
  end
end
local geo = relay.mmdb(P.file)
local wanted, refused, peers = relay.set(P.countries), relay.set(P.refuse), relay.cidr(P.peers)
local FENCED <const>, OPEN <const> = #P.peers > 0, #P.countries == 0
local NOWHERE = relay.deny(403, "no country is known of this address")
local OUTSIDE = relay.deny(403, "peer not in geo.peers")

local denials, grants = {}, {}                    -- by country, each made when it is first needed

-- a denial; or nil and the country, if it is known
local function judge(src)
  local cc = geo:country(src)
  if not cc then return not P.unknown and NOWHERE or nil end
  if not refused[cc] and (OPEN or wanted[cc]) then return nil, cc end
  denials[cc] = denials[cc] or relay.deny(403, "country " .. cc)
  return denials[cc]
end

return {
  name = "geofence",
  authorize = function(req)
    local no, cc = judge(req.src)
    if no or not cc then return no end
    grants[cc] = grants[cc] or relay.allow{tags = {cc = cc}}
    return grants[cc]
  end,
  -- A hook rather than `permission_acl`, whose members would be granted without asking the other policies of a chain.
  permission = function(_, peer)
    if FENCED and not peers:contains(peer) then return OUTSIDE end
  end,
  refresh = function(alloc, req)
    if req.src ~= alloc.src then return (judge(req.src)) end
  end,
}
