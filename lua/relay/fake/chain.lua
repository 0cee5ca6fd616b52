-- relay.fake.chain: the policies of a server, asked in order. What fails closes the door, as the table in policies/README.md says.

local decision = require "relay.fake.decision"
local hash = require "relay.hash"
local library = require "relay.fake.library"
local nearest = require "relay.nearest"
local sandbox = require "relay.fake.sandbox"
local saved = require "relay.fake.saved"
local strict = require "relay.fake.strict"

local M = {}
local REASON_MAX <const> = 95

local hooks = {
  "init", "route", "authenticate", "authorize", "permission", "channel", "refresh", "usage", "log", "save", "shutdown",
}

local known, expected_type = {"name", table.unpack(hooks)}, {name = "string"}
for _, hook in ipairs(hooks) do expected_type[hook] = "function" end

local waits_ms = {authenticate = 3000, authorize = 3000, usage = 3000, log = 3000, init = 30000} -- hooks that may wait, and how long

local function load_policy(box, source)
  local chunk, why = box:compile(source.name, source.text)
  if not chunk then error(why, 0) end
  local ok, policy = box:run(sandbox.LOAD_SLICE, chunk)
  if not ok then error(policy, 0) end
  if type(policy) ~= "table" then error(("%s:1: a policy returns a table of hooks, got %s"):format(source.name, type(policy)), 0) end
  for key, value in pairs(policy) do
    local expected = expected_type[key]
    local info = type(value) == "function" and debug.getinfo(value, "S")
    local place = ("%s:%d"):format(source.name, info and box.names[info.short_src] and info.linedefined or 1)
    if not expected then error(("%s: unknown hook '%s'%s"):format(place, tostring(key), nearest.hint(key, known)), 0) end
    if type(value) ~= expected then error(("%s: %s: a %s expected, got %s"):format(place, key, expected, type(value)), 0) end
  end
  return {file = source.name, hooks = policy}
end

-- Loads the policies of core.spec; raises with file and line.
function M.new(core)
  local box
  box = sandbox.new {
    trace = core.spec.trace, relay = library.new(core, function(tail_called) return box:where(tail_called) end, function() return box end), read = core.read,
    wait = function(ms) core:advance(ms) end,
    now = function() return core.unix_ms() // 1000 end,
    print = function(...)
      local words = table.pack(...)
      for i = 1, words.n do words[i] = tostring(words[i]) end
      table.insert(core.lists.log, {level = "info", message = table.concat(words, " "), fields = {}})
    end,
  }
  local self = setmetatable({core = core, box = box, policies = {}}, {__index = M})
  local revision = {}
  for i, source in ipairs(core.spec.policies) do
    self.policies[i], revision[i] = load_policy(box, source), source.text
  end
  core.params:check()
  for _, text in ipairs(box.required) do revision[#revision + 1] = text end
  self.revision = hash.hex(hash.sha256(table.concat(revision, "\0"))):sub(1, 12)
  return self
end

function M:has(hook)
  for _, policy in ipairs(self.policies) do
    if policy.hooks[hook] then return true end
  end
  return false
end

-- as much of a message as fits into a reason
function M.reason(message) return message:sub(1, REASON_MAX) end

function M:report(file, hook, kind, message, by)
  by = by or message:match("^([%w_.-]+:%d+)") or file
  table.insert(self.core.lists.errors, {policy = file, hook = hook, kind = kind, by = by, message = message})
  return {kind = "fail", code = 500, reason = M.reason(message), by = by}
end

-- what one policy says to `hook`: nil, a decision, or a `fail` that is already reported
function M:ask(policy, hook, ...)
  self.box.longest = waits_ms[hook]
  local ok, result, kind, by = self.box:run(sandbox.SLICE, policy.hooks[hook], ...)
  if not ok then return self:report(policy.file, hook, kind, result, by) end
  local d, why, built = decision.judge(hook, result)
  if why then return self:report(policy.file, hook, "type", built and why or policy.file .. ": " .. why, built) end
  if d and d.kind == "fail" then
    self:report(policy.file, hook, "fail", d.reason, d.by)
  end
  return d
end

-- an iterator over what the policies say to a hook; silent ones are left out
function M:answers(hook, ...)
  local i, arguments = 0, table.pack(...)
  return function()
    while i < #self.policies do
      i = i + 1
      local policy = self.policies[i]
      local d = policy.hooks[hook] and self:ask(policy, hook, table.unpack(arguments, 1, arguments.n))
      if d then return d end
    end
  end
end

-- route, authenticate: the first that has an opinion
function M:first(hook, ...) return (self:answers(hook, ...)()) end

-- authorize: the first refusal; or merged limits, and who was the first to give any
function M:strictest(hook, limits, ...)
  local by
  for d in self:answers(hook, ...) do
    if d.kind ~= "allow" then return d end
    local merged, why = decision.merge(limits, d.limits)
    if not merged then return self:report(d.by:match("^[^:]*"), hook, "fail", why, d.by) end
    by = by or d.by
  end
  return nil, by
end

-- permission, channel: the first refusal; who fails refuses
function M:any_denial(hook, ...)
  local d = self:first(hook, ...)
  if d and d.kind == "fail" then return {kind = "deny", code = 403, reason = d.reason, by = d.by, failed = d} end
  return d
end

-- refresh: the first refusal; otherwise merged limits, and who failed or was the first to give any
function M:refresh(limits, ...)
  local told
  for d in self:answers("refresh", ...) do
    if d.kind ~= "allow" and d.kind ~= "fail" then return d end
    if d.kind == "fail" or not told then told = d end
    if d.kind == "allow" then decision.merge(limits, d.limits) end
  end
  return nil, told
end

-- log, shutdown: everybody is told; what they return is ignored.
function M:tell(hook, argument)
  for _, policy in ipairs(self.policies) do
    if policy.hooks[hook] then
      self.box.longest = waits_ms[hook]
      local ok, why, kind, by = self.box:run(sandbox.SLICE, policy.hooks[hook], argument)
      if not ok then self:report(policy.file, hook, kind, why, by) end
    end
  end
end

-- Raises what refuses the start, or the reload. kept: what `save` of the old policies returned, by file.
function M:init(reload, kept)
  for _, policy in ipairs(self.policies) do
    if policy.hooks.init then
      self.box.longest = waits_ms.init
      local ctx = strict.view("ctx", {"reload", "saved", "worker", "workers"}, {reload = reload, saved = kept[policy.file], worker = 1, workers = 1})
      local ok, why, _, by = self.box:run(sandbox.LOAD_SLICE, policy.hooks.init, ctx)
      if not ok then error(by and by .. ": " .. why or why, 0) end
    end
  end
end

-- what the policies hand on to those that take their place, by file; raises what refuses the reload
function M:save()
  local kept = {}
  for _, policy in ipairs(self.policies) do
    if policy.hooks.save then
      local ok, value = self.box:run(sandbox.SLICE, policy.hooks.save)
      if not ok then error(value, 0) end
      local copied, copy = pcall(saved.copy, value)
      if not copied then error(("%s: save: %s"):format(policy.file, copy), 0) end
      kept[policy.file] = copy
    end
  end
  return kept
end

return M
