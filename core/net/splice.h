/* splice.h: a peer's connection and a client's data connection, and the bytes between them.
 *
 * Private to the room: peer_stream.c makes and ends them, splice.c moves bytes, connection.c and connection_input.c call what is named
 * after the client. While one of these runs nothing is freed but by splice_end, which is the last thing that its caller does with it.
 */
#ifndef RELAY_NET_SPLICE_H
#define RELAY_NET_SPLICE_H

#include "net/connection.h"
#include "net/peer_stream.h"

#define SPLICE_READ (64u << 10)  /* of a peer, at a time */
#define SPLICE_HIGH (256u << 10) /* what may wait for a slow reader before the other side is not read any more */
#define SPLICE_LOW (64u << 10)   /* below it is read again */

struct splice {
    struct peer_streams *streams;
    struct handle peer;
    int fd;
    uint32_t index;
    struct connection *client;     /* NULL: not bound */
    struct outbox out;             /* toward the peer */
    bool peer_ended, client_ended; /* no more bytes come from there */
    struct watch readable, writable;
    struct deadline again; /* while somebody may not be read because of the rate */
    struct deadline still; /* while half of it has ended */
};

struct peer_listener {
    struct peer_streams *streams;
    struct handle allocation;
    struct addr local;
    int fd;
    struct watch acceptable;
};

struct peer_streams {
    struct peer_streams_config config;
    struct pool splices, listeners;
    struct chunks spare;
    struct deadlines again, still;
    bool exhausted; /* some listener does not accept for want of descriptors */
    struct watch tick;
    uint8_t bytes[SPLICE_READ];
};

/* splice_start: bound now: from here on both sides are read. splice_end: both connections close; `tell` the engine's side, too. */
void splice_start(struct splice *, struct connection *client);
void splice_end(struct splice *, bool tell);

/* splice_connect: waits for the connection to be there. splice_again: reads whom the rate stopped. */
void splice_connect(struct splice *);
void splice_again(struct splice *);

/* of the client's connection: bytes came; how many may be read (0: reading pauses); its outbox has shrunk; its bytes have ended; it is
 * gone. */
void splice_from_client(struct splice *, struct view bytes);
size_t splice_client_room(struct splice *);
void splice_client_drained(struct splice *);
void splice_client_ended(struct splice *);
void splice_client_gone(struct splice *);

/* peer_streams_wake: the tick runs while something waits for it. */
void peer_streams_wake(struct peer_streams *);

#endif
