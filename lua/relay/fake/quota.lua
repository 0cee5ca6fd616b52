-- relay.fake.quota: how many allocations are held: in all, by a realm (tenant), by a user of a tenant. All three are taken, or none.

local M = {}

function M.new() return setmetatable({total = 0, realm = {}, user = {}}, {__index = M}) end

local function user_key(tenant, user) return (tenant or "") .. "\0" .. (user or "") end

function M:held(scope, tenant, user)
  if scope == "total" then return self.total end
  if scope == "realm" then return self.realm[tenant or ""] or 0 end
  if scope == "user" then return self.user[user_key(tenant, user)] or 0 end
  error(("count: '%s' is not 'total', 'realm' or 'user'"):format(tostring(scope)), 2)
end

local function change(self, tenant, user, n)
  local key = user_key(tenant, user)
  tenant = tenant or ""
  self.total, self.realm[tenant], self.user[key] = self.total + n, (self.realm[tenant] or 0) + n, (self.user[key] or 0) + n
end

-- nil, or the name of the limit that refuses
function M:take(tenant, user, limits)
  for _, scope in ipairs {"user", "realm", "total"} do
    local most = limits[scope .. "_quota"]
    if most and self:held(scope, tenant, user) >= most then return scope .. "_quota" end
  end
  change(self, tenant, user, 1)
end

function M:give(tenant, user) change(self, tenant, user, -1) end

return M
