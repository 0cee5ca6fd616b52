-- relay.fake.core: the back-end of relay.testing in plain Lua: a server without sockets, on a virtual clock. The interface is described
-- in relay.testing.

local address = require "relay.address"
local auth = require "relay.fake.auth"
local chain = require "relay.fake.chain"
local params = require "relay.fake.params"
local peers = require "relay.fake.peers"
local ports = require "relay.fake.ports"
local quota = require "relay.fake.quota"
local requests = require "relay.fake.requests"
local sandbox = require "relay.fake.sandbox"
local shared = require "relay.fake.shared"
local sources = require "relay.fake.sources"
local views = require "relay.fake.views"

local M = {}
local TIMER_WAITS_MS <const> = 30000

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- two functions: the user of a tenant, and whether any tenant has a user of that name
local function user_index(users)
  local index, names = {}, {}
  for _, u in ipairs(users) do index[(u.tenant or "") .. "\0" .. u.user], names[u.user] = u, true end
  return function(tenant, user) return index[(tenant or "") .. "\0" .. user] end, function(user) return names[user] end
end

-- the number of a pool by its name
local function pools_of(options)
  local pools = {}
  for i, name in ipairs(options.relay_pools) do pools[name] = i end
  return pools
end

-- the ports of a pool by its number, those of no pool by 0: of each family
local function ports_of(options)
  local all = {}
  for pool = 0, #options.relay_pools do
    all[pool] = {[4] = ports.new(options.min_port, options.max_port), [6] = ports.new(options.min_port, options.max_port)}
  end
  return all
end

-- Starts a server; raises, with file and line, what would refuse the start.
function M.open(spec)
  local o = spec.options
  local core = setmetatable({
    spec = spec, now_ms = 0, decision = 0, serial = 0, clients = {}, allocations = {}, routes = {}, pending = {},
    lists = {audit = {}, errors = {}, events = {}, log = {}, metrics = {}},
    quota = quota.new(), pools = pools_of(o), ports = ports_of(o), tcp_ports = ports_of(o),
    peer_allowed = peers.new(o.allowed_peer_ip, o.denied_peer_ip, o.allow_loopback_peers),
  }, {__index = M})
  core.find_user, core.has_user = user_index(spec.users)
  function core.unix_ms() return spec.now * 1000 + core.now_ms end
  function core.read(name)
    if spec.files[name] or name:find("/", 1, true) then return spec.files[name] end
    return read_file(spec.dir .. "/" .. name)
  end
  core.sources, core.objects = sources.new(core.read), {}
  core:begin({})
  return core
end

-- Loads the policies, in place of the old ones whose `save` returned `saved`, by file, if there are any; raises why not, with file and line.
function M:begin(saved)
  local reloads = self.chain ~= nil
  self.chain, self.params, self.timers, self.asked = nil, params.new(self.spec.set), {}, {}
  self.chain = chain.new(self)
  self.chain:init(reloads, saved)
  self.chain.box.loaded = true
end

local replaced = {"chain", "params", "timers", "objects", "asked"} -- by a reload

-- Policies are read again; the old ones stay if that fails: true; or nil and why.
function M:reload()
  local before, spec = {}, self.spec
  for _, name in ipairs(replaced) do before[name] = self[name] end
  self.objects = shared.kept(self.objects, self.asked)
  local ok, why = pcall(function()
    local saved = before.chain:save()
    for _, policy in ipairs(spec.policies) do policy.text = spec.files[policy.name] or policy.text end
    self:begin(saved)
  end)
  if ok then
    self.objects, self.routes = shared.kept(self.objects, self.asked), {}
    return true
  end
  for _, name in ipairs(replaced) do self[name] = before[name] end
  return nil, why
end

