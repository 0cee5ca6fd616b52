-- relay.testing: tests a policy without a server, or the same way against the real core.
--
--   local T = require "relay.testing"
--   local s = T.new{policy = "quota.lua", set = {["quota.user"] = 1}, users = {["/ann"] = "p"}}
--   local a = s:allocate{username = "ann", password = "p", src = "198.51.100.1:5000"}
--   a.ok  a.code  a.reason  a.by                       -- 486  "user_quota"  "core"; or the policy's reason and "quota.lua:14"
--   s:permission(a, "20.0.0.9")   s:channel(a, "20.0.0.9", 0x4000)   s:refresh(a, {lifetime = 600})   s:traffic(a, bytes)
--   s:close(a)   s:advance(seconds)   s:now()   s:held("total" | "realm" | "user", tenant, user)   s:retransmit(a)   s:stop()
--   s:rewrite(file, text)   s:rotate(secret, {"newest", "older"})     -- on the disk; policies see it after the next s:advance
--   s:reload{["quota.lua"] = text}                     -- rewrites files, and reads the policies again: true; or nil and why the old ones stay
--   s.audit  s.errors  s.events  s.log  s.metrics      -- what the policies wrote, what went wrong, what the log hooks were told
--
-- T.new takes (a wrong name raises; a policy that would refuse the start of a server raises with file and line):
--   policy    a file name, or a list of them, in order; found in `files`, else in `dir`. May be left out
--   dir       the policy directory: $RELAY_POLICIES or "policies", else where the spec file is, or the directory above; a `policy` with a directory in
--             its name sets it. A directory that is said is seen from where the specs are run, else from the spec file
--   set       {["quota.user"] = 4}: what --set gives; lists as tables
--   users     {["tenant/user"] = "password"} ("/ann" or "ann": no tenant); the value may be {ha1 = "32 hex digits"}
--   mint_secret  the master secret of minted credentials; s:minted{tenant, key? tag? room? credential? expires? max_bps? max_allocations?} gives {username, password} of one
--   secrets   {name = {"newest", "older"}}
--   files     {["tenants.json"] = "{...}"}: instead of files in `dir`; policies too
--   jwt_signature  function(algorithm, kid, signed, signature) -> boolean: for the fake core, which verifies HS256 alone; the real one verifies
--   http_stubs  {[url] = function(request) ... end}: what relay.http gets, also s.http_stubs[url] = f. request: method, url, headers, body?; returns
--             {status?, body? or json?, headers?, after? (seconds)}, or nil and "timeout", "connect", ...; without a stub: "connect"
--   db_stubs  {[sql] = function(...) ... end}: what relay.db gets for that statement, also s.db_stubs[sql] = f. The parameters come as they reach the
--             database; returns a list of rows {name = value}, with after? (seconds) and columns? (names, for what is NULL in every row); or nil
--             and "timeout", "busy", "too large" or "failed"; or nil and what is wrong with the statement, which raises. Without a stub: that
--   dns_stubs {["SRV _turn._udp.example.org"] = list}: what relay.dns gets: a list, with after?, or a function that returns it, or nil and why: texts,
--             of SRV {target, port, priority?, weight?}. Without a stub: "not found"
--   realm     the default realm; now: unix seconds at the start; and options of the server, `-` as `_`:
--   total_quota user_quota max_allocate_lifetime permission_lifetime channel_lifetime min_port max_port allowed_peer_ip
--   denied_peer_ip allow_loopback_peers, relay_pools (names, at most 8: each has an address of both families), and usage_interval max_permissions max_channels max_pps max_user_bps max_new_peers
-- A request takes the fields named in `request_fields` below. Each allocate comes from a new client (5-tuple) unless `client = answer` names
-- the one of an earlier answer.
--
-- THE BACK-END. Without more, requests go to relay.fake.core. If the global `relay_core_backend` or the module `relay.testing.core` exists, they go
-- there: a table {open = function(spec) -> core}. All names in `spec` and `fields` below are always there unless marked `?`.
--   spec      policies = list of {name, text}; files = {name = text}; dir; set = {["ns.name"] = text}; realm; now (unix seconds);
--             jwt_signature? = as above; trace? (file, line): told what runs, if M.trace is set, of files of the directory; users = list of {tenant (""), user, password? or ha1?}; mint_secret? secrets = {name = list of text};
--             http(request) -> {status, body, headers} or nil, why; db(sql, ...) -> a list of rows, with columns = sorted names, or nil, why; dns(type,
--             name) -> a list or nil, why; of each then the seconds until that;
--             options = {the options above}: numbers, lists of text (…_peer_ip), boolean
--   open      starts a core on a virtual clock at `now`; runs `init`; raises "file:line: why" where a server would refuse to start
--   core:request(kind, fields) -> answer       one whole exchange of a client, challenge included
--     kind    "allocate" "refresh" "permission" "channel" "connect" "close" (Refresh with lifetime 0) "traffic" (payload, no request)
--     fields  client (integer: one 5-tuple), transaction (integer; the same one again is a retransmission within 40 s: the same answer,
--             nothing done twice, if it was signed by somebody who exists), src, dst ("ip:port"), transport ("udp" "tcp" "tls" "dtls"), username?
--             password? (none: not signed) mac_key? (hex; it signs in place of a password) access_token? hidden? (USERHASH in place of USERNAME)
--             sni? alpn? origin? listener? software? attributes? ({[number] = bytes}), lifetime? (s),
--             requested_transport? family? (4, 6) even_port? reserve_next? (EVEN-PORT's R) reservation? (an answer's) · permission, channel, connect: peer
--             ("ip" or "ip:port"), number
--             traffic: bytes, peer?, direction? ("in": from the client, the default; "out": to it). Payload bytes; packets of at most 1200
--     answer  ok; code (0 if ok; 0 and reason "no_permission": traffic not relayed); reason and by (as in the log event) if refused;
--             server, domain? with 300. If ok: lifetime (s left), relayed, mapped, user, tenant? realm, tags ({name = text}), group?,
--             limits (what applies: numbers by name), allocation (id), reservation?
--   core:change("files", name, text), core:change("secrets", name, list)   on the disk; seen from the next advance of 3 s or more on
--   core:reload() -> true, or nil and "file:line: why": the policies are exchanged, and take what the old ones saved; or the old ones stay
--   core:advance(ms)       moves the clock and runs everything that falls due on the way, in order: expiry, usage every usage_interval, timers
--   core:elapsed() -> ms since open: a request whose hooks wait moves the clock, too
--   core:close()           stops: live allocations end with reason "shutdown", `shutdown` hooks run
--   core:held(scope, tenant?, user?) -> units of quota held now: of "total", "realm" (of the tenant), "user"
--   core:audit() core:errors() core:events() core:log() core:metrics()   everything since open, oldest first:
--     rows as given to relay.audit, addresses as text; {policy = file, hook, kind = "error" | "type" | "fail" | "budget" | "memory", by, message};
--     {type, code, reason?, by, decision_id, policy_rev, method, user? tenant? realm? username? src, transport, peer? allocation? and for an
--     allocation bytes, bytes_in, bytes_out, packets_in, packets_out, seconds, group?, tags?}; {level, message, fields}; {['name{a="b"}'] = number}
-- Reasons of the core itself (by = "core"): 400 requested_transport, "not for tcp", reservation_token, channel_number, "bound otherwise", xor_peer_address; 401 unauthenticated,
-- unknown_user, bad_integrity; 403 peer_not_allowed, not_in_group, permission_acl, "tcp allocation", "udp allocation"; 437 "no allocation", "5-tuple in use"; 440 requested_address_family;
-- 441 "other user's allocation"; 442 requested_transport; 443 peer_family; 446 "connected already"; 486 total_quota, realm_quota, user_quota, meter_cap; 508 no_port, reservation_token,
-- max_permissions, max_channels, max_new_peers; 500 unknown_pool, or what the error of the policy said (by: its file:line). A refusal by a policy without a reason: "policy".
-- Ends of an allocation: released, expired, credential_expired, shutdown, meter_cap, or what relay.close said.

