/* request_connection_bind.c: ConnectionBind, RFC 6062 section 5.4: the connection that it came by becomes the client's data connection.
 *
 * The request is about the allocation that its CONNECTION-ID leads to, not about one of its own 5-tuple: realm, user, key and the client
 * that a nonce was given to are those of that allocation, as section 4.3 wants the credentials of the control connection.
 */
#include "turn/transaction.h"
#include "wire/attr.h"

static struct tcp_peer *connection_bind_peer(const struct engine *engine, const struct message *message)
{
    uint32_t id;
    return attr_u32(message, SLOT_CONNECTION_ID, &id) == 0 ? tcp_peer_pending(engine, id) : NULL;
}

/* Whoever names another user learns nothing of the id: it is as if there were none. */
struct allocation *connection_bind_allocation(const struct engine *engine, const struct message *message)
{
    const struct tcp_peer *peer = connection_bind_peer(engine, message);
    struct allocation *allocation = peer ? tcp_peer_allocation(engine, peer) : NULL;
    if (!allocation || message_has(message, SLOT_USERHASH))
        return allocation;
    return view_equal(view_text(allocation->username), message_attr(message, SLOT_USERNAME)) ? allocation : NULL;
}

/* A connection that has an allocation stays where it is, and is refused there. */
bool connection_bind_elsewhere(const struct engine *engine, const struct flow *flow, const struct message *message, unsigned *worker)
{
    uint32_t id;
    if (message->method != METHOD_CONNECTION_BIND || !flow_is_stream(flow) || allocation_find(engine, flow))
        return false;
    return attr_u32(message, SLOT_CONNECTION_ID, &id) == 0 && connections_find(engine->shared.connections, id, worker) &&
           *worker != engine->worker;
}

int request_connection_bind(struct transaction *tr)
{
    struct engine *engine = tr->engine;
    struct tcp_peer *peer = connection_bind_peer(engine, &tr->message);
    if (!flow_is_stream(tr->flow))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "transport");
    if (allocation_find(engine, tr->flow))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "control connection");
    if (!peer || !transaction_is_owner(tr))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "connection_id");
    tr->peer = peer->peer;
    if (!engine->host->tcp->splice(engine->host->ctx, peer->conn, tr->flow->link, peer->self))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "connection is gone");
    tcp_peer_bound(engine, peer);
    return 0;
}
