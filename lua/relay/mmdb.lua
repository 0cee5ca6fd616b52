-- relay.mmdb: MaxMind DB files (format 2.0) in plain Lua: small ones written for specs, and read by the fake core.
--
--   mmdb.encode{["198.51.100.0/24"] = {country = {iso_code = "DE"}}}     the bytes of a file
--   mmdb.open(bytes)                                                    a function of an address: what is known of it, or nil

local address = require "relay.address"

local M = {}
local MARKER <const>, SEPARATOR <const>, RECORD_BITS <const> = "\xab\xcd\xefMaxMind.com", ("\0"):rep(16), 24
local POINTER <const>, TEXT <const>, DOUBLE <const>, UINT16 <const>, UINT32 <const>, MAP <const> = 1, 2, 3, 5, 6, 7
local MAPPED <const> = ("\0"):rep(10) .. "\xff\xff"
local INT32 <const>, UINT64 <const>, ARRAY <const>, BOOLEAN <const>, FLOAT <const> = 8, 9, 11, 14, 15

-- ---- writing ----

local function head(kind, size)
  local extended = kind > 7 and string.char(kind - 7) or ""
  local bits = kind > 7 and 0 or kind << 5
  if size < 29 then return string.char(bits | size) .. extended end
  if size < 285 then return string.char(bits | 29) .. extended .. string.char(size - 29) end
  return string.char(bits | 30) .. extended .. string.pack(">I2", size - 285)
end

local encode_value

