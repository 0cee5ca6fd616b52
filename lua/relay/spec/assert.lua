-- relay.spec.assert: `assert` of specs: Lua's own, and the assertions that busted's specs use by the same names (those of luassert).
--
--   assert.equal(4, n)   assert.are_not.equal(4, n)   assert.is_true(x, "message")   assert.has_error(f, "boom")   assert.error_matches(f, "bo+m")
--
-- Words may be joined by `_` or `.`; `is are was were has have does do be` say nothing, `not` and `no` turn the sense. What does not hold raises a table
-- of `message`, `expected`, `actual`, `where` (file:line), which tells itself.

local nearest = require "relay.nearest"
local show = require "relay.spec.show"

local M = {}
local Failure = {}

function Failure.__tostring(failure)
  local lines = {}
  if failure.said ~= nil then lines[1] = tostring(failure.said) end
  if failure.expected then
    lines[#lines + 1] = "expected: " .. failure.expected
    lines[#lines + 1] = "  actual: " .. failure.actual
  end
  lines[#lines + 1] = failure.message
  return table.concat(lines, "\n")
end

function M.is_failure(value) return getmetatable(value) == Failure end

-- the line outside of this file that asserts
local function caller()
  local level, own = 3, debug.getinfo(1, "S").source
  local info = debug.getinfo(level, "Sl")
  while info and (info.source == own or info.currentline < 0) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return info and info.short_src .. ":" .. info.currentline or "?"
end

local function fail(fields)
  fields.where = caller()
  error(setmetatable(fields, Failure), 0)
end

-- { how many values it compares, what holds(...) -> boolean, expected and actual as text, what else it tells; or raises }. The value behind those
-- compared is the message of the spec.
local assertions = {}

local function compares(names, count, holds)
  for _, name in ipairs(names) do assertions[name] = {name = name, count = count, holds = holds} end
end

compares({"equal", "equals"}, 2, function(expected, actual) return expected == actual, show.text(expected), show.text(actual) end)

compares({"same"}, 2, function(expected, actual)
  local d = show.difference(expected, actual)
  local at = d and d.path ~= "" and ("first difference at %s: %s, not %s"):format(d.path, show.text(d.actual), show.text(d.expected))
  return not d, show.text(expected), show.text(actual), at or nil
end)

for name, value in pairs {["true"] = true, ["false"] = false} do
  compares({name}, 1, function(actual) return actual == value, name, show.text(actual) end)
end
compares({"truthy"}, 1, function(actual) return actual and true or false, "neither nil nor false", show.text(actual) end)
compares({"falsy"}, 1, function(actual) return not actual, "nil or false", show.text(actual) end)

for _, kind in ipairs {"nil", "boolean", "number", "string", "table", "function", "userdata", "thread"} do
  compares({kind}, 1, function(actual) return type(actual) == kind, kind == "nil" and kind or "a " .. kind, show.text(actual) end)
end

local function a_number(name, value)
  return tonumber(value) or error(("%s: a number expected, got %s"):format(name, show.text(value)), 0)
end

compares({"near"}, 3, function(expected, actual, tolerance)
  expected, actual, tolerance = a_number("near", expected), a_number("near", actual), a_number("near", tolerance)
  return actual >= expected - tolerance and actual <= expected + tolerance, ("%s +/- %s"):format(expected, tolerance), show.text(actual)
end)

local function text_of(value)
  if type(value) == "string" or type(value) == "number" then return tostring(value) end
  local meta = debug.getmetatable(value)
  return meta and meta.__tostring and tostring(value) or nil
end

-- text:match with (pattern, init?, plain?, message?): whether it does, and the message
local function matches(text, pattern, ...)
  local init, plain, said
  for _, more in pairs {...} do
    if tonumber(more) then init = tonumber(more) elseif type(more) == "boolean" then plain = more else said = more end
  end
  if type(pattern) ~= "string" then error("matches: a pattern expected, got " .. show.text(pattern), 0) end
  return (plain and text:find(pattern, init, true) or not plain and text:match(pattern, init)) ~= nil, said
end

compares({"matches", "match"}, 2, function(pattern, actual, ...)
  local text = text_of(actual) or error("matches: a string expected, got " .. show.text(actual), 0)
  local does, said = matches(text, pattern, ...)
  return does, "what matches " .. show.text(pattern), show.text(text), nil, {said = said}
end)

compares({"unique"}, 1, function(list)
  for i, a in ipairs(list) do
    for k = i + 1, #list do
      if a == list[k] then return false, "no item twice", show.text(list), ("items %d and %d are the same"):format(i, k) end
    end
  end
  return true, "an item twice", show.text(list)
end)

-- what f raises, without its place in the file; luassert compares without it too
local function raised_by(name, f)
  local meta = debug.getmetatable(f)
  if type(f) ~= "function" and not (meta and meta.__call) then error(("%s: a function expected, got %s"):format(name, show.text(f)), 0) end
  local ok, raised = pcall(f)
  if type(raised) == "string" then raised = raised:gsub("^.-:%d+: ", "", 1) end
  return not ok, raised
end

compares({"error", "errors"}, 1, function(f, expected, said)
  local raised, why = raised_by("error", f)
  local is = raised and (expected == nil or not show.difference(expected, why) or text_of(why) == tostring(expected))
  return is, expected == nil and "an error" or show.text(expected), raised and show.text(why) or "no error", nil, {said = said}
end)

compares({"error_matches", "error_match", "matches_error", "match_error"}, 2, function(f, pattern, ...)
  local raised, why = raised_by("error_matches", f)
  local text = text_of(why) or tostring(why)
  local does, said = matches(text, pattern, ...)
  return raised and does, "an error that matches " .. show.text(pattern), raised and show.text(text) or "no error", nil, {said = said}
end)

-- Runs one assertion. What it was given is returned, as luassert does.
local function check(assertion, negative, ...)
  local given = table.pack(...)
  if given.n < assertion.count then error(("assert.%s: %d values expected, got %d"):format(assertion.name, assertion.count, given.n), 3) end
  local holds, expected, actual, message, more = assertion.holds(...)
  if holds ~= negative then return ... end
  local said = more and more.said
  if not more then said = given[assertion.count + 1] end
  fail {said = said, message = message and not negative and message or nil, expected = (negative and "not " or "") .. expected, actual = actual}
end

local silent = {is = true, are = true, was = true, were = true, has = true, have = true, does = true, ["do"] = true, be = true}
local turns = {["not"] = true, no = true}

-- "are_not_equal" -> {"are", "not", "equal"}
local function words_of(text, words)
  for word in text:lower():gmatch("[^_]+") do words[#words + 1] = word end
  return words
end

-- the assertion that the words name, if they are complete, and whether it is turned
local function assertion_of(words)
  local rest, negative = {}, false
  for i, word in ipairs(words) do
    if #rest == 0 and turns[word] then negative = not negative
    elseif #rest > 0 or not silent[word] then rest[#rest + 1] = words[i] end
  end
  return assertions[table.concat(rest, "_")], negative, table.concat(rest, "_")
end

local function follow(words)
  return setmetatable({}, {
    __index = function(_, name) return follow(words_of(tostring(name), {table.unpack(words)})) end,
    __call = function(_, ...)
      local assertion, negative, name = assertion_of(words)
      if not assertion then error(("assert.%s: no such assertion%s"):format(name, nearest.hint(name, nearest.keys(assertions))), 2) end
      return check(assertion, negative, ...)
    end,
  })
end

M.assert = setmetatable({}, {
  __index = function(_, name) return follow(words_of(tostring(name), {})) end,
  __call = function(_, value, message, ...)
    if value then return value, message, ... end
    if type(message) == "table" then error(message, 0) end -- of our own, or another's error object
    fail {said = message, message = message == nil and "assertion failed!" or nil}
  end,
})

return M
