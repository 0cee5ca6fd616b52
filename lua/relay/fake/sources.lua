-- relay.fake.sources: the files that policies read; what a session rewrites is seen from the next s:advance on, if it can be read.

local M = {}

-- read(name): the text of a file, or nil
function M.new(read) return setmetatable({read = read, opened = {}}, {__index = M}) end

-- A function that returns what `parse` (a value, or nil and why) makes of the file now; or nil and why.
function M:open(name, parse)
  local text = self.read(name)
  if not text then return nil, name .. ": No such file or directory" end
  local value, why = parse(text)
  if value == nil then return nil, why end
  local source = {name = name, parse = parse, value = value, text = text}
  table.insert(self.opened, source)
  return function() return source.value end
end

-- Reads again what has changed.
function M:look()
  for _, source in ipairs(self.opened) do
    local text = self.read(source.name)
    if text ~= source.text then
      source.text = text
      local value = text and source.parse(text)
      if value ~= nil then source.value = value end
    end
  end
end

return M
