-- Every ```lua block of the documents that users read is loaded as the policy it shows, or run as the spec it shows. Specs that have a file's name are
-- run by tests/e2e/guide.py, as users run them.

local T = require "relay.testing"

local files = {} -- what the blocks that have a file's name say

local function blocks(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text, found = file:read("a"), {}
  file:close()
  for at, language, name, body in text:gmatch("\n()```(%w+) ?(%S*)\n(.-)\n```") do
    local _, lines = text:sub(1, at):gsub("\n", "")
    if name ~= "" then files[name] = body end
    if language == "lua" and not name:find("_spec.lua$") then found[#found + 1] = {line = lines + 1, text = body} end
  end
  return found
end

local function load_policy(block)
  local given = {}
  for name, text in pairs(files) do given[name] = text end
  given["example.lua"] = block.text
  T.new {policy = "example.lua", files = given, secrets = {rest = {"secret"}}}
end

for path, least in pairs {["README.md"] = 0, ["policies/README.md"] = 3} do
  describe("examples of " .. path, function()
    local found = blocks(path) or {}
    it("are there", function() assert.is_true(#found >= least) end)
    for _, block in ipairs(found) do
      if block.text:find("relay.testing", 1, true) then
        assert(load(block.text, "@" .. path .. ":" .. block.line, "t", _ENV))()
      else
        it("line " .. block.line .. " loads", function() load_policy(block) end)
      end
    end
  end)
end
