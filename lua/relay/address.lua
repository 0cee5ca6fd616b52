-- relay.address: IP addresses and sets of address ranges as the server sees them, in plain Lua.
--
--   local a = address.parse("198.51.100.7:5000")     -- or "1.2.3.4", "::1", "[::1]:5"; nil if malformed
--   a.ip  a.port  a.family (4 or 6)  tostring(a)  a:within("198.51.100.0/24")  a:mask(24) --> "198.51.100.0/24"
--   local set = address.set{"10.0.0.0/8", "192.0.2.1-192.0.2.9", "2001:db8::/32"}   -- raises on a malformed range
--   set:contains(a)                                   -- a: an address or its text
--
-- Inside, an address is 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, so that ranges compare as strings.
-- A set judges IPv6 forms that embed an IPv4 address by the address that a packet to them would reach.

local nearest = require "relay.nearest"

local M = {}

local V4 <const> = ("\0"):rep(10) .. "\255\255"

local function parse_v4(text)
  local bytes = {text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")}
  for i, digits in ipairs(bytes) do
    bytes[i] = math.tointeger(digits)
    if bytes[i] > 255 or #digits > 1 and digits:sub(1, 1) == "0" then return nil end
  end
  return #bytes == 4 and string.char(table.unpack(bytes)) or nil
end

-- "1:2:a.b.c.d" as bytes; "" is none
local function parse_groups(text)
  local out = {}
  if text == "" then return "" end
  for group, last in (text .. ":"):gmatch("([^:]*):()") do
    local v4 = last > #text + 1 and parse_v4(group)
    if v4 then
      out[#out + 1] = v4
    elseif group:find("^%x%x?%x?%x?$") then
      out[#out + 1] = string.pack(">I2", tonumber(group, 16))
    else
      return nil
    end
  end
  return table.concat(out)
end

local function parse_v6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  if not head then
    local bytes = parse_groups(text)
    return bytes and #bytes == 16 and bytes or nil
  end
  head, tail = parse_groups(head), parse_groups(tail)
  if not head or not tail or #head + #tail > 14 then return nil end
  return head .. ("\0"):rep(16 - #head - #tail) .. tail
end

-- 16 bytes and the family, or nil
local function parse_ip(text)
  local v4 = parse_v4(text)
  if v4 then return V4 .. v4, 4 end
  local v6 = text:find(":", 1, true) and parse_v6(text)
  if v6 then return v6, 6 end
end

local function format_v6(bytes) -- RFC 5952
  local groups, best, length = {string.unpack(">" .. ("I2"):rep(8), bytes)}, nil, 1
  for i = 1, 8 do
    local n = 0
    while i + n <= 8 and groups[i + n] == 0 do n = n + 1 end
    if n > length then best, length = i, n end
  end
  local text = {}
  for i = 1, 8 do text[i] = ("%x"):format(groups[i]) end
  if not best then return table.concat(text, ":") end
  return table.concat(text, ":", 1, best - 1) .. "::" .. table.concat(text, ":", best + length, 8)
end

local function format_ip(bytes, family)
  if family == 4 then return ("%d.%d.%d.%d"):format(bytes:byte(13, 16)) end
  return format_v6(bytes)
end

-- the 16 bytes with all behind the first `bits` zeroed, or set
local function masked(bytes, bits, fill)
  local out = {}
  for i = 1, 16 do
    local keep = math.max(0, math.min(8, bits - (i - 1) * 8))
    local mask = 0xff << (8 - keep) & 0xff
    out[i] = bytes:byte(i) & mask | (fill and ~mask & 0xff or 0)
  end
  return string.char(table.unpack(out))
end

-- "10.0.0.0/8", "10.0.0.1-10.0.0.9", "192.0.2.1": the first and the last address, 16 bytes each; or nil
local function parse_range(text)
  local net, bits = text:match("^([^/]+)/(%d%d?%d?)$")
  if net then
    local bytes, family = parse_ip(net)
    bits = math.tointeger(bits)
    if not bytes or bits > (family == 4 and 32 or 128) then return nil end
    if family == 4 then bits = bits + 96 end
    return masked(bytes, bits), masked(bytes, bits, true)
  end
  local from, to = text:match("^([^-]+)%-([^-]+)$")
  local first, family = parse_ip(from or text)
  local last, other = parse_ip(to or text)
  if first and last and family == other and first <= last then return first, last end
end

-- where an IPv4 address sits in an IPv6 one: prefix, and the bytes to take. RFC 4291, 6052, 8215, 3056, 4380.
local embedding = {
  {V4, 13}, {"\0\x64\xff\x9b" .. ("\0"):rep(8), 13}, {"\0\x64\xff\x9b\0\1", 13}, {"\x20\x02", 3},
  {"\x20\x01\0\0", 13, complemented = true}, {("\0"):rep(12), 13},
}

-- the 16 bytes of the address that a packet to `bytes` would reach
function M.canonical(bytes)
  if bytes:sub(1, 15) == ("\0"):rep(15) and bytes:byte(16) < 2 then return bytes end -- :: and ::1
  for _, form in ipairs(embedding) do
    local prefix, at = form[1], form[2]
    if bytes:sub(1, #prefix) == prefix then
      local v4 = bytes:sub(at, at + 3)
      if form.complemented then v4 = v4:gsub(".", function(c) return string.char(~c:byte() & 0xff) end) end
      return V4 .. v4
    end
  end
  return bytes
end

local Set = {__name = "relay.cidr", __metatable = "relay.cidr"}
local Address = {__name = "relay.Address", __metatable = "relay.Address"}
local bytes_of = setmetatable({}, {__mode = "k"}) -- an address's 16 bytes

local ranges_of = setmetatable({}, {__mode = "k"})

local function to_bytes(address)
  if bytes_of[address] then return bytes_of[address] end
  local parsed = type(address) == "string" and M.parse(address)
  return parsed and bytes_of[parsed] or error("an address expected, got " .. tostring(address), 3)
end

local function contains(self, address)
  local bytes = M.canonical(to_bytes(address))
  for _, range in ipairs(ranges_of[self]) do
    if bytes >= range[1] and bytes <= range[2] then return true end
  end
  return false
end

function Set:__index(name)
  if name == "contains" then return contains end
  error(("cidr has no method '%s'%s"):format(tostring(name), nearest.hint(name, {"contains"})), 2)
end

-- the 16 bytes of an address or its text; raises
function M.bytes(address) return to_bytes(address) end

function M.is_set(value) return ranges_of[value] ~= nil end

-- one range or a list of them
function M.set(list)
  if type(list) == "string" then list = {list} end
  if type(list) ~= "table" then error("a list of address ranges expected, got " .. type(list), 2) end
  local ranges = {}
  for i, text in ipairs(list) do
    local first, last
    if type(text) == "string" then first, last = parse_range(text) end
    if not first then error(("'%s' is not an address range"):format(tostring(text)), 2) end
    ranges[i] = {first, last}
  end
  local set = setmetatable({}, Set)
  ranges_of[set] = ranges
  return set
end

local methods = {}

function methods.within(address, set)
  if not M.is_set(set) then set = M.set(set) end
  return set:contains(address)
end

function methods.mask(address, bits)
  local skip = address.family == 4 and 96 or 0
  if math.type(bits) ~= "integer" or bits < 0 or bits + skip > 128 then error("prefix length out of range", 2) end
  return format_ip(masked(bytes_of[address], bits + skip), address.family) .. "/" .. bits
end

local fields_of = setmetatable({}, {__mode = "k"})

function Address:__index(name)
  local value = methods[name] or fields_of[self][name]
  if value == nil then
    error(("an address has no field '%s'%s"):format(tostring(name), nearest.hint(name, {"ip", "port", "family", "within", "mask"})), 2)
  end
  return value
end

function Address.__newindex() error("an address is read-only", 2) end

function Address:__tostring()
  local f = fields_of[self]
  if f.port == 0 then return f.ip end
  return (f.family == 6 and "[%s]:%d" or "%s:%d"):format(f.ip, f.port)
end

function Address.__eq(a, b)
  return bytes_of[a] == bytes_of[b] and a.family == b.family and a.port == b.port
end

function M.is_address(value) return bytes_of[value] ~= nil end

function M.parse(text)
  local ip, port = text:match("^%[(.+)%]:(%d+)$")
  if not ip then ip, port = text:match("^([%d.]+):(%d+)$") end
  local bytes, family = parse_ip(ip or text)
  port = math.tointeger(port or "0")
  if not bytes or not port or port > 65535 then return nil end
  local address = setmetatable({}, Address)
  bytes_of[address] = bytes
  fields_of[address] = {ip = format_ip(bytes, family), port = port, family = family}
  return address
end

return M