local address = require "relay.address"
local json = require "relay.json"
local minted = require "relay.fake.minted"
local strict = require "relay.fake.strict"

local M = {}

local new_fields = {"policy", "dir", "set", "users", "mint_secret", "secrets", "files", "realm", "now", "jwt_signature", "http_stubs", "db_stubs", "dns_stubs"}

local options = {
  max_allocate_lifetime = 3600, permission_lifetime = 300, channel_lifetime = 600, min_port = 49152, max_port = 65535,
  allowed_peer_ip = {}, denied_peer_ip = {}, relay_pools = {}, allow_loopback_peers = false, usage_interval = 60,
}
local without_default = {"total_quota", "user_quota", "max_permissions", "max_channels", "max_pps", "max_user_bps", "max_new_peers"}
for _, name in ipairs(without_default) do new_fields[#new_fields + 1] = name end
for name in pairs(options) do new_fields[#new_fields + 1] = name end
table.sort(new_fields)

local request_fields = {
  "username", "password", "access_token", "mac_key", "src", "dst", "transport", "sni", "alpn", "origin", "listener", "software", "attributes",
  "lifetime", "requested_transport", "family", "even_port", "reserve_next", "reservation", "peer", "number", "bytes", "direction", "client", "hidden",
}
local kept_fields = {"username", "password", "mac_key", "hidden", "src", "dst", "transport", "sni", "alpn", "origin", "listener", "software"}

-- "relay.testing.core" if somebody brought it: a broken one raises rather than being replaced by the fake
local function backend()
  local given = rawget(_G, "relay_core_backend")
  if given then return given, "core" end
  local name = "relay.testing.core"
  if package.loaded[name] or package.preload[name] or package.searchpath(name, package.path) or package.searchpath(name, package.cpath) then
    return require(name), "core"
  end
  return require "relay.fake.core", "fake"
end

local function read_file(path)
  local file, why = io.open(path, "rb")
  if not file then error(why, 0) end
  local text = file:read("a")
  file:close()
  return text
end

local function text_of(value)
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for i, item in ipairs(value) do items[i] = tostring(item) end
  return table.concat(items, ",")
end

local function is_file(path)
  local file = io.open(path, "rb")
  return file ~= nil and file:close()
end

-- the directory of the spec file that is running, with "/" behind; "" if none is
local function spec_dir()
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and not info.source:find("_spec%.lua$") do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return info and info.source:match("^@(.*/)") or ""
end

-- "a/spec/" -> "a"
local function above(dir)
  local up, last = dir:match("^(.-)([^/]+)/$")
  if not last or last:find("^%.%.?$") then return dir .. ".." end
  return up == "" and "." or (up:gsub("(.)/$", "%1"))
end

-- Where a policy is: in `dir`, as it was said, or seen from the spec file; where none was said, also beside the spec file and above it.
local function find_policy(name, dir, is_said)
  local own, places = spec_dir(), {dir}
  if is_said then places[2] = own .. dir else places[2], places[3] = own .. ".", above(own) end
  for _, place in ipairs(places) do
    if is_file(place .. "/" .. name) then return (place:gsub("/%.$", ""):gsub("^%./", "")) end
  end
  return dir
end

-- tells `trace` which lines of files of the policy directory run
local function trace_of(spec, trace)
  return function(name, line)
    if not spec.files[name] then trace(((spec.dir .. "/" .. name):gsub("^%./", "")), line) end
  end
end

local function policies_of(given, spec)
  local names = type(given.policy) == "table" and given.policy or {given.policy}
  for i, path in ipairs(names) do
    local dir, name = path:match("^(.*)/([^/]+)$")
    name, dir = name or path, dir or i > 1 and spec.dir
    if not spec.files[name] then spec.dir = find_policy(name, dir or spec.dir, dir or given.dir) end
    spec.policies[i] = {name = name, text = spec.files[name] or read_file(spec.dir .. "/" .. name)}
    if M.trace and not spec.files[name] then spec.trace = trace_of(spec, M.trace) end
  end
end

local function users_of(given)
  local list = {}
  for name, secret in pairs(given) do
    local tenant, user = name:match("^([^/]*)/(.+)$")
    local entry = type(secret) == "table" and {ha1 = secret.ha1} or {password = secret}
    entry.tenant, entry.user = tenant or "", user or name
    list[#list + 1] = entry
  end
  table.sort(list, function(a, b) return a.tenant .. "\0" .. a.user < b.tenant .. "\0" .. b.user end)
  return list
end

-- what the stub of a URL says: status, body and headers; or nil, why; and after how many seconds
local function http_of(stubs)
  return function(request)
    local stub = stubs[request.url]
    if not stub then return nil, "connect", 0 end
    local said, why = stub(request)
    if not said then return nil, why or "failed", 0 end
    local headers = {}
    for name, value in pairs(said.headers or {}) do headers[name:lower()] = value end
    local body = said.body or said.json ~= nil and json.encode(said.json) or ""
    return {status = said.status or 200, body = body, headers = headers}, nil, said.after or 0
  end
end

-- the names in the rows, and those that are said to be
local function columns_of(said)
  local known, columns = {}, {}
  for _, name in ipairs(said.columns or {}) do known[name] = true end
  for _, row in ipairs(said) do
    for name in pairs(row) do known[name] = true end
  end
  for name in pairs(known) do columns[#columns + 1] = name end
  table.sort(columns)
  return columns
end

local function db_of(stubs)
  return function(sql, ...)
    local stub = stubs[sql]
    if not stub then return nil, "db_stubs has no '" .. sql .. "'", 0 end
    local said, why = stub(...)
    if not said then return nil, why or "failed", 0 end
    local rows = {columns = columns_of(said)}
    for i, row in ipairs(said) do
      rows[i] = {}
      for name, value in pairs(row) do
        if type(value) == "boolean" then value = value and 1 or 0 end
        rows[i][name] = value
      end
    end
    return rows, nil, said.after or 0
  end
end

local function dns_of(stubs)
  return function(kind, name)
    local stub, why = stubs[kind .. " " .. name], nil
    if type(stub) == "function" then stub, why = stub() end
    if not stub then return nil, why or "not found", 0 end
    local records = {}
    for i, record in ipairs(stub) do
      records[i] = record
      if kind == "SRV" then
        records[i] = {target = record.target, port = record.port, priority = record.priority or 0, weight = record.weight or 0}
      end
    end
    return records, nil, stub.after or 0
  end
end

local function spec_of(given)
  local spec = {
    policies = {}, files = given.files or {}, dir = given.dir or os.getenv("RELAY_POLICIES") or "policies", set = {},
    users = users_of(given.users or {}), mint_secret = given.mint_secret, secrets = given.secrets or {}, realm = given.realm or "relay.test", now = given.now or 1700000000,
    options = {}, jwt_signature = given.jwt_signature,
  }
  spec.http_stubs = given.http_stubs or {}
  spec.http = http_of(spec.http_stubs)
  spec.db_stubs, spec.dns_stubs = given.db_stubs or {}, given.dns_stubs or {}
  spec.db, spec.dns = db_of(spec.db_stubs), dns_of(spec.dns_stubs)
  for name, value in pairs(given.set or {}) do spec.set[name] = text_of(value) end
  for name, default in pairs(options) do
    local value = given[name]
    if value == nil then value = default end
    if type(default) == "table" and type(value) ~= "table" then value = {value} end
    spec.options[name] = value
  end
  for _, name in ipairs(without_default) do spec.options[name] = given[name] end
  policies_of(given, spec)
  return spec
end

local Session = {}
local lists = {audit = true, errors = true, events = true, log = true, metrics = true}

function Session.__index(self, name)
  if lists[name] then return self.core[name](self.core) end
  return Session[name]
end

-- Starts a server for a test.
function M.new(given)
  strict.only("relay.testing.new", given or {}, new_fields)
  local spec = spec_of(given or {})
  local make, name = backend()
  return setmetatable({
    core = make.open(spec), backend = name, spec = spec, http_stubs = spec.http_stubs, db_stubs = spec.db_stubs, dns_stubs = spec.dns_stubs,
    clients = 0, transactions = 0,
  }, Session)
end

local tls = {tls = true, dtls = true}

local function from_new_client(self, fields)
  self.clients = self.clients + 1
  fields.client, fields.transport = self.clients, fields.transport or "udp"
  fields.src = fields.src or "198.51.100.1:" .. 10000 + self.clients
  local src = address.parse(fields.src)
  if not src or src.port == 0 then error("src: an address with a port expected, got " .. fields.src, 4) end
  local port = tls[fields.transport] and 5349 or 3478
  fields.dst = fields.dst or (src.family == 6 and "[2001:db8::1]:" or "192.0.2.1:") .. port
end

-- the fields of a request: those given, and what is the same for every request of the client of `earlier`
local function fields_of(self, earlier, given)
  strict.only("request", given or {}, request_fields)
  local fields = {}
  for name, value in pairs(given or {}) do fields[name] = value end
  earlier = earlier or fields.client
  if not earlier then
    from_new_client(self, fields)
    return fields
  end
  for _, name in ipairs(kept_fields) do
    if fields[name] == nil then fields[name] = earlier.sent[name] end
  end
  fields.client = earlier.sent.client
  return fields
end

local function request(self, kind, fields)
  if not fields.transaction then
    self.transactions = self.transactions + 1
    fields.transaction = self.transactions
  end
  local answer = {}
  for name, value in pairs(self.core:request(kind, fields)) do answer[name] = value end
  answer.sent, answer.kind = fields, kind
  return answer
end

function Session:allocate(fields) return request(self, "allocate", fields_of(self, nil, fields)) end
function Session:refresh(a, fields) return request(self, "refresh", fields_of(self, a, fields)) end
function Session:close(a, fields) return request(self, "close", fields_of(self, a, fields)) end

local function with_peer(self, a, peer, given)
  local fields = fields_of(self, a, given)
  fields.peer = peer
  return fields
end

function Session:permission(a, peer, fields) return request(self, "permission", with_peer(self, a, peer, fields)) end

function Session:connect(a, peer, fields) return request(self, "connect", with_peer(self, a, peer, fields)) end

function Session:channel(a, peer, number, fields)
  fields = with_peer(self, a, peer, fields)
  fields.number = number
  return request(self, "channel", fields)
end

function Session:traffic(a, bytes, fields)
  fields = fields_of(self, a, fields)
  fields.bytes = bytes
  return request(self, "traffic", fields)
end

-- the request that was answered with `answer`, once more, as a client does that missed the answer
function Session:retransmit(answer) return request(self, answer.kind, answer.sent) end

function Session:advance(seconds)
  self.core:advance(math.floor(seconds * 1000))
end

function Session:rewrite(file, text) self.core:change("files", file, text) end

-- files: {name = text}, if any have changed
function Session:reload(files)
  for name, text in pairs(files or {}) do self:rewrite(name, text) end
  return self.core:reload()
end

function Session:rotate(secret, list) self.core:change("secrets", secret, list) end

-- unix seconds
local minted_fields = {"tenant", "key", "tag", "room", "credential", "expires", "max_bps", "max_allocations"}

function Session:minted(given)
  strict.only("minted", given, minted_fields)
  local said = {expires = self:now() + 3600}
  for name, value in pairs(given) do said[name] = value end
  local username = minted.username(said)
  return {username = username, password = minted.password(self.spec.mint_secret, username)}
end

function Session:now() return self.spec.now + self.core:elapsed() // 1000 end
function Session:held(scope, tenant, user) return self.core:held(scope, tenant, user) end
function Session:stop() self.core:close() end

return M
