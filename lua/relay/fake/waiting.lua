-- relay.fake.waiting: relay.sleep, relay.http and relay.all over a fake core. A hook that waits moves the clock; what falls due on the way
-- happens. spec.http answers requests.

local json = require "relay.json"
local nearest = require "relay.nearest"
local sandbox = require "relay.fake.sandbox"
local strict = require "relay.fake.strict"

local M = {}
local TIMEOUT <const>, SENT_MAX <const>, ALL_MAX <const> = 2, 16384, 16

local function check(box, name)
  local why
  if not box.thread or not box.wait_left and not box.loaded then why = "only in hooks, not while the policy loads"
  elseif not box.wait_left then why = "only in authenticate, authorize, usage, log, init and timers"
  elseif coroutine.running() ~= box.thread then why = "not in a coroutine of the script; relay.all runs functions side by side"
  elseif not coroutine.isyieldable() then why = "not in a function that table.sort, string.gsub or a metamethod called" end
  if why then error(("%s: %s"):format(name, why), 3) end
end

local function wait(ms) coroutine.yield(sandbox.WAIT, ms) end

local function sleep(box, seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 3600) then error("relay.sleep: seconds from 0 expected", 2) end
  check(box, "relay.sleep")
  wait(math.max(1, math.ceil(seconds * 1000)))
end

-- the nearest time at which one of `tasks` goes on
local function soonest(tasks)
  local at
  for _, task in ipairs(tasks) do
    if task.wakes then at = math.min(at or task.wakes, task.wakes) end
  end
  return at
end

local function step(box, task, now)
  local outer = box.thread
  box.thread = task.thread
  local ok, result, ms = coroutine.resume(task.thread)
  box.thread = outer
  task.wakes = nil
  if not ok then return false, result end
  if coroutine.status(task.thread) == "dead" then
    task.result = result
  elseif result == sandbox.WAIT then
    task.wakes = now + ms
  else
    return false, "a hook may not yield"
  end
  return true
end

local function all(box, functions)
  if type(functions) ~= "table" then error("relay.all: a list of functions expected", 2) end
  if #functions > ALL_MAX then error(("relay.all: at most %d functions"):format(ALL_MAX), 2) end
  local tasks, now = {}, 0
  for i, f in ipairs(functions) do
    if type(f) ~= "function" then error(("relay.all: a list of functions expected, %d is a %s"):format(i, type(f)), 2) end
    tasks[i] = {thread = box:coroutine(f), wakes = 0}
  end
  check(box, "relay.all")
  while soonest(tasks) do
    if soonest(tasks) > now then
      wait(soonest(tasks) - now)
      now = soonest(tasks)
    end
    for _, task in ipairs(tasks) do
      local ok, why = true, nil
      if task.wakes and task.wakes <= now then ok, why = step(box, task, now) end
      if not ok then
        for _, other in ipairs(tasks) do coroutine.close(other.thread) end
        error(why, 0)
      end
    end
  end
  local results = {}
  for i, task in ipairs(tasks) do results[i] = task.result end
  return table.unpack(results, 1, #tasks)
end

local function answer_of(response)
  local fields = {status = response.status, body = response.body, headers = response.headers}
  function fields.json(answer) return json.decode(answer.body) end
  return setmetatable(fields, {
    __index = function(_, name) error(("the answer has no field '%s'%s"):format(tostring(name), nearest.hint(name, nearest.keys(fields))), 2) end,
  })
end

local function body_of(options)
  if options.json ~= nil and options.body then error("relay.http: json or body", 4) end
  local body = options.json ~= nil and json.encode(options.json) or options.body
  if body and #body > SENT_MAX then error(("relay.http: body: longer than %d bytes"):format(SENT_MAX), 4) end
  return body
end

local function fetch(core, box, method, url, options)
  options = options or {}
  strict.only("relay.http", options, {"timeout", "headers", "single_flight", method == "POST" and "json" or nil, method == "POST" and "body" or nil})
  local timeout = options.timeout or TIMEOUT
  if not (timeout > 0 and timeout <= 3600) then error("relay.http: timeout: seconds above 0 expected", 3) end
  local request = {method = method, url = url, headers = {}, body = body_of(options)}
  for name, value in pairs(options.headers or {}) do request.headers[name] = value end
  if options.json ~= nil then request.headers["Content-Type"] = "application/json" end
  check(box, "relay.http")
  local response, why, after = core.spec.http(request)
  wait(math.max(1, math.ceil(math.min(after, timeout) * 1000)))
  if after > timeout then return nil, "timeout" end
  if not response then return nil, why end
  return answer_of(response)
end

-- adds them to the library `relay`; box() is the sandbox
function M.add(relay, core, box)
  relay.json = strict.library("relay.json", {
    decode = function(text) return box():work(#text // 4, json.decode, text) end,
    encode = function(value) return box():work(10, json.encode, value) end,
  })
  function relay.sleep(seconds) return sleep(box(), seconds) end
  function relay.all(functions) return all(box(), functions) end
  relay.http = strict.library("relay.http", {
    get = function(url, options) return fetch(core, box(), "GET", url, options) end,
    post = function(url, options) return fetch(core, box(), "POST", url, options) end,
  })
end

return M
