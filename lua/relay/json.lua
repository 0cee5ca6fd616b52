-- relay.json: reads JSON (RFC 8259) into plain tables, for tests that run without the server.
--
--   json.decode(text)   value, or nil and "line 3: ..."; null in an object or array is left out (nil)

local M = {}

local escapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}
local literals = {["true"] = true, ["false"] = false}
local DEEPEST <const> = 64

local function fail(text, at, why)
  local _, lines = text:sub(1, at - 1):gsub("\n", "")
  error({why = ("line %d: %s"):format(lines + 1, why)})
end

local function skip(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

local function hex4(text, at)
  local digits = text:match("^%x%x%x%x", at)
  return digits and tonumber(digits, 16) or fail(text, at, "four hexadecimal digits expected")
end

-- the character of \uXXXX at `at`, with its second half when it is a surrogate; and where the text goes on
local function unicode(text, at)
  local code = hex4(text, at)
  if code < 0xd800 or code > 0xdfff then return utf8.char(code), at + 4 end
  if code > 0xdbff or text:sub(at + 4, at + 5) ~= "\\u" then fail(text, at, "half a surrogate pair") end
  local low = hex4(text, at + 6)
  if low < 0xdc00 or low > 0xdfff then fail(text, at, "half a surrogate pair") end
  return utf8.char(0x10000 + (code - 0xd800 << 10) + (low - 0xdc00)), at + 10
end

local function string_at(text, at) -- `at`: behind the opening quote
  local out = {}
  while true do
    local plain = text:match('^[^"\\%c]*', at)
    out[#out + 1], at = plain, at + #plain
    local c = text:sub(at, at)
    if c == '"' then return table.concat(out), at + 1 end
    if c ~= "\\" then fail(text, at, "string without an end") end
    local letter = text:sub(at + 1, at + 1)
    if letter == "u" then
      out[#out + 1], at = unicode(text, at + 2)
    else
      out[#out + 1], at = escapes[letter] or fail(text, at, "unknown escape"), at + 2
    end
  end
end

local function number_at(text, at)
  local digits = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  local number = digits and not digits:find("^-?0%d") and not digits:find("%.$") and not digits:find("%.[eE]") and tonumber(digits)
  if not number then fail(text, at, "a value expected") end
  return math.tointeger(digits) or number, at + #digits
end

local value_at

local function array_at(text, at, depth)
  local out, n = {}, 0
  at = skip(text, at)
  if text:sub(at, at) == "]" then return out, at + 1 end
  while true do
    n, out[n + 1], at = n + 1, value_at(text, at, depth)
    at = skip(text, at)
    local c = text:sub(at, at)
    if c == "]" then return out, at + 1 end
    if c ~= "," then fail(text, at, "',' or ']' expected") end
    at = at + 1
  end
end

local function object_at(text, at, depth)
  local out = {}
  at = skip(text, at)
  if text:sub(at, at) == "}" then return out, at + 1 end
  while true do
    at = skip(text, at)
    if text:sub(at, at) ~= '"' then fail(text, at, "a name in quotes expected") end
    local name
    name, at = string_at(text, at + 1)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then fail(text, at, "':' expected") end
    out[name], at = value_at(text, at + 1, depth)
    at = skip(text, at)
    local c = text:sub(at, at)
    if c == "}" then return out, at + 1 end
    if c ~= "," then fail(text, at, "',' or '}' expected") end
    at = at + 1
  end
end

function value_at(text, at, depth)
  at = skip(text, at)
  if depth > DEEPEST then fail(text, at, "nested too deeply") end
  local c = text:sub(at, at)
  if c == "{" then return object_at(text, at + 1, depth + 1) end
  if c == "[" then return array_at(text, at + 1, depth + 1) end
  if c == '"' then return string_at(text, at + 1) end
  local word = text:match("^%a+", at)
  if not word then return number_at(text, at) end
  if word ~= "null" and literals[word] == nil then fail(text, at, "a value expected") end
  return literals[word], at + #word
end

function M.decode(text)
  local ok, value, at = pcall(value_at, text, 1, 0)
  if ok and skip(text, at) <= #text then
    ok, value = pcall(fail, text, skip(text, at), "end of the text expected")
  end
  if ok then return value end
  return nil, type(value) == "table" and value.why or error(value, 0)
end

local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return escapes[c] or c ~= "\127" and ("\\u%04X"):format(c:byte()) or nil
  end) .. '"'
end

-- a table whose keys are 1 to n is a list; other keys are texts, in order. An address is a text.
function M.encode(value, depth)
  depth = depth or 1
  if depth > DEEPEST then error("JSON: nested too deeply", 2) end
  local kind = type(value)
  if kind == "string" or getmetatable(value) == "relay.Address" then return quote(tostring(value)) end
  if kind == "boolean" or math.type(value) == "integer" then return tostring(value) end
  if kind == "number" and value - value == 0 then return ("%.17g"):format(value) end
  if kind ~= "table" then error(("JSON: a %s has no place in it"):format(kind), 2) end
  local parts = {}
  if #value > 0 then
    for i, item in ipairs(value) do parts[i] = M.encode(item, depth + 1) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = quote(name) .. ":" .. M.encode(value[name], depth + 1) end
  return "{" .. table.concat(parts, ",") .. "}"
end

return M
