-- room.lua: players reach the players of their own room and nothing else: no open relay at all.
--
--   relay --policy policies/rest_secret.lua --policy policies/room.lua
--
-- The credential names the room: a user is called "<room>:<player>", as rest_secret.lua makes of the username "<unix expiry>:<room>:<player>"; or the
-- tenant is the room. (jwt.lua does the same for the claim `room` of a token: jwt.room=group.) Who has no room is refused. The core compares rooms, packet by packet: a player may
-- send to, and gets from, the relayed addresses that players of the same room hold at that moment; rooms of different tenants are different rooms.
--
--   room.from       user   or tenant, or credential (the room that it was minted for): what names the room         room.separator   :   between the room and the player
--
-- All players have to use this one server, and to relay: with WebRTC, iceTransportPolicy = "relay". Their other candidates are answered 403, which
-- browsers take for one path less.

local P = relay.params("room", {from = {default = "user"}, separator = {default = ":"}})
local HOMELESS = relay.deny(403, "no room")

local place_of = ({                               -- the room and the player; nil or "" if there is none
  user = function(req) return relay.split(req.user, P.separator) end,
  tenant = function(req) return req.tenant, req.user end,
  credential = function(req) return req.room, req.user end,
})[P.from] or error("room.from: 'user', 'tenant' or 'credential' expected, got '" .. P.from .. "'", 0)

return {
  name = "room",
  authorize = function(req)                       -- the password is right: whoever made it vouches for the room
    local room, player = place_of(req)
    if not room or room == "" or not player or player == "" then return HOMELESS end
    return relay.allow{group = room}
  end,
}
