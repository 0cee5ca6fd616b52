/* tcp_relay.h: what the world tells the engine of the connections of TCP allocations, RFC 6062; with struct tcp_host of host.h the way
 * there and back.
 *
 * The engine decides who may be connected, names the connections, and counts; bytes never pass through it. A handle names a peer
 * (turn/tcp_peer.h); stale ones are harmless.
 */
#ifndef RELAY_TURN_TCP_RELAY_H
#define RELAY_TURN_TCP_RELAY_H

#include "turn/engine.h"

/* engine_peer_connected, engine_peer_failed: how host.tcp->connect came out: the answer to the Connect request. After engine_peer_failed
 * the host has no connection any more. */
struct send engine_peer_connected(struct engine *, struct handle peer, msec_t now);
struct send engine_peer_failed(struct engine *, struct handle peer, msec_t now);

/* engine_peer_accepted: `conn` came from `from` to an allocation's listener: a ConnectionAttempt indication, and *peer; SEND_NOTHING: close
 * it, nobody wants it. */
struct send engine_peer_accepted(struct engine *, struct handle allocation, const struct addr *from, int conn, struct handle *peer,
                                 msec_t now);

/* engine_peer_room: how many bytes may be read now, to be relayed from (`in`) or to the client; 0: ask again a little later.
 * engine_peer_moved: they were read. */
size_t engine_peer_room(struct engine *, struct handle peer, bool in, msec_t now);
void engine_peer_moved(struct engine *, struct handle peer, bool in, size_t bytes, msec_t now);

/* engine_peer_ended: the connection is closed, on both sides. */
void engine_peer_ended(struct engine *, struct handle peer);

#endif
