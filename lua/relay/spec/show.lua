-- relay.spec.show: values as text for people, and where two of them differ.

local M = {}
local WIDE <const>, DEEP <const> = 100, 8

local function before(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
  return type(a) < type(b) or type(a) == type(b) and tostring(a) < tostring(b)
end

local function keys_of(t, more)
  local keys, seen = {}, {}
  for _, from in ipairs {t, more} do
    for k in next, from do
      if not seen[k] then keys[#keys + 1], seen[k] = k, true end
    end
  end
  table.sort(keys, before)
  return keys
end

local function key_text(k)
  return type(k) == "string" and k:find("^[%a_][%w_]*$") and k or "[" .. M.text(k) .. "]"
end

local function table_text(t, indent, around)
  if around[t] then return "<itself>" end
  if #indent > 2 * DEEP then return "{...}" end
  local inner = setmetatable({[t] = true}, {__index = around})
  local items, length = {}, 0
  for i, k in ipairs(keys_of(t)) do
    local text = M.text(t[k], indent .. "  ", inner)
    items[i] = math.type(k) == "integer" and k == i and text or key_text(k) .. " = " .. text
    length = length + #items[i] + 2
  end
  if length + #indent < WIDE then return "{" .. table.concat(items, ", ") .. "}" end
  return ("{\n%s  %s\n%s}"):format(indent, table.concat(items, ",\n  " .. indent), indent)
end

-- Any value, on one line if it is short.
function M.text(value, indent, around)
  if type(value) == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"):gsub("\\r", "\\r"):gsub("[\127-\255]+", function(bytes)
      return utf8.len(bytes) and bytes or bytes:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
    end))
  end
  if type(value) ~= "table" then return tostring(value) end
  local meta = debug.getmetatable(value)
  if meta and meta.__tostring then return tostring(value) end
  return table_text(value, indent or "", around or {})
end

-- Whether two values are the same in all that can be reached; metatables do not count. If not: the path to the first difference, and both values there.
function M.difference(a, b, path, seen)
  if rawequal(a, b) then return nil end
  if type(a) ~= "table" or type(b) ~= "table" then
    if a == b then return nil end
    return {path = path or "", expected = a, actual = b}
  end
  seen = seen or {}
  if seen[a] and seen[a][b] then return nil end -- compared further up
  seen[a] = seen[a] or {}
  seen[a][b] = true
  for _, k in ipairs(keys_of(a, b)) do
    local name = type(k) == "string" and k:find("^[%a_][%w_]*$") and "." .. k or "[" .. M.text(k) .. "]"
    local found = M.difference(rawget(a, k), rawget(b, k), (path or "") .. name, seen)
    if found then return found end
  end
  return nil
end

return M
