/* peer_stream.h: the sockets of TCP allocations (RFC 6062): listeners on relayed addresses, connections from and to peers, and their
 * splicing with clients' data connections.
 *
 * A peer's connection is not read before it is bound: what it sends waits in the system's buffer, whose window tells it when to stop. Once
 * bound, bytes go both ways as they come; who reads slowly stops who writes. The end of one direction is passed on, the other goes on; when
 * both have ended, or half of it has been still for PEER_STREAM_HALF_MS, or either side breaks, both connections are closed.
 */
#ifndef RELAY_NET_PEER_STREAM_H
#define RELAY_NET_PEER_STREAM_H

#include "net/stream.h"

#define PEER_STREAM_HALF_MS 30000

struct peer_streams;

struct peer_streams_config {
    struct loop *loop;
    struct streams *clients;  /* where data connections come from */
    uint32_t max_connections; /* 0: no limit */
    void *ctx;

    /* connected: how peer_stream_connect came out; after a failure the connection is gone. accepted: may it stay, and as whose? */
    void (*connected)(void *ctx, struct handle peer, bool is_there);
    bool (*accepted)(void *ctx, struct handle allocation, const struct addr *from, int conn, struct handle *peer);

    /* room: how many bytes may be read now; 0: asked again a little later. moved: they were. `in`: from the client. */
    size_t (*room)(void *ctx, struct handle peer, bool in);
    void (*moved)(void *ctx, struct handle peer, bool in, size_t bytes);

    /* ended: both sides are closed, or about to be; the connection is gone. */
    void (*ended)(void *ctx, struct handle peer);
};

struct peer_streams *peer_streams_new(const struct peer_streams_config *);
void peer_streams_free(struct peer_streams *); /* after the clients' streams; tells nothing */

/* peer_stream_listen: exclusive; 0 and *sock, ERR_BUSY (taken by another program), ERR_SYSTEM.  peer_stream_unlisten: its connections stay.
 */
int peer_stream_listen(struct peer_streams *, const struct addr *local, struct handle allocation, int *sock);
void peer_stream_unlisten(struct peer_streams *, int sock);

/* peer_stream_connect: from the address of a listener; 0 and *conn, ERR_MEMORY at a limit, ERR_SYSTEM. */
int peer_stream_connect(struct peer_streams *, int sock, const struct addr *to, struct handle peer, int *conn);

/* peer_stream_bind: splice with the client's connection `link`; what was sent to it before comes first. False if there is none. */
bool peer_stream_bind(struct peer_streams *, int conn, uint64_t link, struct handle peer);

/* peer_stream_drop: close it and its client's connection, when what was read for them is sent; nothing is told. */
void peer_stream_drop(struct peer_streams *, int conn);

uint32_t peer_streams_open(const struct peer_streams *); /* connections */

#endif
