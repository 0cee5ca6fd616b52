/* tcp_peer.c: the peers of TCP allocations. */
#include "turn/tcp_peer.h"

#include "turn/park.h"

static struct chain_of tcp_peer_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->tcp_peers, offsetof(struct tcp_peer, links)};
}

static struct chain_of tcp_peer_waiting_chain(const struct engine *engine)
{
    return (struct chain_of){&engine->tcp_peers, offsetof(struct tcp_peer, waiting)};
}

static void tcp_peer_wait(struct engine *engine, struct tcp_peer *peer, msec_t now)
{
    peer->deadline = now + TCP_PEER_WAIT_MS;
    chain_append(tcp_peer_waiting_chain(engine), &engine->tcp_waiting, peer->self.index);
}

static void tcp_peer_wait_no_more(struct engine *engine, struct tcp_peer *peer)
{
    chain_remove(tcp_peer_waiting_chain(engine), &engine->tcp_waiting, peer->self.index);
    if (peer->id) {
        table_drop(&engine->by_connection, peer->id, peer->self.index);
        connections_forget(engine->shared.connections, peer->id);
    }
    peer->id = 0;
}

struct tcp_peer *tcp_peer_new(struct engine *engine, struct allocation *allocation, const struct addr *name, msec_t now)
{
    const uint32_t most = engine->config->max_tcp_peers_each;
    struct handle self;
    if (most && allocation->tcp_peers >= most)
        return NULL;
    struct tcp_peer *peer = pool_take(&engine->tcp_peers, &self);
    if (!peer)
        return NULL;
    peer->self = self;
    peer->allocation = allocation->self.index;
    peer->conn = -1;
    peer->peer = *name;
    chain_append(tcp_peer_chain(engine), &allocation->rare->tcp_peers, self.index);
    allocation->tcp_peers++;
    tcp_peer_wait(engine, peer, now);
    return peer;
}

void tcp_peer_drop(struct engine *engine, struct tcp_peer *peer)
{
    struct allocation *allocation = tcp_peer_allocation(engine, peer);
    if (peer->state != TCP_PEER_BOUND)
        tcp_peer_wait_no_more(engine, peer);
    if (peer->conn >= 0)
        engine->host->tcp->drop(engine->host->ctx, peer->conn);
    park_free(peer->connect);
    chain_remove(tcp_peer_chain(engine), &allocation->rare->tcp_peers, peer->self.index);
    allocation->tcp_peers--;
    pool_give(&engine->tcp_peers, peer->self.index);
}

void tcp_peer_drop_all(struct engine *engine, struct allocation *allocation, uint8_t family)
{
    struct tcp_peer *next = tcp_peer_next(engine, allocation, NULL);
    for (struct tcp_peer *peer; (peer = next);) {
        next = tcp_peer_next(engine, allocation, peer);
        if (family == ADDR_NONE || peer->peer.family == family)
            tcp_peer_drop(engine, peer);
    }
}

bool tcp_peer_pend(struct engine *engine, struct tcp_peer *peer, msec_t now)
{
    tcp_peer_wait_no_more(engine, peer);
    tcp_peer_wait(engine, peer, now);
    peer->state = TCP_PEER_PENDING;
    uint32_t id;
    if (connections_issue(engine->shared.connections, engine->worker, &id) != 0)
        return false;
    if (table_put(&engine->by_connection, id, peer->self.index) != 0) {
        connections_forget(engine->shared.connections, id);
        return false;
    }
    peer->id = id;
    return true;
}

void tcp_peer_bound(struct engine *engine, struct tcp_peer *peer)
{
    tcp_peer_wait_no_more(engine, peer);
    peer->state = TCP_PEER_BOUND;
}

struct tcp_peer *tcp_peer_next(const struct engine *engine, const struct allocation *allocation, const struct tcp_peer *peer)
{
    const uint32_t first = allocation->rare ? allocation->rare->tcp_peers.first : POOL_NONE;
    return pool_index(&engine->tcp_peers, peer ? peer->links.next : first);
}

struct tcp_peer *tcp_peer_to(const struct engine *engine, const struct allocation *allocation, const struct addr *name)
{
    struct tcp_peer *peer = NULL;
    while ((peer = tcp_peer_next(engine, allocation, peer)) && !addr_equal(&peer->peer, name))
        ;
    return peer;
}

struct tcp_peer *tcp_peer_pending(const struct engine *engine, uint32_t id)
{
    struct table_cursor cursor;
    return id ? pool_index(&engine->tcp_peers, table_first(&engine->by_connection, id, &cursor)) : NULL;
}

struct tcp_peer *tcp_peer_overdue(const struct engine *engine, msec_t now)
{
    struct tcp_peer *first = pool_index(&engine->tcp_peers, engine->tcp_waiting.first);
    return first && first->deadline <= now ? first : NULL;
}

struct allocation *tcp_peer_allocation(const struct engine *engine, const struct tcp_peer *peer)
{
    return pool_index(&engine->allocations, peer->allocation);
}
