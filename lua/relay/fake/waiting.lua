-- relay.fake.waiting: relay.sleep, relay.all, relay.http, relay.db, relay.users and relay.dns over a fake core. A hook that waits moves the
-- clock; what falls due on the way happens. spec.http, spec.db and spec.dns answer.

local address = require "relay.address"
local json = require "relay.json"
local nearest = require "relay.nearest"
local sandbox = require "relay.fake.sandbox"
local strict = require "relay.fake.strict"

local M = {}
local TIMEOUT <const>, SENT_MAX <const>, ALL_MAX <const>, VALUES_MAX <const> = 2, 16384, 16, 32

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

-- after so many seconds the answer, or nil and why; none comes after the timeout
local function arrive(answer, why, after, timeout)
  wait(math.max(1, math.ceil(math.min(after, timeout) * 1000)))
  if after > timeout then return nil, "timeout" end
  return answer, why
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
  response, why = arrive(response, why, after, timeout)
  if not response then return nil, why end
  return answer_of(response)
end

-- what no column is named raises; what is NULL is nil
local function row_of(fields, columns)
  local known = {}
  for _, name in ipairs(columns) do known[name] = true end
  return setmetatable(fields, {
    __index = function(_, name)
      if not known[name] then error(("the row has no column '%s'%s"):format(tostring(name), nearest.hint(name, columns)), 2) end
    end,
    __metatable = "row",
  })
end

local sendable = {string = true, number = true, boolean = true, ["nil"] = true}

local function parameters(...)
  local values, sent = table.pack(...), 0
  if values.n > VALUES_MAX then error(("relay.db:query: more than %d parameters"):format(VALUES_MAX), 3) end
  for i = 1, values.n do
    if address.is_address(values[i]) then values[i] = tostring(values[i]) end
    local kind = type(values[i])
    if not sendable[kind] then
      error(("relay.db:query: parameter %d: a string, number, boolean or nil expected, got %s"):format(i, kind), 3)
    end
    if kind == "boolean" then values[i] = values[i] and 1 or 0 end
    sent = sent + (kind == "string" and #values[i] or 0)
  end
  if sent > SENT_MAX then error(("relay.db:query: parameters: longer than %d bytes"):format(SENT_MAX), 3) end
  return values
end

local worldly = {timeout = true, busy = true, failed = true, ["too large"] = true}

local function query(core, box, sql, ...)
  if type(sql) ~= "string" then error("relay.db:query: the statement: a string expected, got " .. type(sql), 2) end
  local values = parameters(...)
  check(box, "relay.db:query")
  local rows, why, after = core.spec.db(sql, table.unpack(values, 1, values.n))
  local answer
  answer, why = arrive(rows, why, after, TIMEOUT)
  if not answer and not worldly[why] then error("relay.db: " .. why, 2) end
  if not answer then return nil, why end
  for i, row in ipairs(rows) do rows[i] = row_of(row, rows.columns) end
  rows.columns = nil
  return rows
end

local function find_user(core, box, tenant, user)
  check(box, "relay.users:get")
  wait(1)
  local found = core.find_user(tenant, user)
  return found and {tenant = found.tenant, user = found.user}
end

local types = {A = true, AAAA = true, SRV = true, TXT = true}

local function lookup(core, box, name, options)
  options = options or {}
  strict.only("relay.dns.lookup", options, {"type", "timeout"})
  local kind, timeout = options.type or "A", options.timeout or TIMEOUT
  if not types[kind] then error(("relay.dns.lookup: type: 'A', 'AAAA', 'SRV' or 'TXT' expected, got '%s'"):format(kind), 2) end
  if not (timeout > 0 and timeout <= 3600) then error("relay.dns.lookup: timeout: seconds above 0 expected", 2) end
  check(box, "relay.dns.lookup")
  local records, why, after = core.spec.dns(kind, name)
  records, why = arrive(records, why, after, timeout)
  if not records then return nil, why end
  for i, record in ipairs(records) do
    if kind == "SRV" then records[i] = strict.library("the service", record) end
  end
  return records
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
  relay.db = strict.library("relay.db", {query = function(_, sql, ...) return query(core, box(), sql, ...) end})
  relay.users = strict.library("relay.users", {get = function(_, tenant, user) return find_user(core, box(), tenant, user) end})
  relay.dns = strict.library("relay.dns", {lookup = function(name, options) return lookup(core, box(), name, options) end})
end

return M
