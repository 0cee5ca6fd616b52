/* tcp_peer.h: the peers that a TCP allocation is connected with, or is about to be, RFC 6062.
 *
 *     CONNECTING --connected--> PENDING --ConnectionBind--> BOUND
 *     a peer's own connection ----^
 *
 * A CONNECTING one keeps the Connect request that waits for it; a PENDING one has a CONNECTION-ID, in the ledger, too. Both live
 * TCP_PEER_WAIT_MS at most, so those that wait are in the order of their deadlines. The sockets are the host's.
 */
#ifndef RELAY_TURN_TCP_PEER_H
#define RELAY_TURN_TCP_PEER_H

#include "turn/allocation.h"

#define TCP_PEER_WAIT_MS 30000 /* sections 5.2 and 5.3 */

struct engine;
struct parked_request;

enum tcp_peer_state { TCP_PEER_CONNECTING, TCP_PEER_PENDING, TCP_PEER_BOUND };

struct tcp_peer {
    struct handle self;
    uint32_t allocation;
    enum tcp_peer_state state;
    uint32_t id;      /* CONNECTION-ID while PENDING, else 0 */
    int conn;         /* the host's number of the connection; -1: it has none any more */
    struct addr peer; /* its name */
    msec_t deadline;
    struct parked_request *connect; /* while CONNECTING */
    struct links links;             /* in the allocation's list */
    struct links waiting;           /* unless BOUND */
};

/* tcp_peer_new: a CONNECTING one without connection; NULL at a limit or without memory. tcp_peer_drop: closes its connection, forgets it.
 * tcp_peer_drop_all: all of the allocation, or those of one family. */
struct tcp_peer *tcp_peer_new(struct engine *, struct allocation *, const struct addr *peer, msec_t now);
void tcp_peer_drop(struct engine *, struct tcp_peer *);
void tcp_peer_drop_all(struct engine *, struct allocation *, uint8_t family);

/* tcp_peer_pend: its connection is there: issues the id; false if there is none left. tcp_peer_bound: it has found its client's. */
bool tcp_peer_pend(struct engine *, struct tcp_peer *, msec_t now);
void tcp_peer_bound(struct engine *, struct tcp_peer *);

/* tcp_peer_to: that of the allocation with this name (address and port), or NULL. tcp_peer_pending: by id, or NULL. */
struct tcp_peer *tcp_peer_to(const struct engine *, const struct allocation *, const struct addr *peer);
struct tcp_peer *tcp_peer_pending(const struct engine *, uint32_t id);

/* tcp_peer_next: walks the allocation's; NULL: from the first. tcp_peer_overdue: one whose time to wait is over, or NULL. */
struct tcp_peer *tcp_peer_next(const struct engine *, const struct allocation *, const struct tcp_peer *);
struct tcp_peer *tcp_peer_overdue(const struct engine *, msec_t now);

struct allocation *tcp_peer_allocation(const struct engine *, const struct tcp_peer *);

#endif
