-- relay.spec.lines: which lines of a Lua text can run, read from what Lua 5.4 compiles it to.
--
--   lines.of(text)  --> {[3] = true, [7] = true}; or nil and why

local M = {}
local HEADER <const> = "\x1bLua\x54\0\x19\x93\r\n\x1a\n"
local ABSOLUTE <const> = -0x80 -- a difference of lines that does not fit into a byte

-- integers of any length: seven bits a byte, the last one marked
local function varint(code, at)
  local n = 0
  while true do
    local byte = code:byte(at)
    n, at = n << 7 | byte & 0x7f, at + 1
    if byte & 0x80 ~= 0 then return n, at end
  end
end

local function skip_string(code, at)
  local size
  size, at = varint(code, at)
  return size > 0 and at + size - 1 or at
end

local constant_sizes = {[0x00] = 0, [0x01] = 0, [0x11] = 0, [0x03] = string.packsize("j"), [0x13] = string.packsize("n")}

local function skip_constants(code, at)
  local count
  count, at = varint(code, at)
  for _ = 1, count do
    local size = constant_sizes[code:byte(at)]
    at = size and at + 1 + size or skip_string(code, at + 1)
  end
  return at
end

local read_function

local function read_nested(code, at, lines)
  local count
  count, at = varint(code, at)
  for _ = 1, count do at = read_function(code, at, lines) end
  return at
end

-- the lines of the instructions: differences, and at some of them whole numbers
local function read_lines(code, at, first, vararg, lines)
  local count, absolute_count, absolute, pc, line = 0, 0, {}, nil, nil
  count, at = varint(code, at)
  local differences = at
  at = at + count
  absolute_count, at = varint(code, at)
  for _ = 1, absolute_count do
    pc, at = varint(code, at)
    line, at = varint(code, at)
    absolute[pc] = line
  end
  line = first
  for i = 0, count - 1 do
    local difference = string.unpack("b", code, differences + i)
    line = difference == ABSOLUTE and absolute[i] or line + difference
    if not (vararg and i == 0) then lines[line] = true end
  end
  return at
end

function read_function(code, at, lines)
  local first, vararg, count
  first, at = varint(code, skip_string(code, at))
  at = select(2, varint(code, at)) -- its last line
  vararg = code:byte(at + 1) ~= 0
  count, at = varint(code, at + 3)
  at = skip_constants(code, at + 4 * count)
  count, at = varint(code, at)
  at = read_nested(code, at + 3 * count, lines)
  at = read_lines(code, at, first, vararg, lines)
  count, at = varint(code, at)
  for _ = 1, count do -- local variables: name, from, to
    at = select(2, varint(code, select(2, varint(code, skip_string(code, at)))))
  end
  count, at = varint(code, at)
  for _ = 1, count do at = skip_string(code, at) end
  return at
end

-- A line with nothing but the end of a block: it may be passed by, and says nothing.
local function is_end(line)
  return line:gsub("%-%-.*", ""):gsub("%f[%w_]end%f[^%w_]", ""):find("^[%s%)}%],;]*$") ~= nil
end

function M.of(text)
  local chunk, why = load(text, "=", "t")
  if not chunk then return nil, why end
  local code, lines = string.dump(chunk), {}
  if code:sub(1, #HEADER) ~= HEADER then return nil, "not the compiler of Lua 5.4" end
  local at = #HEADER + 3 + string.packsize("j") + string.packsize("n") + 1 + 1
  read_function(code, at, lines)
  local number = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if lines[number] and is_end(line) then lines[number] = nil end
  end
  return lines
end

return M
