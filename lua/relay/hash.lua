-- relay.hash: MD5, SHA-1, SHA-256 and HMAC over them, in plain Lua, for tests and tools that run without the server.
--
--   hash.sha1("abc")                 raw bytes; likewise md5, sha256
--   hash.hmac("sha1", key, text)     RFC 2104
--   hash.hex(bytes)

local M = {}
local MASK <const> = 0xffffffff

local function rotate(x, n) return (x << n | x >> (32 - n)) & MASK end

-- the message with the bit, the zeros and the length that all three algorithms put behind it
local function padded(text, length_format)
  return text .. "\128" .. ("\0"):rep((55 - #text) % 64) .. string.pack(length_format, #text * 8)
end

local md5_shift = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21}
local md5_sine = {}
for i = 0, 63 do md5_sine[i] = math.floor(math.abs(math.sin(i + 1)) * 2 ^ 32) end

local function md5_step(i, b, c, d)
  if i < 16 then return b & c | ~b & d, i end
  if i < 32 then return d & b | ~d & c, (5 * i + 1) % 16 end
  if i < 48 then return b ~ c ~ d, (3 * i + 5) % 16 end
  return c ~ (b | ~d & MASK), 7 * i % 16
end

function M.md5(text) -- RFC 1321
  local message = padded(text, "<I8")
  local a0, b0, c0, d0 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
  for at = 1, #message, 64 do
    local word = {string.unpack("<" .. ("I4"):rep(16), message, at)}
    local a, b, c, d = a0, b0, c0, d0
    for i = 0, 63 do
      local f, k = md5_step(i, b, c, d)
      f = (f + a + md5_sine[i] + word[k + 1]) & MASK
      a, d, c, b = d, c, b, (b + rotate(f, md5_shift[i // 16 * 4 + i % 4 + 1])) & MASK
    end
    a0, b0, c0, d0 = (a0 + a) & MASK, (b0 + b) & MASK, (c0 + c) & MASK, (d0 + d) & MASK
  end
  return string.pack("<I4I4I4I4", a0, b0, c0, d0)
end

local function sha1_step(i, b, c, d)
  if i <= 20 then return b & c | ~b & d, 0x5a827999 end
  if i <= 40 then return b ~ c ~ d, 0x6ed9eba1 end
  if i <= 60 then return b & c | b & d | c & d, 0x8f1bbcdc end
  return b ~ c ~ d, 0xca62c1d6
end

function M.sha1(text) -- FIPS 180-4, section 6.1
  local message = padded(text, ">I8")
  local h0, h1, h2, h3, h4 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
  for at = 1, #message, 64 do
    local w = {string.unpack(">" .. ("I4"):rep(16), message, at)}
    for i = 17, 80 do w[i] = rotate(w[i - 3] ~ w[i - 8] ~ w[i - 14] ~ w[i - 16], 1) end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 1, 80 do
      local f, k = sha1_step(i, b, c, d)
      a, b, c, d, e = (rotate(a, 5) + f + e + k + w[i]) & MASK, a, rotate(b, 30), c, d
    end
    h0, h1, h2, h3, h4 = (h0 + a) & MASK, (h1 + b) & MASK, (h2 + c) & MASK, (h3 + d) & MASK, (h4 + e) & MASK
  end
  return string.pack(">I4I4I4I4I4", h0, h1, h2, h3, h4)
end

-- the first 32 bits of the fractional part of a root of each of the first 64 primes (FIPS 180-4, sections 4.2.2 and 5.3.3)
local function fraction_of_roots(count, exponent)
  local out, candidate = {}, 2
  while #out < count do
    local prime = true
    for divisor = 2, math.floor(candidate ^ 0.5) do
      if candidate % divisor == 0 then prime = false break end
    end
    if prime then out[#out + 1] = math.floor(candidate ^ exponent % 1 * 2 ^ 32) end
    candidate = candidate + 1
  end
  return out
end

local sha256_k, sha256_start = fraction_of_roots(64, 1 / 3), fraction_of_roots(8, 1 / 2)

function M.sha256(text) -- FIPS 180-4, section 6.2
  local message = padded(text, ">I8")
  local hash = {table.unpack(sha256_start)}
  for at = 1, #message, 64 do
    local w = {string.unpack(">" .. ("I4"):rep(16), message, at)}
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = rotate(x, 25) ~ rotate(x, 14) ~ x >> 3
      local s1 = rotate(y, 15) ~ rotate(y, 13) ~ y >> 10
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & MASK
    end
    local a, b, c, d, e, f, g, h = table.unpack(hash)
    for i = 1, 64 do
      local s1 = rotate(e, 26) ~ rotate(e, 21) ~ rotate(e, 7)
      local t1 = h + s1 + (e & f ~ ~e & g) + sha256_k[i] + w[i]
      local s0 = rotate(a, 30) ~ rotate(a, 19) ~ rotate(a, 10)
      local t2 = s0 + (a & b ~ a & c ~ b & c)
      a, b, c, d, e, f, g, h = (t1 + t2) & MASK, a, b, c, (d + t1) & MASK, e, f, g
    end
    for i, x in ipairs {a, b, c, d, e, f, g, h} do hash[i] = (hash[i] + x) & MASK end
  end
  return string.pack(">" .. ("I4"):rep(8), table.unpack(hash))
end

function M.hmac(algorithm, key, text)
  local digest = M[algorithm]
  if #key > 64 then key = digest(key) end
  key = key .. ("\0"):rep(64 - #key)
  local function pad(byte)
    return (key:gsub(".", function(c) return string.char(c:byte() ~ byte) end))
  end
  return digest(pad(0x5c) .. digest(pad(0x36) .. text))
end

function M.hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

return M
