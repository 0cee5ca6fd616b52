-- relay.spec.junit: results as the JUnit XML that CI systems read: a test suite for each file, a test case for each test.

local M = {}

-- XML 1.0 knows no other control characters, and UTF-8 only
local function escape(text)
  local valid = utf8.len(text) and text or text:gsub("[\128-\255]", "?")
  valid = valid:gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub("\u{FFFE}", "?"):gsub("\u{FFFF}", "?")
  return (valid:gsub("[&<>\"\n\r\t]", {
    ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\n"] = "&#10;", ["\r"] = "&#13;", ["\t"] = "&#9;",
  }))
end

local function class_of(path) return (path:gsub("^%./", ""):gsub("%.lua$", ""):gsub("/", ".")) end

local function case_of(result)
  local head = ('<testcase classname="%s" name="%s" file="%s" line="%d" time="%.6f"'):format(
    escape(class_of(result.file)), escape(result.name), escape(result.file), result.line, result.seconds)
  if result.status == "passed" then return head .. "/>" end
  local message = result.message or ""
  if result.status == "pending" then
    return ('%s><skipped message="%s"/></testcase>'):format(head, escape(message))
  end
  local tag = result.status == "failed" and "failure" or "error"
  local text = result.where .. "\n" .. message .. "\n" .. table.concat(result.trace, "\n")
  return ('%s><%s type="%s" message="%s">%s</%s></testcase>'):format(
    head, tag, tag == "failure" and "assertion" or "error", escape(message), escape(text), tag)
end

local function counts_of(results)
  local counts = {tests = #results, failed = 0, error = 0, pending = 0, passed = 0, seconds = 0}
  for _, result in ipairs(results) do
    counts[result.status] = counts[result.status] + 1
    counts.seconds = counts.seconds + result.seconds
  end
  return ('tests="%d" failures="%d" errors="%d" skipped="%d" time="%.6f"'):format(
    counts.tests, counts.failed, counts.error, counts.pending, counts.seconds)
end

-- The document. started: unix seconds.
function M.document(results, started)
  local lines, files, by_file = {'<?xml version="1.0" encoding="UTF-8"?>'}, {}, {}
  for _, result in ipairs(results) do
    if not by_file[result.file] then
      files[#files + 1], by_file[result.file] = result.file, {}
    end
    table.insert(by_file[result.file], result)
  end
  lines[2] = ('<testsuites name="relay test" %s>'):format(counts_of(results))
  for _, file in ipairs(files) do
    lines[#lines + 1] = ('<testsuite name="%s" file="%s" timestamp="%s" hostname="localhost" %s>'):format(
      escape(file), escape(file), os.date("!%Y-%m-%dT%H:%M:%S", started), counts_of(by_file[file]))
    for _, result in ipairs(by_file[file]) do lines[#lines + 1] = case_of(result) end
    lines[#lines + 1] = "</testsuite>"
  end
  lines[#lines + 1] = "</testsuites>\n"
  return table.concat(lines, "\n")
end

return M
