/* traffic.c: payload between a client and its peers, both ways. */
#include "spec/client.h"

#include "wire/build.h"

#include <lauxlib.h>
#include <string.h>

#define PACKET_MAX 1200
#define PEER_PORT 9

static struct addr with_port(struct addr peer)
{
    if (!peer.port)
        peer.port = PEER_PORT;
    return peer;
}

/* from_client: a Send indication; false if nothing reached the peer. */
static bool from_client(struct world *w, const struct client *c, const struct addr *peer, size_t len)
{
    static const uint8_t payload[PACKET_MAX] = {0};
    uint8_t bytes[ENGINE_HEADROOM + PACKET_MAX + 128], *packet = bytes + ENGINE_HEADROOM, tid[STUN_TID_LEN];
    struct build build;
    crypto_random(tid, sizeof tid);
    build_begin(&build, slab_over(packet, PACKET_MAX + 128 - ENGINE_TAILROOM), METHOD_SEND, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, peer);
    build_attr(&build, ATTR_DATA, view_of(payload, len));
    const size_t whole = build_end(&build).len;
    const struct send send = engine_from_client(w->engine, &c->flow, (struct packet){packet, whole, 0}, w->now);
    return send.to == SEND_TO_PEER && send.bytes.len == len && addr_equal(&send.peer, peer);
}

static bool to_client(struct world *w, const struct allocation *a, const struct addr *peer, size_t len)
{
    uint8_t bytes[ENGINE_HEADROOM + PACKET_MAX + ENGINE_TAILROOM] = {0};
    const struct packet packet = {.at = bytes + ENGINE_HEADROOM, .len = len};
    return engine_from_peer(w->engine, a->self, peer, packet, w->now).to == SEND_TO_CLIENT;
}

static bool relay(struct world *w, const struct client *c, const struct addr *peer, int at, size_t len)
{
    lua_getfield(w->lua, at, "direction");
    const bool out = lua_isstring(w->lua, -1) && strcmp(lua_tostring(w->lua, -1), "out") == 0;
    lua_pop(w->lua, 1);
    const struct addr whom = with_port(*peer);
    const struct allocation *a = client_allocation(w, c);
    return a && (out ? to_client(w, a, &whom, len) : from_client(w, c, &whom, len));
}

/* relay_all: in packets; 0 means that the first one did not pass. */
static size_t relay_all(struct world *w, const struct client *c, const struct addr *peer, int at, size_t bytes)
{
    size_t passed = 0;
    while (passed < bytes) {
        const size_t len = bytes - passed < PACKET_MAX ? bytes - passed : PACKET_MAX;
        if (!relay(w, c, peer, at, len))
            break;
        passed += len;
    }
    return passed;
}

static size_t relay_to_any(struct world *w, const struct client *c, int at, size_t bytes)
{
    const size_t known = c->peer_count < PEERS_MAX ? c->peer_count : PEERS_MAX;
    size_t passed = 0;
    for (size_t i = 0; i < known && !passed; i++)
        passed = relay_all(w, c, &c->peers[i], at, bytes);
    return passed;
}

static void push_outcome(lua_State *L, const char *reason)
{
    lua_newtable(L);
    lua_pushboolean(L, reason == NULL);
    lua_setfield(L, -2, "ok");
    row_number(L, "code", 0);
    row_text(L, "reason", reason);
    row_text(L, "by", reason ? "core" : NULL);
}

/* all_paced: what was dropped because of a limit on how much may pass. */
static uint64_t all_paced(const struct world *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PACE_LIMITS; i++)
        sum += engine_counts(w->engine)->paced[i];
    return sum;
}

void client_traffic(struct world *w, struct client *c, int at)
{
    lua_State *L = w->lua;
    struct addr peer;
    lua_getfield(L, at, "bytes");
    const size_t bytes = (size_t)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    if (!client_allocation(w, c)) {
        push_outcome(L, "no allocation");
        return;
    }
    const uint64_t throttled = all_paced(w);
    const bool named = lua_getfield(L, at, "peer") == LUA_TSTRING && addr_parse(view_text(lua_tostring(L, -1)), &peer) == 0;
    lua_pop(L, 1);
    const size_t passed = named ? relay_all(w, c, &peer, at, bytes) : relay_to_any(w, c, at, bytes);
    push_outcome(L, passed == bytes ? NULL : all_paced(w) != throttled ? "rate" : "no_permission");
}
