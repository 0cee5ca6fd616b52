-- relay.spec.coverage: which lines of the policies' files ran.
--
--   local c = coverage.new()   c.trace(path, line)   c:report() --> {files = {{path, lines, ran, percent, missed = "3-5 9"}, ...}, lines, ran, percent}

local lines = require "relay.spec.lines"

local M = {}
M.__index = M

function M.new()
  local self = setmetatable({ran = {}}, M)
  function self.trace(path, line)
    local of = self.ran[path]
    if not of then
      of = {}
      self.ran[path] = of
    end
    of[line] = true
  end
  return self
end

local function percent(ran, count) return count == 0 and 100.0 or 100 * ran / count end

-- {3, 4, 5, 9} -> "3-5 9"; lines that cannot run do not part a range
local function ranges_of(missed, can_run)
  local ranges, at = {}, 0
  for _, line in ipairs(missed) do
    local last = ranges[#ranges]
    local parted = not last
    for between = at + 1, line - 1 do parted = parted or can_run[between] end
    if parted then ranges[#ranges + 1] = {line, line} else last[2] = line end
    at = line
  end
  for i, range in ipairs(ranges) do ranges[i] = range[1] == range[2] and tostring(range[1]) or range[1] .. "-" .. range[2] end
  return table.concat(ranges, " ")
end

local function file_report(path, ran)
  local file = io.open(path, "rb")
  local text = file and file:read("a") or ""
  if file then file:close() end
  local can_run, why = lines.of(text)
  if not can_run then error(("coverage of %s: %s"):format(path, why), 0) end
  local missed, count = {}, 0
  for line in pairs(can_run) do
    count = count + 1
    if not ran[line] then missed[#missed + 1] = line end
  end
  table.sort(missed)
  return {path = path, lines = count, ran = count - #missed, percent = percent(count - #missed, count), missed = ranges_of(missed, can_run)}
end

function M:report()
  local report = {files = {}, lines = 0, ran = 0}
  for path, ran in pairs(self.ran) do
    local of = file_report(path, ran)
    table.insert(report.files, of)
    report.lines, report.ran = report.lines + of.lines, report.ran + of.ran
  end
  table.sort(report.files, function(a, b) return a.path < b.path end)
  report.percent = percent(report.ran, report.lines)
  return report
end

return M
