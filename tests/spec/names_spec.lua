-- Both cores have every name of the stubs (lua/relay/meta/relay.lua), and say of any other which was meant.
local T = require "relay.testing"
local mmdb = require "relay.mmdb"

local function stubs()
  local file = assert(io.open "lua/relay/meta/relay.lua")
  local text = file:read "a"
  file:close()
  return text
end

-- classes: {["relay.Request"] = {"id", ...}}; functions: {"relay.http.get", ...}; methods: {Shared = {"get", ...}}; those that are for the load
local function names()
  local classes, functions, methods, class, loads = {}, {}, {}, nil, {}
  for line in stubs():gmatch "[^\n]+" do
    loads.next = loads.next or line == "---Only while the policy loads."
    local owner, method = line:match "^function ([%w.]+):([%w_]+)"
    class = line:match "^%-%-%-@class ([%w.]+)" or class
    classes[class or ""] = classes[class or ""] or {}
    table.insert(classes[class or ""], line:match "^%-%-%-@field ([%w_%[%]]+)")
    if owner and not owner:find "^relay" then
      methods[owner] = methods[owner] or {}
      table.insert(methods[owner], method)
    elseif line:find "^function" then
      table.insert(functions, (line:match "^function ([%w_.:]+)":gsub(":", ".")))
      if loads.next then table.insert(loads, functions[#functions]) end
    end
    loads.next = loads.next and line:find "^%-%-%-"
  end
  return classes, functions, methods, loads
end

local more = {
  secrets = {s = {"x"}},
  files = {
    ["d.json"] = "{}", ["g.mmdb"] = mmdb.encode {["198.51.100.0/24"] = {country = {iso_code = "DE"}}},
    ["k.json"] = '{"keys":[{"kty":"oct","k":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}]}',
  },
}

local function server(text, given)
  given = given or {}
  given.policy, given.users, given.secrets, given.files = "p.lua", {ann = "p"}, more.secrets, {["p.lua"] = text}
  for name, content in pairs(more.files) do given.files[name] = content end
  return T.new(given)
end

-- why a policy does not load
local function why_not(text)
  local ok, why = pcall(server, text)
  assert.is_false(ok)
  return why
end

-- every hook runs once, and reads the members of what it is shown
local function reads(classes)
  local function members(class, name)
    local out = {}
    for _, field in ipairs(classes[class]) do out[#out + 1] = ("local _ = %s.%s"):format(name, field) end
    return table.concat(out, "\n")
  end
  return ([[
    return {
      init = function(ctx) %s end,
      authorize = function(req) %s %s local _, _ = req.attr, req.count end,
      usage = function(alloc, used) %s %s end,
      log = function(ev) %s end,
    }]]):format(members("relay.Ctx", "ctx"), members("relay.Request", "req"), members("relay.Address", "req.src"), members("relay.Allocation", "alloc"),
    members("relay.Usage", "used"), members("relay.Event", "ev"))
end

local objects = {
  Shared = "relay.shared('o', {max_entries = 1})", Ratelimit = "relay.ratelimit('r', {rate = 1, burst = 1})", Meter = "relay.meter('m', {period = 'day'})",
  Gate = "relay.gate('g', {max = 1})", Counter = "relay.metric.counter('c')", Cidr = "relay.cidr{}", Secret = "relay.secret('s')", Mmdb = "relay.mmdb('g.mmdb')",
}

-- what takes a table, around %s; in a hook: those that wait
local takes = {
  ["relay.AllowFields"] = "relay.allow(%s)", ["relay.KeyFields"] = "relay.key(%s)", ["relay.LookupFields"] = "relay.lookup('u', %s)",
  ["relay.AllowMeterFields"] = "relay.allow{meter = (function(t) t[1], t[2] = relay.meter('m', {period = 'day'}), 'k' return t end)(%s)}",
  ["relay.TenantFields"] = "relay.tenant('t', %s)", ["relay.RedirectFields"] = "relay.redirect(%s)", ["relay.ParamsFields"] = "relay.params('n', {x = %s})",
  ["relay.SharedFields"] = "relay.shared('o', %s)", ["relay.RatelimitFields"] = "relay.ratelimit('r', %s)", ["relay.MeterFields"] = "relay.meter('m', %s)",
  ["relay.GateFields"] = "relay.gate('g', %s)",
  ["relay.TimerEveryFields"] = "relay.timer.every(1, print, %s)", ["relay.SharedIncrFields"] = "relay.shared('o', {max_entries = 1}):incr('k', 1, %s)",
  ["relay.HttpGetFields"] = "relay.http.get('http://a.test/', %s)", ["relay.HttpPostFields"] = "relay.http.post('http://a.test/', %s)",
  ["relay.DnsLookupFields"] = "relay.dns.lookup('a.example', %s)",
  ["relay.JwtVerifyFields"] = "relay.jwt.verify('x', relay.jwt.keys('k.json'), %s)",
}

describe("names", function()
  local classes, functions, methods, loads = names()

  for _, path in ipairs(loads) do
    it("of the load are refused in hooks: " .. path, function()
      local s = server(("return {authorize = function()\n %s('x', {}) end}"):format(path))
      assert.equal(("p.lua:2: %s: only while the policy loads"):format(path), s:allocate({username = "ann", password = "p"}).reason)
    end)
  end

  it("of the library are functions", function()
    local lines = {}
    for i, path in ipairs(functions) do lines[i] = ("assert(type(%s) == 'function', %q)"):format(path, path) end
    assert.is_true(#lines > 30)
    server(table.concat(lines, "\n") .. "\nreturn {}")
  end)

  it("of what hooks are shown can be read", function()
    local s = server(reads(classes))
    local a = s:allocate {username = "ann", password = "p"}
    s:close(a)
    assert.same({true, {}}, {a.ok, s.errors})
  end)

  for class, make in pairs(objects) do
    it("of " .. class .. " are methods", function()
      local lines = {"local o = " .. make}
      for _, name in ipairs(methods[class]) do lines[#lines + 1] = ("assert(type(o.%s) == 'function')"):format(name) end
      server(table.concat(lines, "\n") .. "\nreturn {}")
      assert.matches("^p%.lua:2: .*did you mean '" .. methods[class][1] .. "'", why_not(("local o = %s\nlocal _ = o.%s_\nreturn {}"):format(make, methods[class][1])))
    end)
  end

  it("of tables that are given are all tried here", function()
    for class in pairs(classes) do assert.is_true(not class:find "Fields$" or takes[class] ~= nil, class) end
  end)

  for class, call in pairs(takes) do
    it("of " .. class .. " are told when another is given", function()
      local field = classes[class][#classes[class]]
      local body = call:format(("{%s_ = 1}"):format(field))
      local hook = (body:find "http" or body:find "dns") and "authorize" or "init"
      local ok, why = pcall(function()
        local s = server(("return {%s = function()\n local _ = %s end}"):format(hook, body))
        error(s:allocate({username = "ann", password = "p"}).reason, 0)
      end)
      assert.is_false(ok)
      assert.matches(("^p%%.lua:2: .*unknown field '%s_'; did you mean '%s'"):format(field, field), why)
    end)
  end

  it("of parts of the library, hooks and globals are told", function()
    for _, row in ipairs {
      {"relay.dney(403)", "'dney'; did you mean 'deny'"}, {"relay.http.gte('')", "'gte'; did you mean 'get'"},
      {"relay.users:gett('')", "'gett'; did you mean 'get'"}, {"relay.htpp.get('')", "'htpp'; did you mean 'http'"},
      {"string.fromat('')", "'fromat'; did you mean 'format'"}, {"tostrnig(1)", "unknown global 'tostrnig'; did you mean 'tostring'"},
    } do
      assert.matches("^p%.lua:%d: .*" .. row[2], why_not("local _ =\n" .. row[1] .. "\nreturn {}"))
    end
    assert.matches("^p%.lua:1: unknown hook 'athorize'; did you mean 'authorize'", why_not "return {athorize = print}")
    assert.matches("^p%.lua:1: authorize: a function expected, got number", why_not "return {authorize = 1}")
    assert.matches("^p%.lua:2: unknown global 'xx'", why_not "x = 1\nlocal t <const> = xx\nreturn {}")
  end)

  it("are read-only", function()
    for _, name in ipairs {"relay", "relay.http", "string", "relay.shared('o', {max_entries = 1})", "relay.allow()"} do
      assert.matches("^p%.lua:2: .*read%-only", why_not(("local t = %s\nt.x = 1\nreturn {}"):format(name)))
    end
    local s = server "return {authorize = function(req)\n req.user = 'eve' end}"
    assert.matches("^p%.lua:2: .*read%-only", s:allocate({username = "ann", password = "p"}).reason)
  end)

  it("that are globals are set while loading alone", function()
    local s = server "count = 1\nreturn {authorize = function()\n count = 2 end}"
    assert.matches("^p%.lua:3: global 'count' is set after load", s:allocate({username = "ann", password = "p"}).reason)
  end)
end)

describe("codes", function()
  it("that no policy may answer are refused where they are built", function()
    for _, number in ipairs {0, -1, 200, 300, 400, 420, 437, 438, 441, 446, 487, 500, 4294967699} do
      assert.matches("^p%.lua:2: relay%.deny: ", why_not(("local x\nx = relay.deny(%d)\nreturn {}"):format(number)))
    end
  end)

  it("that are another hook's fail closed", function()
    local s = server "return {authorize = function()\n return relay.deny(401) end}"
    local a = s:allocate {username = "ann", password = "p"}
    assert.same({500, "authorize may not answer 401 (built at p.lua:2)"}, {a.code, a.reason})
    s = server "return {authenticate = function() return relay.allow() end}"
    assert.equal(500, s:allocate({username = "ann", password = "p"}).code)
  end)
end)
