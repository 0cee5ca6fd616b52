local T = require "relay.testing"

local function client(set, more)
  local given = {policy = "peers.lua", set = set, users = {ann = "p"}}
  for name, value in pairs(more or {}) do given[name] = value end
  local s = T.new(given)
  return s, s:allocate {username = "ann", password = "p"}, s:allocate {username = "ann", password = "p", family = 6}
end

describe("peers.lua", function()
  it("permits every public peer by default", function()
    local s, a = client()
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    assert.is_true(s:channel(a, "20.0.0.10:9", 0x4000).ok)
  end)

  it("permits only peers.allow, by permission and by channel", function()
    local s, a, six = client {["peers.allow"] = {"20.0.0.0/24", "2a00::/32"}}
    assert.is_true(s:permission(a, "20.0.0.9").ok)
    local refused = s:permission(a, "20.0.1.9")
    assert.equal(403, refused.code)
    assert.equal("peer not in peers.allow", refused.reason)
    assert.matches("^peers%.lua:%d+$", refused.by)
    assert.equal(403, s:channel(a, "20.0.1.10:9", 0x4000).code)
    assert.is_true(s:permission(six, "2a00::9").ok)
    assert.equal(403, s:permission(six, "2a01::9").code)
  end)

  it("refuses peers.deny even inside peers.allow", function()
    local s, a = client {["peers.allow"] = "20.0.0.0/24", ["peers.deny"] = "20.0.0.66,20.0.0.200-20.0.0.210"}
    assert.equal("peer in peers.deny", s:permission(a, "20.0.0.66").reason)
    assert.equal(403, s:permission(a, "20.0.0.205").code)
    assert.is_true(s:permission(a, "20.0.0.67").ok)
  end)

  it("judges an IPv6 spelling by the IPv4 address in it", function()
    local s, _, six = client({["peers.deny"] = "20.0.0.66"}, {allowed_peer_ip = {"64:ff9b::/96", "2002::/16", "20.0.0.0/8"}})
    for _, peer in ipairs {"64:ff9b::20.0.0.66", "2002:1400:42::1"} do
      assert.equal("peer in peers.deny", s:permission(six, peer).reason, peer)
    end
  end)

  it("cannot allow what the core refuses", function()
    local s, a, six = client {["peers.allow"] = {"0.0.0.0/0", "::/0"}}
    for _, peer in ipairs {
      "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254", "203.0.113.1", "224.0.0.1", "255.255.255.255", "0.0.0.0",
    } do
      local refused = s:permission(a, peer)
      assert.equal(403, refused.code, peer)
      assert.equal("core", refused.by, peer)
    end
    for _, peer in ipairs {"::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:a00:1::1"} do
      assert.equal(403, s:permission(six, peer).code, peer)
    end
  end)

  it("is asked after the core's own lists", function()
    local s, a = client({["peers.allow"] = "10.0.0.0/8,20.0.0.0/8"}, {allowed_peer_ip = "10.9.0.0/16", denied_peer_ip = {"20.0.0.0/24"}})
    assert.is_true(s:permission(a, "10.9.0.1").ok)
    assert.equal("core", s:permission(a, "10.8.0.1").by)
    assert.equal("core", s:permission(a, "20.0.0.1").by)
    assert.is_true(s:permission(a, "20.0.1.1").ok)
  end)

  it("refuses to start with a malformed range", function()
    local _, why = pcall(client, {["peers.allow"] = "20.0.0.0/33"})
    assert.matches("^peers%.lua:%d+: '20%.0%.0%.0/33' is not an address range", why)
  end)
end)