function M:add_allocation(client, who, limits, lifetime_ms)
  self.serial = self.serial + 1
  local a = {
    id = self.serial, client = client, user = who.user, tenant = who.tenant, realm = who.realm, username = who.username, limits = limits,
    granted_bps = limits.max_bps, key = who.key,
    created_ms = self.now_ms, expires_ms = self.now_ms + lifetime_ms, permissions = {}, channels = {},
    usage = {bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0},
    reported = {bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0},
    usage_due = self.now_ms + self.spec.options.usage_interval * 1000,
  }
  client.allocation, self.allocations[a.id] = a, a
  return a
end

-- asks the `usage` hooks about what was relayed since they were last asked
local function report_usage(core, a, closing_down)
  local delta = {closing = closing_down or false}
  for name, value in pairs(a.usage) do
    delta[name], a.reported[name] = value - a.reported[name], value
  end
  local alloc, forget = views.allocation(core, a)
  local usage, forget_usage = views.usage(delta)
  local closing
  local bps = math.huge -- the strictest answer; never more than was granted at first
  for d in core.chain:answers("usage", alloc, usage) do
    if d.kind == "close" then closing = d break end
    if d.kind == "allow" then bps = math.min(bps, d.limits.max_bps or bps) end
  end
  forget()
  forget_usage()
  if not closing and bps < math.huge then a.limits.max_bps = math.min(bps, a.granted_bps or bps) end
  return closing
end

function M:end_allocation(a, reason, by)
  report_usage(self, a, true)
  self.allocations[a.id], a.client.allocation = nil, nil
  self.quota:give(a.tenant, a.user)
  a.ports:give(a.port)
  self:event("closed", a.client, {allocation = a, reason = reason, by = by})
end

-- Keeps an event for core:events() and for the `log` hooks, which are told after the answer.
function M:event(kind, client, more)
  local a, flow = more.allocation, client.flow
  local event = {
    type = kind, code = more.code or 0, reason = more.reason, by = more.by or "core", decision_id = self.decision,
    policy_rev = self.chain.revision, method = more.method, src = tostring(flow.src), transport = flow.transport, peer = more.peer,
    username = more.username or a and a.username,
  }
  local who = more.method and client.who or a or {}
  event.user, event.tenant, event.realm = who.user, who.tenant, who.realm
  if a then
    event.allocation, event.group, event.tags = a.id, a.limits.group, a.limits.tags
    for name, value in pairs(a.usage) do event[name] = value end
    event.bytes, event.seconds = a.usage.bytes_in + a.usage.bytes_out, (self.now_ms - a.created_ms) // 1000
  end
  table.insert(self.lists.events, event)
  table.insert(self.pending, event)
end

local function flush_events(core)
  local pending = core.pending
  core.pending = {}
  for _, event in ipairs(pending) do
    local view, forget = views.event(event)
    core.chain:tell("log", view)
    forget()
  end
end

local function tell_refusal(core, client, fields, answer, errors_before)
  local peer = fields.peer and address.parse(fields.peer)
  local failure = #core.lists.errors > errors_before and core.lists.errors[#core.lists.errors]
  local more = {
    method = fields.kind == "close" and "refresh" or fields.kind, code = answer.code, reason = answer.reason, by = answer.by,
    username = not answer.unsigned and fields.username or nil, allocation = client.allocation, peer = peer and tostring(peer),
  }
  if failure then
    core:event("policy_error", client, setmetatable({code = 500, reason = chain.reason(failure.message), by = failure.by}, {__index = more}))
  end
  local nobody = answer.code == 500 and not client.who.username -- the policy's failure alone is told
  if answer.code ~= 0 and not answer.quiet and not nobody then
    core:event(answer.code == 401 and "auth_failed" or "denied", client, more)
  end
end

-- where a client is sent: an address of its own family, or the policy has failed
local function redirect(client, answer)
  for _, server in ipairs(answer.servers) do
    if server.family == client.flow.src.family then
      answer.server = tostring(server)
      answer.domain = client.flow.transport:find("tls", 1, true) and answer.domain or nil
      return answer
    end
  end
  return {code = 500, reason = "verdict makes no sense", by = answer.by, unsigned = answer.unsigned}
