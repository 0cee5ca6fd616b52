-- audit.lua: who used the relay, how much, and who was refused, as rows in the audit table and lines in the log.
--
--   audit.refused   true    also what was refused: 403, 486, ... and failed logins (never the 401 that every client gets first)
--   audit.log       true    lines in the log besides the rows
--
-- Runs after the answer is sent and cannot change it. A row: type, user, tenant, src, peer, code, reason, by (the policy's file and line, or
-- "core"), tags (of other policies: "cc=DE,room=blue"), and for an allocation that ended its bytes and seconds. Rows go into the database (userdb),
-- the log where there is none; the user of a login that failed is who he said he was.

local P = relay.params("audit", {refused = {default = true}, log = {default = true}})
local refusals = relay.set{"denied", "auth_failed", "policy_error"}

local function row_of(ev)
  local tags = ev.tags and tostring(ev.tags)
  return {
    type = ev.type, user = ev.user or ev.username, tenant = ev.tenant, src = ev.src, peer = ev.peer, code = ev.code, reason = ev.reason,
    by = ev.by, bytes = ev.bytes, seconds = ev.seconds, tags = tags and tags ~= "" and tags or nil,
  }
end

return {
  name = "audit",
  log = function(ev)
    local refused = refusals[ev.type]
    if refused and not P.refused or not refused and ev.type ~= "closed" then return end
    local row = row_of(ev)
    relay.audit(row)
    if not P.log then return end
    if ev.type == "closed" then
      relay.log.info("allocation closed", row)
    else
      relay.log.warn("refused", row)
    end
  end,
}
