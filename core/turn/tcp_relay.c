/* tcp_relay.c: connections of TCP allocations, as the world tells of them. */
#include "turn/tcp_relay.h"

#include "turn/park.h"
#include "turn/permission.h"
#include "wire/build.h"

static struct tcp_peer *tcp_relay_peer(const struct engine *engine, struct handle handle)
{
    return pool_at(&engine->tcp_peers, handle);
}

/* tcp_relay_answer: to the Connect request that waits; a code drops the peer. */
static struct send tcp_relay_answer(struct engine *engine, struct tcp_peer *peer, int code, msec_t now)
{
    struct parked_request *request = peer->connect;
    const struct outcome outcome = {.code = code, .answer = {.connection_id = peer->id}, .peer = peer->peer};
    peer->connect = NULL;
    if (code)
        tcp_peer_drop(engine, peer);
    return engine_finish(engine, request, &outcome, now);
}

struct send engine_peer_connected(struct engine *engine, struct handle handle, msec_t now)
{
    struct tcp_peer *peer = tcp_relay_peer(engine, handle);
    if (!peer || peer->state != TCP_PEER_CONNECTING)
        return (struct send){0};
    return tcp_relay_answer(engine, peer, tcp_peer_pend(engine, peer, now) ? 0 : STUN_CAPACITY, now);
}

struct send engine_peer_failed(struct engine *engine, struct handle handle, msec_t now)
{
    struct tcp_peer *peer = tcp_relay_peer(engine, handle);
    if (!peer || peer->state != TCP_PEER_CONNECTING)
        return (struct send){0};
    peer->conn = -1;
    return tcp_relay_answer(engine, peer, STUN_CONNECTION_FAILED, now);
}

struct send tcp_relay_overdue(struct engine *engine, msec_t now)
{
    struct tcp_peer *peer;
    while ((peer = tcp_peer_overdue(engine, now))) {
        if (peer->state == TCP_PEER_CONNECTING)
            return tcp_relay_answer(engine, peer, STUN_CONNECTION_FAILED, now);
        tcp_peer_drop(engine, peer);
    }
    return (struct send){0};
}

static struct view tcp_relay_attempt(struct engine *engine, const struct tcp_peer *peer)
{
    uint8_t tid[STUN_TID_LEN];
    struct build build;
    relay_tid(engine, tid);
    build_begin(&build, slab_over(engine->reply, sizeof engine->reply), METHOD_CONNECTION_ATTEMPT, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, &peer->peer);
    build_attr_u32(&build, ATTR_CONNECTION_ID, peer->id);
    if (engine->config->fingerprint)
        build_fingerprint(&build);
    return build_end(&build);
}

struct send engine_peer_accepted(struct engine *engine, struct handle owner, const struct addr *from, int conn, struct handle *handle,
                                 msec_t now)
{
    struct allocation *allocation = pool_at(&engine->allocations, owner);
    if (!allocation || allocation->expires <= now || allocation->is_adrift)
        return (struct send){0};
    const struct addr name = peer_source(&engine->tcp_filter, from, allocation->group);
    if (name.family == ADDR_NONE)
        return relay_shut(engine, allocation);
    if (!permission_find(engine, allocation, &name, now))
        return relay_drop(&engine->counts.dropped_no_permission);
    struct tcp_peer *peer = tcp_peer_new(engine, allocation, &name, now);
    if (!peer)
        return (struct send){0};
    if (!tcp_peer_pend(engine, peer, now)) {
        tcp_peer_drop(engine, peer);
        return (struct send){0};
    }
    peer->conn = conn;
    *handle = peer->self;
    return (struct send){.to = SEND_TO_CLIENT, .bytes = tcp_relay_attempt(engine, peer), .flow = &allocation->flow};
}

size_t engine_peer_room(struct engine *engine, struct handle handle, bool in, msec_t now)
{
    const struct tcp_peer *peer = tcp_relay_peer(engine, handle);
    if (!peer)
        return 0;
    struct allocation *allocation = tcp_peer_allocation(engine, peer);
    if (allocation->expires <= now)
        return 0;
    if (allocation->pace && allocation->pace->active && !tenancy_wake(engine, allocation, now))
        return 0;
    return allocation->pace ? pace_room(allocation->pace, in ? PACE_IN : PACE_OUT, now) : SIZE_MAX;
}

void engine_peer_moved(struct engine *engine, struct handle handle, bool in, size_t bytes, msec_t now)
{
    const struct tcp_peer *peer = tcp_relay_peer(engine, handle);
    if (!peer)
        return;
    struct allocation *allocation = tcp_peer_allocation(engine, peer);
    if (allocation->pace)
        pace_spend(allocation->pace, in ? PACE_IN : PACE_OUT, bytes, now);
    allocation_count(engine, allocation, in, bytes);
}

void engine_peer_ended(struct engine *engine, struct handle handle)
{
    struct tcp_peer *peer = tcp_relay_peer(engine, handle);
    if (!peer)
        return;
    peer->conn = -1;
    tcp_peer_drop(engine, peer);
}
