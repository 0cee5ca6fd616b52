-- relay.fake.strict: what a policy is given: read-only, and an unknown name raises with the nearest known one.

local nearest = require "relay.nearest"

local M = {}

-- A view of `fields` under the names of the list `names` (a name may have no value: nil). `label` says what it is in messages.
-- The second result ends its life: whoever reads it afterwards raises.
function M.view(label, names, fields)
  local known, dead = {}, false
  for _, name in ipairs(names) do known[name] = true end
  local meta = {__name = "relay." .. label, __metatable = "relay." .. label}
  function meta.__index(_, name)
    if dead then error(("%s is used after the hook returned"):format(label), 2) end
    if not known[name] then
      error(("%s has no field '%s'%s"):format(label, tostring(name), nearest.hint(name, names)), 2)
    end
    return fields[name]
  end
  function meta.__newindex(_, name) error(("%s.%s is read-only"):format(label, tostring(name)), 2) end
  return setmetatable({}, meta), function() dead = true end
end

-- a table of functions and constants: the names are its keys
function M.library(label, fields) return (M.view(label, nearest.keys(fields), fields)) end

-- a read-only tree: plain nested tables behind proxies; a missing key is nil; #, pairs and ipairs work
function M.tree(value, label)
  if type(value) ~= "table" then return value end
  local children = {}
  for k, v in pairs(value) do children[k] = M.tree(v, label) end
  return setmetatable({}, {
    __index = children,
    __newindex = function() error(label .. " is read-only", 2) end,
    __len = function() return #children end,
    __pairs = function() return next, children, nil end,
    __metatable = "relay." .. label,
  })
end

-- The same over what `get` returns at each use: a part that is kept is what stands at its place then, if anything.
function M.following(get, label)
  local function inside()
    local value = get()
    return type(value) == "table" and value or {}
  end
  local function part(key)
    local value = inside()[key]
    if type(value) ~= "table" then return value end
    return M.following(function() return inside()[key] end, label)
  end
  return setmetatable({}, {
    __index = function(_, key) return part(key) end,
    __newindex = function() error(label .. " is read-only", 2) end,
    __len = function() return #inside() end,
    __pairs = function()
      return function(_, last)
        local key = next(inside(), last)
        return key, part(key)
      end
    end,
    __metatable = "relay." .. label,
  })
end

-- a library of Lua itself: as fast as a plain table
function M.frozen(label, fields)
  local names = nearest.keys(fields)
  setmetatable(fields, {__index = function(_, name) error(("%s has no field '%s'%s"):format(label, tostring(name), nearest.hint(name, names)), 2) end})
  return setmetatable({}, {__index = fields, __newindex = function() error(label .. " is read-only", 2) end, __metatable = "relay." .. label})
end

-- what `make` returns; what it says is wrong is a mistake in the caller's caller's line
function M.checked(make, ...)
  local ok, made = pcall(make, ...)
  if ok then return made end
  error(type(made) == "string" and made:gsub("^[^:]*%.lua:%d+: ", "") or made, 3)
end

-- raises, in the caller's caller, for a key of `given` that is not in `names`
function M.only(label, given, names)
  if type(given) ~= "table" then error(("%s: a table expected, got %s"):format(label, type(given)), 3) end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for key in pairs(given) do
    if not known[key] then
      error(("%s: unknown field '%s'%s"):format(label, tostring(key), nearest.hint(key, names)), 3)
    end
  end
end

return M
