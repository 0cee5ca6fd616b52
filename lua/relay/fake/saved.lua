-- relay.fake.saved: what a policy's `save` returned, copied: plain data that leads nowhere else.

local M = {}
local BYTES_MAX <const>, VALUE <const>, DEPTH_MAX <const> = 65536, 8, 32

local plain = {["nil"] = true, boolean = true, number = true, string = true}

local function copy(value, state, depth)
  local kind = type(value)
  state.left = state.left - VALUE - (kind == "string" and #value or 0)
  if state.left < 0 then error("more than 64 KiB", 0) end
  if plain[kind] then return value end
  if kind ~= "table" then error(("a %s is no plain data"):format(kind), 0) end
  if depth == DEPTH_MAX then error(("nested more than %d levels"):format(DEPTH_MAX), 0) end
  if getmetatable(value) then error("a table with a metatable is no plain data", 0) end
  local out = {}
  for k, v in pairs(value) do out[copy(k, state, depth + 1)] = copy(v, state, depth + 1) end
  return out
end

-- the copy; raises why there is none
function M.copy(value) return copy(value, {left = BYTES_MAX}, 0) end

return M
