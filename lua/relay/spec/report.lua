-- relay.spec.report: results for people, for TAP, for GitHub and for programs. Each form is a table of result(r), called as they come, and finish(all).

local json = require "relay.json"

local M = {}

local function indent(text) return "    " .. text:gsub("\n", "\n    ") end

local function name_and_place(r) return ("%s: %s"):format(r.where, r.name) end

local function print_failure(r)
  print((r.status == "failed" and "FAILED " or "ERROR  ") .. name_and_place(r))
  print(indent(r.message))
  for _, line in ipairs(r.trace) do
    if line ~= r.where then print("        " .. line) end
  end
end

local function print_coverage(coverage)
  for _, file in ipairs(coverage.files) do
    print(("%5.1f %%  %s%s"):format(file.percent, file.path, file.missed ~= "" and "  missed " .. file.missed or ""))
  end
  print(("%5.1f %%  of %d lines of %d policy files ran"):format(coverage.percent, coverage.lines, #coverage.files))
end

M.human = {
  result = function(r)
    if r.status == "failed" or r.status == "error" then print_failure(r) end
    if r.status == "pending" then print("PENDING " .. name_and_place(r) .. (r.message and ": " .. tostring(r.message) or "")) end
  end,
  finish = function(all)
    if all.coverage then print_coverage(all.coverage) end
    for _, fault in ipairs(all.faults) do print(fault) end
    print(("%d passed, %d failed, %d pending in %.2f s"):format(all.passed, all.failed, all.pending, all.seconds))
  end,
}

local points = 0

M.tap = {
  result = function(r)
    points = points + 1
    local name = r.name:gsub("[#\n]", " ")
    if r.status == "pending" then
      print(("ok %d - %s # SKIP %s"):format(points, name, (tostring(r.message or "pending"):gsub("\n", " "))))
    else
      print(("%s %d - %s"):format(r.status == "passed" and "ok" or "not ok", points, name))
    end
    if r.message and r.status ~= "pending" then
      print((("\n" .. r.where .. "\n" .. r.message .. "\n" .. table.concat(r.trace, "\n")):gsub("\n", "\n# "):sub(2)))
    end
  end,
  finish = function(all)
    for _, fault in ipairs(all.faults) do
      points = points + 1
      print(("not ok %d - %s"):format(points, fault))
    end
    print("1.." .. points)
  end,
}

-- the remarks that GitHub shows beside the lines
M.github = {
  result = function(r)
    if r.status ~= "failed" and r.status ~= "error" then return end
    local file, line = r.where:match("^(.-):(%d+)$")
    local text = (r.name .. "\n" .. r.message):gsub("%%", "%%25"):gsub("\r", "%%0D"):gsub("\n", "%%0A")
    print(("::error file=%s,line=%s::%s"):format(file or r.file, line or r.line, text))
  end,
  finish = M.human.finish,
}

M.json = {
  result = function() end,
  finish = function(all)
    local results = {}
    for i, r in ipairs(all.results) do
      results[i] = {
        name = r.name, file = r.file, line = r.line, status = r.status, seconds = r.seconds, message = r.message and tostring(r.message),
        where = r.status ~= "passed" and r.where or nil, expected = r.expected, actual = r.actual,
      }
    end
    io.stdout:write(json.encode({
      passed = all.passed, failed = all.failed, pending = all.pending, seconds = all.seconds, results = results, coverage = all.coverage,
      faults = #all.faults > 0 and all.faults or nil,
    }), "\n")
  end,
}

return M
