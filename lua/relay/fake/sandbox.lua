-- relay.fake.sandbox: the environment in which policies run, and the budgets of a hook.
--
-- As strict as plain Lua can be: no io, load, package, finalizers or bytecode; unknown globals raise; globals are frozen after load; a hook ends
-- after 100,000 instructions or 64 MiB, start-up after 50 million, and pcall does not save it. The server is stricter: it also bounds
-- wall time, string patterns, and methods of strings.

local nearest = require "relay.nearest"
local strict = require "relay.fake.strict"

local M = {}
local SLICE <const>, LOAD_SLICE <const>, STEP <const>, MEMORY_KIB <const> = 100000, 50000000, 1000, 64 * 1024
M.SLICE, M.LOAD_SLICE = SLICE, LOAD_SLICE
M.WAIT = {} -- what a hook yields that waits, and for how many ms
local WAITS_MAX <const> = 100

local base = {
  "assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type", "xpcall", "rawequal", "rawget",
  "rawlen", "_VERSION",
}

local function copy(from, without)
  local out = {}
  for k, v in pairs(from) do out[k] = v end
  if without then out[without] = nil end
  return out
end

local function rep(s, n, separator)
  if n * math.max(1, #s + #(separator or "")) > 1 << 20 then error("string.rep: more than 1048576 bytes", 2) end
  return string.rep(s, n, separator)
end

local function move(from, first, last, at, to)
  if last - first >= 1000000 then error("table.move: more than 1000000 elements", 2) end
  return table.move(from, first, last, at, to)
end

local function checked_setmetatable(t, meta)
  for _, name in ipairs {"__gc", "__mode"} do
    if meta and rawget(meta, name) ~= nil then error(("setmetatable: %s is not allowed"):format(name), 2) end
  end
  return setmetatable(t, meta)
end

-- What ends a thread that spends too much; and the last line of a policy that ran, for `by`. A policy's line counts as an instruction too: Lua counts
-- those of this function against the STEP, so that a loop in step with it might never see a count event.
local function watch(self, thread)
  debug.sethook(thread, function(event, line)
    local cost = STEP
    if event == "line" then
      local source = debug.getinfo(2, "S").short_src
      cost = self.names[source] and 1 or 0
      if cost == 1 then self.last_line, self.at_work = ("%s:%d"):format(source, line), false end
      if cost == 1 and self.hooks.trace then self.hooks.trace(source, line) end
    end
    if self.at_work then return end
    self.spent = self.spent + cost
    if self.spent > self.allowed then
      self.killed = "budget"
    elseif collectgarbage("count") > self.memory + MEMORY_KIB then
      self.killed = "memory"
    end
    if self.killed then
      debug.sethook(thread, function() error("killed: " .. self.killed, 2) end, "", 1) -- again after every pcall
      error("killed: " .. self.killed, 2)
    end
  end, self.allowed > SLICE and not self.hooks.trace and "" or "l", STEP) -- following lines is slow: not through a long load
  return thread
end

local function coroutines(self)
  local out = copy(coroutine)
  function out.create(f) return watch(self, coroutine.create(f)) end
  function out.wrap(f)
    local thread = out.create(f)
    return function(...)
      local result = table.pack(coroutine.resume(thread, ...))
      if not result[1] then error(result[2], 0) end
      return table.unpack(result, 2, result.n)
    end
  end
  return out
end

local function globals_of(self, hooks)
  local g = {
    string = copy(string, "dump"), table = copy(table), math = copy(math), utf8 = copy(utf8), coroutine = coroutines(self),
    os = {clock = os.clock, time = function(t) return t and os.time(t) or hooks.now() end,
          date = function(format, t) return os.date(format, t or hooks.now()) end},
    debug = {traceback = debug.traceback}, setmetatable = checked_setmetatable, print = hooks.print, warn = hooks.print,
    getmetatable = function(v) return type(v) ~= "string" and getmetatable(v) or nil end, relay = hooks.relay,
  }
  g.string.rep, g.table.move = rep, move
  for _, name in ipairs {"string", "table", "math", "utf8", "coroutine", "os", "debug"} do g[name] = strict.frozen(name, g[name]) end
  for _, name in ipairs(base) do g[name] = _G[name] end
  return g
end

-- an environment of one policy (and of what it requires)
local function environment(self, hooks)
  local globals, env = globals_of(self, hooks), {}
  globals._G = env
  return setmetatable(env, {
    __index = function(_, name)
      local value = globals[name]
      if value ~= nil then return value end
      error(("unknown global '%s'%s"):format(tostring(name), nearest.hint(name, nearest.keys(globals))), 2)
    end,
    __newindex = function(_, name, value)
      if self.loaded then error(("global '%s' is set after load"):format(tostring(name)), 2) end
      globals[name] = value
    end,
    __metatable = "relay.globals",
  }), globals
end

-- A sandbox. hooks: relay (the library), now() -> unix seconds, print(...), read(name) -> text or nil, and perhaps trace(file, line): each that runs.
function M.new(hooks)
  local self = setmetatable({names = {}, required = {}, spent = 0, allowed = 0, memory = 0}, {__index = M})
  self.hooks = hooks
  return self
end

-- the function of the source `text`, called `name` in messages, in an environment of its own; or nil and why
function M:compile(name, text)
  self.names[name] = true
  local env, globals = environment(self, self.hooks)
  local modules = {}
  function globals.require(module)
    if type(module) ~= "string" or not module:find("^[%w_]+$") then error("require: the name of a file of the policy directory expected", 2) end
    if modules[module] == nil then
      local file = module .. ".lua"
      local source = self.hooks.read(file) or error(("require: no %s in the policy directory"):format(file), 2)
      if not self.names[file] then table.insert(self.required, source) end
      self.names[file] = true
      local chunk = load(source, "@" .. file, "t", env) or error(select(2, load(source, "@" .. file, "t", env)), 0)
      local value = chunk(module)
      modules[module] = value == nil and true or value
    end
    return modules[module]
  end
  return load(text, "@" .. name, "t", env)
end

local function worked(self, ...)
  self.at_work = false
  return ...
end

-- f(...), which the real core does in C: it costs the policy `cost` instructions, not those of its Lua.
function M:work(cost, f, ...)
  self.spent, self.at_work = self.spent + cost, true
  return worked(self, f(...))
end

-- Where a policy called a constructor: the innermost policy line on the stack. A tail call leaves no frame: then the last line that ran.
function M:where(tail_called)
  local level = 2
  local info = not (tail_called and self.last_line) and debug.getinfo(level, "Sl")
  while info do
    if self.names[info.short_src] then return ("%s:%d"):format(info.short_src, info.currentline) end
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return self.last_line or "?"
end

-- a coroutine of what runs, within its bounds
function M:coroutine(f) return watch(self, coroutine.create(f)) end

-- The thread of a hook has yielded: others have their turn until it goes on, or has waited too long: then the third result is the line.
local function go_on(self, thread, ok, result, ms)
  local waits = 0
  while ok and result == M.WAIT and not self.killed do
    local line, left = self.last_line, self.wait_left
    waits = waits + 1
    self.wait_left = left - ms
    self.hooks.wait(math.min(ms, left))
    if ms > left or waits > WAITS_MAX then
      coroutine.close(thread)
      return false, "waited too long", line
    end
    self.spent, self.last_line = 0, line
    ok, result, ms = coroutine.resume(thread)
  end
  return ok, result
end

-- Runs f(...) within `allowed` instructions, and lets it wait for `self.longest` ms in all (nil: not at all): true and its first result; or
-- false, message, "error" | "budget" | "memory" | "late", and perhaps the line.
function M:run(allowed, f, ...)
  local outer = {self.spent, self.allowed, self.memory, self.killed, self.thread, self.wait_left}
  self.spent, self.allowed, self.memory, self.killed, self.last_line, self.at_work = 0, allowed, collectgarbage("count"), nil, nil, false
  local thread = watch(self, coroutine.create(f))
  self.thread, self.wait_left, self.longest = thread, self.longest, nil
  local ok, result, late = go_on(self, thread, coroutine.resume(thread, ...))
  local killed = self.killed
  if not ok then -- what it held is given back
    debug.sethook(thread)
    coroutine.close(thread)
  end
  self.spent, self.allowed, self.memory, self.killed, self.thread, self.wait_left = table.unpack(outer, 1, 6)
  if late then return false, result, "late", late end
  if killed then return false, type(result) == "string" and result or "killed: " .. killed, killed end
  if ok and coroutine.status(thread) ~= "dead" then return false, "a hook may not yield", "error" end
  if not ok then return false, type(result) == "string" and result or "error object of type " .. type(result), "error" end
  return true, result
end

return M
