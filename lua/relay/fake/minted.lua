-- relay.fake.minted: the username of a minted credential, as core/wire/minted.h has it, and its password.

local base64 = require "relay.base64"
local hash = require "relay.hash"

local M = {}

local function encode(text, marks)
  return (text:gsub("[:%% \x80-\xff" .. marks .. "]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local field_names <const> = {room = "room", bps = "max_bps", n = "max_allocations"}

-- what a username says: {expires, tenant, key, tag?, credential, room?, max_bps? max_allocations?}; nil if it is of another form
function M.parse(username)
  local expires, tenant, key, tag, credential, fields = username:match("^(%d+):t([^:.]+)%.([^:.]+):([^:]*):([^:]+)(.*)$")
  if not expires then return nil end
  local minted = {expires = tonumber(expires), tenant = decode(tenant), key = decode(key), tag = tag ~= "" and decode(tag) or nil, credential = decode(credential)}
  for name, value in fields:gmatch(":([^:=]+)=([^:]+)") do
    if field_names[name] then minted[field_names[name]] = name == "room" and decode(value) or tonumber(value) end
  end
  return minted
end

-- the password of a username under a master secret
function M.password(secret, username)
  local minted = M.parse(username)
  local key = hash.hex(hash.hmac("sha256", secret, minted.tenant .. "\0" .. minted.key))
  return base64.encode(hash.hmac("sha1", key, username))
end

-- the username that says what is in `minted`
function M.username(minted)
  local parts = {
    ("%d:t%s.%s"):format(minted.expires, encode(minted.tenant, "."), encode(minted.key or "k1", ".")), encode(minted.tag or "", ""),
    encode(minted.credential or "c1", ""),
  }
  if minted.room then parts[#parts + 1] = "room=" .. encode(minted.room, "") end
  if minted.max_bps then parts[#parts + 1] = ("bps=%d"):format(minted.max_bps) end
  if minted.max_allocations then parts[#parts + 1] = ("n=%d"):format(minted.max_allocations) end
  return table.concat(parts, ":")
end

-- as tags of an allocation; those of the policies stand before them
function M.tags(minted, given)
  local tags = {tag = minted.tag, room = minted.room, credential = minted.credential, key = minted.key}
  for name, value in pairs(given or {}) do tags[name] = value end
  return tags
end

return M
