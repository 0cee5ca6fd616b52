-- relay.nearest: the known name that an unknown one was probably meant to be.
--
--   nearest("athorize", {"authorize", "permission"})  --> "authorize"
--   nearest.hint(...)                                  --> "; did you mean 'authorize'?", or ""

local M = {}

-- the number of letters to insert, delete, change or swap with their neighbour to get from a to b
local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = {[0] = i}
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
    end
    before, last = last, row
  end
  return last[#b]
end

-- the nearest of the list `names`, or nil when none is near enough to be a slip of the finger
function M.find(name, names)
  local best, least = nil, math.max(2, #name // 3) + 1
  for _, known in ipairs(names) do
    local d = distance(tostring(name), tostring(known))
    if d < least then best, least = known, d end
  end
  return best
end

function M.hint(name, names)
  local best = M.find(tostring(name), names)
  return best and ("; did you mean '%s'?"):format(best) or ""
end

-- the keys of `t` that are strings, sorted
function M.keys(t)
  local keys = {}
  for k in pairs(t) do
    if type(k) == "string" then keys[#keys + 1] = k end
  end
  table.sort(keys)
  return keys
end

return setmetatable(M, {__call = function(_, ...) return M.find(...) end})
