local T = require "relay.testing"
local mmdb = require "relay.mmdb"

local ranges = {
  ["198.51.100.0/24"] = {country = {iso_code = "DE"}}, ["198.51.101.0/24"] = {country = {iso_code = "FR"}},
  ["2001:db8::/32"] = {country = {iso_code = "NL"}},
}

local function server(set, more)
  local given = {policy = "geofence.lua", set = set, files = {["country.mmdb"] = mmdb.encode(ranges)}, users = {ann = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  return T.new(given)
end

local function from(s, src) return s:allocate {username = "ann", password = "p", src = src} end

describe("geofence.lua", function()
  it("lets in clients of the countries that are named", function()
    local s = server {["geo.countries"] = {"DE", "NL"}}
    assert.equal("DE", from(s, "198.51.100.7:1000").tags.cc)
    assert.equal("NL", from(s, "[2001:db8::7]:1000").tags.cc)
    local refused = from(s, "198.51.101.7:1000")
    assert.same({403, "country FR"}, {refused.code, refused.reason})
    assert.matches("^geofence%.lua:%d+$", refused.by)
  end)

  it("refuses some countries, even if they are named as wanted", function()
    local s = server {["geo.refuse"] = "FR"}
    assert.is_true(from(s, "198.51.100.7:1000").ok)
    assert.equal("country FR", from(s, "198.51.101.7:1000").reason)
    assert.equal(403, from(server {["geo.refuse"] = "FR", ["geo.countries"] = "FR"}, "198.51.101.7:1000").code)
  end)

  it("refuses an address of no country, unless told otherwise", function()
    assert.equal("no country is known of this address", from(server(), "192.0.2.7:1000").reason)
    local a = from(server {["geo.unknown"] = true, ["geo.countries"] = "DE"}, "192.0.2.7:1000")
    assert.same({true, {}}, {a.ok, a.tags})
  end)

  it("permits the peers of some networks", function()
    local s = server {["geo.peers"] = "20.0.0.0/24"}
    local a = from(s, "198.51.100.7:1000")
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    assert.equal("peer not in geo.peers", s:permission(a, "20.0.1.9").reason)
    assert.equal(403, s:channel(a, "20.0.1.10:9", 0x4000).code)
    local open = server()
    assert.is_true(open:permission(from(open, "198.51.100.7:1000"), "20.0.1.9").ok)
  end)

  it("grants no peer that another policy refuses", function()
    local s = server({["geo.peers"] = "20.0.0.0/24", ["peers.deny"] = "20.0.0.66"}, {policy = {"geofence.lua", "peers.lua"}})
    local a = from(s, "198.51.100.7:1000")
    assert.equal("peer in peers.deny", s:permission(a, "20.0.0.66").reason)
    assert.is_true(s:permission(a, "20.0.0.67").ok)
  end)

  it("leaves alone who refreshes from where he was, whatever the file says by now", function()
    local s = server {["geo.countries"] = "DE"}
    local a = from(s, "198.51.100.7:1000")
    s:rewrite("country.mmdb", mmdb.encode {["198.51.100.0/24"] = {country = {iso_code = "FR"}}})
    s:advance(3)
    assert.is_true(s:refresh(a).ok)
    assert.equal("country FR", from(s, "198.51.100.8:1000").reason)
  end)

  it("refuses to start without its file, and for what is no country", function()
    local _, why = pcall(server, {["geo.file"] = "none.mmdb"})
    assert.matches("^geofence%.lua:%d+: relay%.mmdb: .*none%.mmdb", why)
    assert.error_matches(function() server {["geo.countries"] = "DE,fr"} end, "'fr' is no country: two capital letters expected")
  end)
end)
