-- relay.base64: the standard alphabet with padding, and that of tokens without (RFC 4648 sections 4 and 5).

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local value = {}
for i = 1, 64 do value[alphabet:byte(i)] = i - 1 end

local M = {}

function M.encode(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local digit = (n >> shift & 63) + 1
      out[#out + 1] = alphabet:sub(digit, digit)
    end
    if not c then out[#out] = "=" end
    if not b then out[#out - 1] = "=" end
  end
  return table.concat(out)
end

-- nil for anything that encode does not write
function M.decode(text)
  local body, padding = text:match("^([%w+/]*)(=?=?)$")
  if not body or #text % 4 ~= 0 then return nil end
  local out, n, bits = {}, 0, 0
  for i = 1, #body do
    n, bits = n << 6 | value[body:byte(i)], bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(n >> bits & 255)
      n = n & ((1 << bits) - 1)
    end
  end
  if n ~= 0 or #padding > 2 then return nil end
  return table.concat(out)
end

function M.encode_url(bytes) return (M.encode(bytes):gsub("[+/=]", {["+"] = "-", ["/"] = "_", ["="] = ""})) end

function M.decode_url(text)
  if text:find("[^%w_-]") then return nil end
  return M.decode(text:gsub("[_-]", {["-"] = "+", ["_"] = "/"}) .. ("="):rep(-#text % 4))
end

return M
