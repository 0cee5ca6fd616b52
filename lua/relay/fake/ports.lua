-- relay.fake.ports: relay ports of the fake core: the lowest free one first; even ones; a reserved neighbour (RFC 8656 section 7.2).

local M = {}
local RESERVED_MS <const> = 30000

function M.new(first, last) return setmetatable({first = first, last = last, used = {}, tickets = {}, serial = 0}, {__index = M}) end

local function free(self, port) return port <= self.last and not self.used[port] end

-- fields: even_port, reserve_next, reservation. A port and the token of its reserved neighbour; or nil
function M:take(fields, now_ms)
  if fields.reservation then
    local ticket = self.tickets[fields.reservation]
    self.tickets[fields.reservation] = nil
    return ticket and ticket.port
  end
  local step = fields.even_port and 2 or 1
  for port = fields.even_port and self.first + self.first % 2 or self.first, self.last, step do
    if free(self, port) and (not fields.reserve_next or free(self, port + 1)) then
      self.used[port] = true
      if not fields.reserve_next then return port end
      self.serial = self.serial + 1
      local token = ("reserved%d"):format(self.serial)
      self.used[port + 1], self.tickets[token] = true, {port = port + 1, ends = now_ms + RESERVED_MS}
      return port, token
    end
  end
end

function M:give(port) self.used[port] = nil end

function M:sweep(now_ms)
  for token, ticket in pairs(self.tickets) do
    if ticket.ends <= now_ms then
      self.used[ticket.port], self.tickets[token] = nil, nil
    end
  end
end

return M
