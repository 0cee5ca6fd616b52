-- relay.spec.suite: what describe, it and their like declare, and how it runs: in the order of busted, one test after the other.
--
--   local suite = require("relay.spec.suite").new(tell)      tell(result) is called for each test, and for each thing that went wrong outside of one
--   suite:file("quota_spec.lua")
--
-- A result: file, line, names (of the blocks and of the test), name (all of them), status ("passed" "failed" "error" "pending"), seconds, and of what is
-- not passed: message, where (file:line), trace (list of file:line), expected?, actual?.

local spec_assert = require "relay.spec.assert"
local show = require "relay.spec.show"

local M = {}
M.__index = M

local Pending = {} -- what pending() raises within a test
local TRACE_MAX <const> = 12

-- ---- calls that may fail ----

local here = debug.getinfo(1, "S").source

local function is_ours(info)
  return info.source == here or info.source:find("relay/spec/", 1, true) ~= nil
end

-- the lines of files on the stack, innermost first; not those of this runner
local function lines_on_stack()
  local lines, level = {}, 3
  local info = debug.getinfo(level, "Sl")
  while info and #lines < TRACE_MAX do
    if info.source:sub(1, 1) == "@" and info.currentline > 0 and not is_ours(info) then
      lines[#lines + 1] = ("%s:%d"):format(info.source:sub(2), info.currentline)
    end
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return lines
end

local function describe_failure(raised)
  local trace = lines_on_stack()
  if getmetatable(raised) == Pending then return {status = "pending", message = raised.message, trace = {}} end
  if spec_assert.is_failure(raised) then
    return {status = "failed", message = tostring(raised), where = raised.where, expected = raised.expected, actual = raised.actual, trace = trace}
  end
  local meta = debug.getmetatable(raised)
  local message = (type(raised) == "string" or meta and meta.__tostring) and tostring(raised) or "error object: " .. show.text(raised)
  local where = type(raised) == "string" and raised:match("^([^\n]-:%d+): ")
  return {status = "error", message = message, where = where or trace[1], trace = trace}
end

-- nil if f() returns; else what went wrong
local function attempt(f, ...)
  local ok, failure = xpcall(f, describe_failure, ...)
  if ok then return nil end
  return type(failure) == "table" and failure or {status = "error", message = tostring(failure), trace = {}} -- the error handler itself has failed
end

-- ---- declarations ----

local hooks = {"before_each", "after_each", "setup", "teardown", "lazy_setup", "lazy_teardown"}
local names_of = {strict_setup = "setup", strict_teardown = "teardown"}
for _, name in ipairs(hooks) do names_of[name] = name end

local function new_block(kind, name, around, run)
  local block = {kind = kind, name = name, around = around, run = run, children = {}}
  for _, hook in ipairs(hooks) do block[hook] = {} end
  return block
end

-- a word that is called last leaves no frame of its caller: then there is no line
local function line_of_caller()
  local line = debug.getinfo(3, "l").currentline
  return line > 0 and line or nil
end

-- the block that is being declared; raises within a test
local function declaring(suite, what)
  if suite.test then error(what .. ": not inside of a test", 3) end
  return suite.block or error(what .. ": only in a spec file", 3)
end

local function words(suite)
  local w = {assert = spec_assert.assert}
  function w.describe(name, run)
    local around = declaring(suite, "describe")
    if type(run) ~= "function" then error(("describe %q: a function expected"):format(tostring(name)), 2) end
    local block = new_block("describe", tostring(name), around, run)
    block.line = line_of_caller()
    table.insert(around.children, block)
  end
  function w.it(name, run)
    local around = declaring(suite, "it")
    table.insert(around.children, {kind = run and "it" or "pending", name = tostring(name), around = around, run = run, line = line_of_caller()})
  end
  function w.pending(name, _)
    if suite.test then error(setmetatable({message = name}, Pending), 0) end
    local around = declaring(suite, "pending")
    table.insert(around.children, {kind = "pending", name = tostring(name), around = around, line = line_of_caller()})
  end
  for word, hook in pairs(names_of) do
    w[word] = function(run)
      local block = declaring(suite, word)
      if type(run) ~= "function" then error(word .. ": a function expected", 2) end
      table.insert(block[hook], run)
    end
  end
  function w.finally(run)
    if not suite.test then error("finally: only inside of a test", 2) end
    table.insert(suite.test.finally, run)
  end
  w.context, w.insulate, w.expose, w.spec, w.test = w.describe, w.describe, w.describe, w.it, w.it
  return w
end

-- ---- running ----

-- the blocks around, outermost first
local function blocks_around(element)
  local list, block = {}, element.around
  while block do
    table.insert(list, 1, block)
    block = block.around
  end
  return list
end

local function names_around(element)
  local names = {}
  for _, block in ipairs(blocks_around(element)) do
    if block.kind == "describe" then names[#names + 1] = block.name end
  end
  if element.kind ~= "file" then names[#names + 1] = element.name end
  return names
end

local function report(suite, element, failure, seconds)
  local result = failure or {status = "passed"}
  result.file, result.line, result.seconds = suite.path, element.line or 1, seconds or 0
  result.names = names_around(element)
  result.name = table.concat(result.names, " ")
  if result.name == "" then result.name = suite.path end
  if result.where == nil then result.where = ("%s:%d"):format(result.file, result.line) end
  suite.tell(result)
end

-- what a step of a block did wrong is said with the step
local function attempt_all(list, step)
  for _, run in ipairs(list) do
    local failure = attempt(run)
    if failure then
      if failure.status ~= "pending" then
        failure.status, failure.message = "error", step .. ": " .. failure.message
      end
      return failure
    end
  end
end

local function lazy_setup(blocks)
  for _, block in ipairs(blocks) do
    if not block.is_set_up then
      block.is_set_up = true
      block.lazy_failure = attempt_all(block.lazy_setup, "lazy_setup")
    end
    if block.lazy_failure then return setmetatable({trace = block.lazy_failure.trace}, {__index = block.lazy_failure}) end
  end
end

local function before(blocks)
  local failure = lazy_setup(blocks)
  for _, block in ipairs(blocks) do
    failure = failure or attempt_all(block.before_each, "before_each")
  end
  return failure
end

local function after(suite, blocks)
  local failure = attempt_all(suite.test.finally, "finally")
  for i = #blocks, 1, -1 do
    local worse = attempt_all(blocks[i].after_each, "after_each")
    failure = failure or worse
  end
  return failure
end

local function run_test(suite, test)
  local blocks, started = blocks_around(test), suite.clock()
  suite.test = {finally = {}}
  local failure = before(blocks) or attempt(test.run)
  local worse = after(suite, blocks)
  suite.test = nil
  report(suite, test, failure or worse, suite.clock() - started)
  if failure and worse then report(suite, test, worse) end
end

local function is_wanted(suite, test)
  return not suite.filter or table.concat(names_around(test), " "):find(suite.filter) ~= nil
end

local run_block

local function run_child(suite, child)
  if child.kind == "describe" then return run_block(suite, child) end
  suite.found = suite.found + 1
  if not is_wanted(suite, child) then return end
  if child.kind == "pending" then return report(suite, child, {status = "pending", trace = {}}) end
  run_test(suite, child)
end

function run_block(suite, block)
  local outer = suite.block
  suite.block = block
  local failure = attempt(block.run)
  suite.block = nil
  local started = not failure and #block.children > 0
  failure = failure or started and attempt_all(block.setup, "setup")
  if failure then report(suite, block, failure) end
  for _, child in ipairs(failure and {} or block.children) do run_child(suite, child) end
  local worse = block.is_set_up and attempt_all(block.lazy_teardown, "lazy_teardown") or started and attempt_all(block.teardown, "teardown")
  if worse then report(suite, block, worse) end
  suite.block = outer
end

-- ---- files ----

local function copy(t)
  local out = {}
  for k, v in next, t do out[k] = v end
  return out
end

local function restore(t, from)
  for k in next, copy(t) do
    if from[k] == nil then t[k] = nil end
  end
  for k, v in next, from do rawset(t, k, v) end
end

-- what a spec sees: the words, Lua, and globals of its own
local function environment(suite)
  return setmetatable({}, {__index = function(_, name)
    local word = suite.words[name]
    if word ~= nil then return word end
    return _G[name]
  end})
end

-- Runs the tests of one file. What it changes of globals and loaded modules ends with it.
function M:file(path)
  local globals, modules = copy(_G), copy(package.loaded)
  self.path, self.found = path, 0
  local failed
  local block = new_block("file", path, nil, function()
    local chunk, why = loadfile(path, "t", environment(self))
    if not chunk then error(why, 0) end
    chunk()
  end)
  local tell = self.tell
  function self.tell(result)
    failed = failed or result.status == "error"
    tell(result)
  end
  run_block(self, block)
  self.tell = tell
  if self.found == 0 and not failed then report(self, block, {status = "error", message = "no tests in it", trace = {}}) end
  restore(_G, globals)
  restore(package.loaded, modules)
end

-- clock() -> seconds; filter: a pattern that the whole name of a test must match, or nil
function M.new(tell, clock, filter)
  local suite = setmetatable({tell = tell, clock = clock, filter = filter}, M)
  suite.words = words(suite)
  return suite
end

return M
