-- relay.spec: what `relay test` runs: finds specs, runs them, reports. Specs are those of busted's common words; lua/README.md lists them.
--
--   require("relay.spec").main{paths, filter?, coverage?, coverage_min?, junit?, format, live?, list, clock} -> whether all is well
--
--   list(path) -> "file"; the names in a directory, sorted, those of directories with "/" behind; or nil, why.   clock() -> seconds.

local coverage = require "relay.spec.coverage"
local junit = require "relay.spec.junit"
local report = require "relay.spec.report"
local suites = require "relay.spec.suite"
local testing = require "relay.testing"

local M = {}

-- where specs are looked for if no path is given: beside the policies
local PLACES <const> = {{".", false}, {"spec", true}, {"policies", false}, {"policies/spec", true}}

local function join(dir, name) return dir == "." and name or dir:gsub("/+$", "") .. "/" .. name end

-- Appends the spec files of a directory, those below it too if `deep`.
local function gather(list, dir, deep, found)
  for _, name in ipairs(list(dir) or {}) do
    if name:sub(-1) == "/" then
      if deep and name:sub(1, 1) ~= "." then gather(list, join(dir, name:sub(1, -2)), deep, found) end
    elseif name:find("_spec%.lua$") then
      found[#found + 1] = join(dir, name)
    end
  end
  return found
end

-- The spec files to run, and what is wrong with the paths.
local function find(options)
  local found, faults = {}, {}
  for _, path in ipairs(options.paths) do
    local kind, why = options.list(path)
    if not kind then
      faults[#faults + 1] = why
    elseif kind == "file" then
      found[#found + 1] = path
    elseif #gather(options.list, path, true, found) == 0 then
      faults[#faults + 1] = path .. ": no *_spec.lua in it"
    end
  end
  for _, place in ipairs(#options.paths == 0 and PLACES or {}) do
    if type(options.list(place[1])) == "table" then gather(options.list, place[1], place[2], found) end
  end
  if #found == 0 and #faults == 0 then faults[1] = "no specs found: no *_spec.lua here, in spec/, policies/ or policies/spec/" end
  return found, faults
end

local function write_junit(path, results, started, faults)
  local file, why = io.open(path, "wb")
  if file then
    local written
    written, why = file:write(junit.document(results, started))
    local closed, also = file:close()
    if written and closed then return end
    why = why or also
  end
  faults[#faults + 1] = "--junit: " .. tostring(why)
end

-- what is wrong beyond single tests
local function judge(options, all)
  if #all.results == 0 and #all.faults == 0 then all.faults[1] = ("no test matches %q"):format(options.filter) end
  if options.coverage and all.coverage.percent < (options.coverage_min or 0) then
    table.insert(all.faults, ("coverage: %.1f %% is less than %g %%"):format(all.coverage.percent, options.coverage_min))
  end
  if options.coverage and #all.coverage.files == 0 then table.insert(all.faults, "coverage: no policy file was loaded") end
end

-- in a spec, os.exit would end the run as if all were well
local function refuse_exit() error("os.exit: not in a spec", 2) end

function M.main(options)
  local form = report[options.format]
  local files, faults = find(options)
  local all = {results = {}, faults = faults, passed = 0, failed = 0, pending = 0}
  local began, started = options.clock(), os.time()
  local suite = suites.new(function(result)
    table.insert(all.results, result)
    local count = result.status == "error" and "failed" or result.status
    all[count] = all[count] + 1
    form.result(result)
  end, options.clock, options.filter)
  local traced = options.coverage and coverage.new()
  testing.trace = traced and traced.trace or nil
  os.exit = refuse_exit -- luacheck: ignore
  for _, path in ipairs(files) do suite:file(path) end
  all.seconds = options.clock() - began
  all.coverage = traced and traced:report() or nil
  judge(options, all)
  if options.junit then write_junit(options.junit, all.results, started, faults) end
  form.finish(all)
  io.stdout:flush()
  return all.failed == 0 and #faults == 0
end

return M
