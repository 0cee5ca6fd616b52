/* request_connect.c: Connect, RFC 6062 section 5.2: answered when the connection is there, or has failed.
 *
 * A peer without a permission is judged as for one, by the filter and by the policy, but gets none: permissions are for those who come by
 * themselves.
 */
#include "turn/park.h"
#include "turn/permission.h"
#include "wire/attr.h"

#include "base/err.h"

#include <string.h>

/* connect_waits: this very request is being worked on. */
static bool connect_waits(const struct transaction *tr)
{
    const struct tcp_peer *peer = NULL;
    while ((peer = tcp_peer_next(tr->engine, tr->allocation, peer)))
        if (peer->connect && memcmp(peer->connect->bytes.at + STUN_HEADER_LEN - STUN_TID_LEN, tr->message.tid, STUN_TID_LEN) == 0)
            return true;
    return false;
}

/* connect_judge: whether there may be a connection to the peer; *to: the address to reach it by. */
static int connect_judge(struct transaction *tr, const struct addr *peer, struct addr *to)
{
    const struct peer_filter *filter = &tr->engine->tcp_filter;
    if (!permission_find(tr->engine, tr->allocation, peer, tr->now)) {
        const int code = permission_judge(tr, peer);
        if (code)
            return code;
    }
    *to = peer_destination(filter, peer, tr->allocation->group).to;
    if (to->family == ADDR_NONE || relayed_is_own(tr->allocation, to))
        return permission_refuse(tr);
    return relayed_sock(tr->allocation, to->family) < 0 ? transaction_refuse(tr, STUN_PEER_FAMILY_MISMATCH, "peer_family") : 0;
}

static int connect_start(struct transaction *tr, const struct addr *name, const struct addr *to)
{
    struct engine *engine = tr->engine;
    struct tcp_peer *peer = tcp_peer_new(engine, tr->allocation, name, tr->now);
    if (!peer)
        return transaction_exceed(tr, STUN_CAPACITY, "max_tcp_peers",
                                  (struct gauge){tr->allocation->tcp_peers, engine->config->max_tcp_peers_each});
    int conn, err = engine->host->tcp->connect(engine->host->ctx, relayed_sock(tr->allocation, to->family), to, peer->self, &conn);
    if (!err) {
        peer->conn = conn;
        peer->connect = park_copy(tr);
        err = peer->connect ? 0 : ERR_MEMORY;
    }
    if (!err) {
        transaction_tell(tr, EVENT_PERMISSION, 0, name);
        return TRANSACTION_PARKED;
    }
    tcp_peer_drop(engine, peer);
    return err == ERR_SYSTEM ? transaction_refuse(tr, STUN_CONNECTION_FAILED, "unreachable")
                             : transaction_refuse(tr, STUN_CAPACITY, "no_descriptor");
}

int request_connect(struct transaction *tr)
{
    struct addr peer, to;
    if (tr->allocation->protocol != PROTOCOL_TCP)
        return transaction_refuse(tr, STUN_FORBIDDEN, "udp allocation");
    if (connect_waits(tr))
        return TRANSACTION_PARKED;
    if (attr_xor_addr(&tr->message, SLOT_XOR_PEER_ADDRESS, &peer) != 0)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "xor_peer_address");
    tr->peer = peer = peer_name(&tr->engine->tcp_filter, &peer);
    if (tcp_peer_to(tr->engine, tr->allocation, &peer))
        return transaction_refuse(tr, STUN_CONNECTION_EXISTS, "connected already");
    int code = connect_judge(tr, &peer, &to);
    if (code || (code = permission_pace(tr)))
        return code;
    code = connect_start(tr, &peer, &to);
    if (code != TRANSACTION_PARKED)
        permission_unpace(tr, 1);
    return code;
}
