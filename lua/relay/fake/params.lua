-- relay.fake.params: typed values that a policy declares (relay.params) and `--set` fills.
--
-- The type of a parameter is that of its default: integer, number, boolean, string, or a list of strings ("a,b,c"); a required one
-- without a default is a string, or a number if it has a range.

local nearest = require "relay.nearest"
local strict = require "relay.fake.strict"

local M = {}

local truth = {["true"] = true, yes = true, on = true, ["1"] = true, ["false"] = false, no = false, off = false, ["0"] = false}

local parse = {
  string = function(text) return text end,
  integer = function(text) return text:find("^[+-]?%d+$") and math.tointeger(text) or nil, "an integer" end,
  number = function(text) return tonumber(text), "a number" end,
  boolean = function(text) return truth[text:lower()], "true or false" end,
  list = function(text)
    local out = {}
    for item in text:gmatch("[^,]+") do out[#out + 1] = item:match("^%s*(.-)%s*$") end
    return out
  end,
}

local function type_of(rule)
  if rule.default == nil then return (rule.min or rule.max) and "number" or "string" end
  if type(rule.default) == "table" then return "list" end
  return math.type(rule.default) == "integer" and "integer" or type(rule.default)
end

local function refuse(full, text, expected) error(("command line: --set %s=%s: %s expected"):format(full, text, expected), 0) end

local function in_range(full, value, rule)
  if rule.min and value < rule.min then refuse(full, value, "at least " .. rule.min) end
  if rule.max and value > rule.max then refuse(full, value, "at most " .. rule.max) end
  return value
end

local function value_of(full, text, rule)
  if text == nil then
    if rule.default == nil and rule.required then error(full .. ": a value is required (--set)", 0) end
    return rule.default
  end
  local value, expected = parse[type_of(rule)](text)
  if value == nil then refuse(full, text, expected) end
  return type(value) == "number" and in_range(full, value, rule) or value
end

-- given: {["quota.user"] = "4"}
function M.new(given) return setmetatable({given = given, declared = {}}, {__index = M}) end

function M:declare(namespace, rules)
  local values, names = {}, {}
  for name, rule in pairs(rules) do
    local full = namespace .. "." .. name
    strict.only(full, rule, {"default", "min", "max", "required"})
    names[#names + 1], self.declared[full] = name, true
    values[name] = strict.tree(value_of(full, self.given[full], rule), "params")
  end
  table.sort(names)
  return (strict.view("params " .. namespace, names, values))
end

-- raises for a given value that no policy declared
function M:check()
  for _, full in ipairs(nearest.keys(self.given)) do
    if not self.declared[full] then
      error(("command line: --set %s: no policy has such a parameter%s"):format(full, nearest.hint(full, nearest.keys(self.declared))), 0)
    end
  end
end

return M
