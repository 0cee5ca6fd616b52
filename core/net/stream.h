/* stream.h: TCP and TLS connections of one worker: accept, tell TLS from plain by the first bytes, cut frames, send.
 *
 * The reader is called with one whole frame at a time (STUN or ChannelData without padding); the flow it gets names the connection in `link` and carries
 * SNI and ALPN. A connection whose bytes are neither is closed. Deadlines are absolute: the handshake and the first authenticated request must be done
 * within `handshake_s` (stream_keep says when a flow has an allocation), not each byte. Connections per source address and in all are capped; on EMFILE accepting pauses without spinning.
 * What a slow reader does not take is buffered up to a limit; then ChannelData and Data indications are dropped, and a connection that falls behind with replies is closed.
 * Behind a proxy the client is whom the PROXY header (wire/proxy.h) tells of: its 5-tuple is the flow's, and it is counted in place of the proxy.
 * Until stream_keep, a frame that comes in parts may have 8 KiB. Connections end in streams_flush only, so a flow lives as long as the call that got it.
 */
#ifndef RELAY_NET_STREAM_H
#define RELAY_NET_STREAM_H

#include "base/cidr.h"
#include "net/loop.h"
#include "net/tls.h"
#include "turn/engine.h"

struct streams;
struct connection; /* outside of this room: one on its way from a worker's streams to another's, of no thread in particular */

struct streams_config {
    struct loop *loop;
    struct tls *tls; /* NULL: plain only */
    struct crypto *crypto; /* the worker's, for TLS */
    bool plain;      /* false: no-tcp: TLS only */
    bool marks;      /* a connection has the DSCP that its client opened it with, and the flow says so; else none */
    uint32_t max_connections, max_per_source; /* 0: no limit; a source is an IPv4 address or a /56 of IPv6 */
    uint32_t handshake_s; /* 10 */
    const struct cidr_set *proxies; /* for doors with proxies; lives as long as the streams */
    struct hash_key hash_key;
    void *ctx;
    /* frame: `packet` may be overwritten (headroom and tailroom as in engine.h) and is valid during the call. */
    void (*frame)(void *ctx, const struct flow *, struct packet packet);
    void (*closed)(void *ctx, const struct flow *); /* once for each connection that had a frame; its link is dead already. Told before it leaves, too */
    void (*leaves)(void *ctx, struct connection *, unsigned heir); /* for stream_take_over there, or connection_drop; NULL: none is handed over */
};

/* enum stream_door: who begins a connection with a PROXY header, which nobody may leave out who has to, and nobody may send who has not to. */
enum stream_door {
    DOOR_CLIENTS, /* nobody */
    DOOR_PROXIES, /* everybody: who is no proxy of ours is refused */
    DOOR_BOTH,    /* who is a proxy of ours */
};

struct streams *streams_new(const struct streams_config *);
void streams_free(struct streams *); /* closes all connections, calls `closed` for each that had a frame */

/* streams_listen: SO_REUSEPORT listener for this worker on `local`; `number` goes into the flows. 0 or ERR_SYSTEM with errno. stream_is_taken: as udp_is_taken. */
int streams_listen(struct streams *, const struct addr *local, uint16_t number, enum stream_door);
bool stream_is_taken(const struct addr *local);
void streams_stop_listening(struct streams *);

/* stream_send: one frame, in order; padded by the caller (ChannelData). False if the connection is gone or the frame was dropped. Written in one go at streams_flush. */
bool stream_send(struct streams *, uint64_t link, struct view bytes);

/* streams_flush: write what waits and end what is to end. It happens by itself before the loop sleeps; call it after sending from a watch_before_sleep of your own. */
void streams_flush(struct streams *);

/* stream_keep: the flow has an allocation: no deadline any more (true), or the deadline counts again from now (false). stream_close: after what is queued is sent. */
void stream_keep(struct streams *, uint64_t link, bool keep);
void stream_close(struct streams *, uint64_t link);

/* stream_hand_over: the connection belongs to the streams of worker `heir`. Called from within `frame`, it leaves with that frame and all that was received
 * behind it; nothing of it is delivered here any more, and at the next streams_flush it is given to `leaves`. One that was handed over too often ends.
 * stream_take_over: from another worker's `leaves`, in this one's thread and outside of its calls: a new link, a place in these streams' counts, a deadline that
 * starts anew; what came with it is delivered as if it had just arrived. Where there is no place for it, it ends.  connection_drop: nobody takes it: it ends. */
void stream_hand_over(struct streams *, uint64_t link, unsigned heir);
void stream_take_over(struct streams *, struct connection *);
void connection_drop(struct connection *);

struct stream_counts { /* handed: over to others, of those that closed; who took them counts them among the accepted.  shaken: handshakes that are over */
    uint64_t accepted, closed, handed, refused, shaken, handshake_failed, dropped_frames;
    uint32_t open;
};
const struct stream_counts *streams_counts(const struct streams *);

#endif