local function encode_table(value)
  local out = {}
  if #value > 0 then
    for i, item in ipairs(value) do out[i] = encode_value(item) end
    return head(ARRAY, #value) .. table.concat(out)
  end
  for name, item in pairs(value) do out[#out + 1] = head(TEXT, #name) .. name .. encode_value(item) end
  table.sort(out)
  return head(MAP, #out) .. table.concat(out)
end

function encode_value(value)
  if type(value) == "table" then return encode_table(value) end
  if type(value) == "string" then return head(TEXT, #value) .. value end
  if type(value) == "boolean" then return head(BOOLEAN, value and 1 or 0) end
  if math.type(value) == "float" then return head(DOUBLE, 8) .. string.pack(">d", value) end
  if value < 0 then return head(INT32, 4) .. string.pack(">i4", value) end
  return value < 1 << 32 and head(UINT32, 4) .. string.pack(">I4", value) or head(UINT64, 8) .. string.pack(">I8", value)
end

-- The description of the file: readers insist on the types of its numbers.
local function encode_metadata(node_count)
  local numbers = {
    {"binary_format_major_version", UINT16, 2}, {"binary_format_minor_version", UINT16, 0}, {"build_epoch", UINT64, 1700000000},
    {"ip_version", UINT16, 6}, {"node_count", UINT32, node_count}, {"record_size", UINT16, RECORD_BITS},
  }
  local sizes, out = {[UINT16] = 2, [UINT32] = 4, [UINT64] = 8}, {}
  local function add(name, encoded) out[#out + 1] = encode_value(name) .. encoded end
  for _, number in ipairs(numbers) do
    local size = sizes[number[2]]
    add(number[1], head(number[2], size) .. string.pack(">I" .. size, number[3]))
  end
  add("database_type", encode_value("of a test"))
  add("languages", encode_value({"en"}))
  add("description", encode_value({en = "of a test"}))
  return head(MAP, #out) .. table.concat(out)
end

-- the 128 bits of 16 bytes in a tree of IPv6, where IPv4 is ::/96
local function bits_of(bytes)
  local out = {}
  if bytes:sub(1, #MAPPED) == MAPPED then bytes = ("\0"):rep(#MAPPED) .. bytes:sub(#MAPPED + 1) end
  for _, byte in ipairs {bytes:byte(1, -1)} do
    for shift = 7, 0, -1 do out[#out + 1] = byte >> shift & 1 end
  end
  return out
end

-- {bits, length, value} of every range, shorter prefixes first: longer ones are put into them
local function prefixes(ranges)
  local out = {}
  for range, value in pairs(ranges) do
    local ip, length = range:match("^(.-)/(%d+)$")
    local before = range:find(":", 1, true) and 0 or 96
    out[#out + 1] = {bits = bits_of(address.bytes(ip or range)), length = length and before + math.tointeger(length) or 128, value = value}
  end
  table.sort(out, function(a, b) return a.length < b.length end)
  return out
end

local function put(tree, prefix)
  local node = tree
  for i = 1, prefix.length - 1 do
    local side = prefix.bits[i]
    local below = node[side]
    if not below or below.leaf then
      below = {[0] = below, [1] = below}
      node[side] = below
    end
    node = below
  end
  node[prefix.bits[prefix.length]] = {leaf = prefix.value}
end

-- The bytes of a file with these ranges.
function M.encode(ranges)
  local tree, nodes, data, size = {}, {}, {}, 0
  for _, prefix in ipairs(prefixes(ranges)) do put(tree, prefix) end
  local function number(node)
    node.number, nodes[#nodes + 1] = #nodes, node
    for side = 0, 1 do
      if node[side] and not node[side].leaf then number(node[side]) end
    end
  end
  number(tree)
  local function record(child)
    if not child then return #nodes end
    if not child.leaf then return child.number end
    local text, at = encode_value(child.leaf), size
    data[#data + 1], size = text, size + #text
    return #nodes + #SEPARATOR + at
  end
  local out = {}
  for i, node in ipairs(nodes) do out[i] = string.pack(">I3I3", record(node[0]), record(node[1])) end
  return table.concat(out) .. SEPARATOR .. table.concat(data) .. MARKER .. encode_metadata(#nodes)
end

-- ---- reading ----

local number_formats = {[DOUBLE] = ">d", [FLOAT] = ">f", [INT32] = ">i"}

-- decode(text, at): the value at `at` (from 1) and where the next one begins; pointers count from `base`
local function decode(text, base, at)
  local control = text:byte(at)
  local kind, size = control >> 5, control & 31
  at = at + 1
  if kind == POINTER then
    local length = (size >> 3) + 1
    local bytes = text:sub(at, at + length - 1)
    local offset = string.unpack(">I" .. length, bytes) + (length < 4 and (size & 7) << 8 * length or 0)
    return (decode(text, base, base + offset + ({0, 2048, 526336, 0})[length])), at + length
  end
  if kind == 0 then kind, at = text:byte(at) + 7, at + 1 end
  if size == 29 then size, at = 29 + text:byte(at), at + 1
  elseif size == 30 then size, at = 285 + string.unpack(">I2", text, at), at + 2
  elseif size == 31 then size, at = 65821 + string.unpack(">I3", text, at), at + 3 end
  if kind == BOOLEAN then return size == 1, at end
  if kind ~= MAP and kind ~= ARRAY then
    local bytes = text:sub(at, at + size - 1)
    if kind == UINT16 or kind == UINT32 or kind == UINT64 then bytes = size == 0 and 0 or string.unpack(">I" .. size, bytes)
    elseif number_formats[kind] then bytes = size == 0 and 0 or string.unpack(number_formats[kind] .. (kind == INT32 and size or ""), bytes) end
    return bytes, at + size
  end
  local out, name = {}, nil
  for i = 1, size do
    if kind == MAP then name, at = decode(text, base, at) else name = i end
    out[name], at = decode(text, base, at)
  end
  return out, at
end

-- the record of a node on one side
local function record(text, size, node, side)
  local at = node * size // 4 + 1
  if size ~= 28 then return (string.unpack(">I" .. size // 8, text, at + side * size // 8)) end
  local middle = text:byte(at + 3)
  return side == 0 and (middle >> 4) << 24 | string.unpack(">I3", text, at) or (middle & 15) << 24 | string.unpack(">I3", text, at + 4)
end

-- A function of an address, or its text, as the server looks it up; or nil and why not.
function M.open(text)
  local from = text:match(".*()" .. MARKER:gsub("%p", "%%%0"))
  if not from then return nil, "The MaxMind DB file contains invalid metadata" end
  local meta = decode(text, from + #MARKER, from + #MARKER)
  local data = meta.node_count * meta.record_size // 4 + #SEPARATOR + 1
  return function(asked)
    local node = 0
    for _, bit in ipairs(bits_of(address.canonical(address.bytes(asked)))) do
      node = record(text, meta.record_size, node, bit)
      if node >= meta.node_count then break end
    end
    if node <= meta.node_count then return nil end
    return (decode(text, data, data + node - meta.node_count - #SEPARATOR))
  end
end

return M