end

local function answer_to(core, client, fields)
  core.decision = core.decision + 1
  local errors_before = #core.lists.errors
  local answer = requests[fields.kind](core, client, fields)
  if answer.servers then answer = redirect(client, answer) end
  answer.ok, answer.code = answer.ok or false, answer.code or 0
  tell_refusal(core, client, fields, answer, errors_before)
  answer.quiet, answer.unsigned, answer.servers = nil, nil, nil
  flush_events(core)
  return answer
end

function M:request(kind, fields)
  if not requests[kind] then error("no such request: " .. tostring(kind), 2) end
  local client = self.clients[fields.client]
  if not client then
    client = {flow = auth.flow(fields), who = {}}
    self.clients[fields.client] = client
  end
  fields.kind = kind
  -- a retransmission; what was not signed, or by nobody, is not remembered
  if fields.transaction and client.transaction == fields.transaction and (kind == "traffic" or client.who.user) then return client.answer end
  client.answer = answer_to(self, client, fields)
  client.transaction = fields.transaction
  return client.answer
end

local function next_due(core, until_ms)
  local due = until_ms
  for _, timer in ipairs(core.timers) do due = math.min(due, timer.due) end
  for _, a in pairs(core.allocations) do due = math.min(due, a.expires_ms, a.usage_due) end
  return due
end

local function expire_permissions(core, a)
  for ip, ends in pairs(a.permissions) do
    if ends <= core.now_ms then a.permissions[ip] = nil end
  end
  for number, channel in pairs(a.channels) do
    if channel.ends <= core.now_ms then a.channels[number] = nil end
  end
end

local function sweep_allocation(core, a)
  expire_permissions(core, a)
  if a.expires_ms <= core.now_ms then
    local is_over = a.key.strict and a.key.expires and core.unix_ms() >= a.key.expires * 1000
    return core:end_allocation(a, is_over and "credential_expired" or "expired", "core")
  end
  if requests.is_capped(a.limits) and a.limits.meter.on_cap == "close" then return core:end_allocation(a, "meter_cap", "core") end
  if a.usage_due > core.now_ms then return end
  a.usage_due = core.now_ms + core.spec.options.usage_interval * 1000
  local closing = report_usage(core, a)
  if closing then core:end_allocation(a, closing.reason, closing.by) end
end

local function sweep(core)
  for _, timer in ipairs(core.timers) do
    if timer.due <= core.now_ms then
      timer.due = timer.due + timer.interval_ms
      core.chain.box.longest = TIMER_WAITS_MS
      local ok, why, kind = core.chain.box:run(sandbox.SLICE, timer.run)
      if not ok then core.chain:report(why:match("^[%w_.-]+") or "?", "timer", kind, why) end
    end
  end
  local ids = {}
  for id in pairs(core.allocations) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do sweep_allocation(core, core.allocations[id]) end
  for _, of_pool in pairs(core.ports) do
    for _, of_family in pairs(of_pool) do of_family:sweep(core.now_ms) end
  end
  flush_events(core)
end

-- Rewrites a file of the policy directory, or a secret (a list).
function M:change(kind, name, content)
  self.spec[kind][name] = content
end

function M:advance(ms)
  self.sources:look()
  local until_ms = self.now_ms + ms
  repeat
    self.now_ms = next_due(self, until_ms)
    sweep(self)
  until self.now_ms >= until_ms
end

function M:close()
  local ids = {}
  for id in pairs(self.allocations) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do self:end_allocation(self.allocations[id], "shutdown", "core") end
  flush_events(self)
  self.chain:tell("shutdown")
end

function M:elapsed() return self.now_ms end
function M:held(scope, tenant, user) return self.quota:held(scope, tenant, user) end

for _, list in ipairs {"audit", "errors", "events", "log", "metrics"} do
  M[list] = function(self) return self.lists[list] end
end

return M
