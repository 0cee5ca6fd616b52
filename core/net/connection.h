/* connection.h: one TCP or TLS connection: what it has received in part, what it has yet to send, and the state it is in.
 *
 * Private to the room; stream.h is what others use. Calls of the worker's functions may come back here (stream_send, stream_close), so a
 * connection is only marked while they run; it ends in connection_settle, from streams_flush.
 *
 *     NEW --first record--> HANDSHAKE --done--> OPEN --stream_close, end of file--> CLOSING --all sent--> LINGERING
 *      \------------------plain---------------/   \--stream_hand_over--> LEAVING      each --error, deadline--> BROKEN
 */
#ifndef RELAY_NET_CONNECTION_H
#define RELAY_NET_CONNECTION_H

#include "net/deadline.h"
#include "net/record.h"
#include "net/source.h"
#include "net/stream.h"
#include "wire/frame.h"

#define WIRE_BYTES (64u << 10) /* one receive call */
#define STREAM_LISTENERS_MAX 64

#define HANDED_MAX 8 /* times that a connection is handed over */

/* Of what waits for a slow reader: beyond the first ChannelData and Data indications are dropped, beyond the second the connection ends. */
#define OUT_DROP_AT (64u << 10)
#define OUT_BREAK_AT (256u << 10)
#define STRANGER_PART_MAX 8192 /* of a frame or record that is not whole yet, before the flow has an allocation */
#define STRANGER_OUT_MAX 8192  /* what waits for a slow reader who never had an allocation; beyond it the connection ends */

enum connection_state {
    CONNECTION_NEW,
    CONNECTION_HANDSHAKE,
    CONNECTION_OPEN,
    CONNECTION_LEAVING,
    CONNECTION_CLOSING,
    CONNECTION_LINGERING,
    CONNECTION_BROKEN
};

struct splice;

struct connection {
    struct streams *streams;
    struct flow flow;
    int fd;
    uint8_t state; /* enum connection_state */
    bool known;    /* had a frame: `closed` will be told */
    bool kept;     /* has an allocation: no deadline */
    bool familiar; /* has or had one */
    bool full;     /* the socket takes no more now; `writable` waits */
    bool ended;    /* end of file was read */
    bool silent;   /* nothing more is sent: the end of our bytes is told when the rest is written */
    bool unsettled;
    bool header_due; /* NEW, from a proxy: its PROXY header comes first */
    uint8_t handed;  /* how often it was handed over */
    unsigned heir;   /* of LEAVING: the worker that it goes to */
    uint32_t source; /* SOURCE_NONE while header_due */
    uint32_t part_len, record_len;
    uint8_t *part; /* the first `part_len` bytes of a frame (while NEW: of a PROXY header or a TLS record; when LEAVING: all frames since the one that asked for it),
                    * and behind them the first `record_len` of a TLS record */
    struct handshake *handshake; /* in HANDSHAKE only */
    struct records *records;     /* of TLS, since then; NULL: plain */
    char *sni;
    struct outbox out;
    struct splice *splice; /* it is a client's data connection: what comes are bytes, not frames; NULL: it is not */
    struct connection *next_unsettled;
    struct deadline deadline;
    struct watch readable, writable;
};

struct listener {
    struct streams *streams;
    struct watch acceptable; /* stopped while accepting pauses */
    int fd;
    uint16_t number;
    uint8_t door; /* enum stream_door */
};

struct streams {
    struct streams_config config;
    struct stream_counts counts;
    struct pool connections;
    struct sources sources;
    struct deadlines deadlines;
    struct chunks spare;
    struct connection *unsettled;
    bool busy; /* inside a connection's bytes or streams_flush: nothing ends now */
    unsigned listener_count;
    struct listener listeners[STREAM_LISTENERS_MAX];
    struct watch sweep, before_sleep;
    uint8_t wire[WIRE_BYTES];                                                               /* what a receive call brought */
    uint8_t frames[ENGINE_HEADROOM + FRAME_MAX + WIRE_BYTES + ENGINE_TAILROOM]; /* plain text: a partial frame and what followed it */
};

/* connection_add: takes `fd` over; closes it when there is no room for one more. */
void connection_add(const struct listener *, int fd, const struct addr *from);

/* connection_break: marked to end without more ado.  connection_finish: marked to end when all is sent. */
void connection_break(struct connection *);
void connection_finish(struct connection *);

bool connection_send(struct connection *, struct view bytes);
void connection_keep(struct connection *, bool keep);

/* connection_splice: from the next byte on it is a data connection; no deadline.  connection_unsplice: it ends when all is sent, and what comes is discarded. */
void connection_splice(struct connection *, struct splice *);
void connection_unsplice(struct connection *);

/* Of a data connection: connection_put: bytes to send; false if that is impossible.  connection_waiting: how many wait.  connection_end_output: no more will
 * follow.  connection_pause, connection_resume: read no more, read again. */
bool connection_put(struct connection *, struct view bytes);
size_t connection_waiting(const struct connection *);
void connection_end_output(struct connection *);
void connection_pause(struct connection *);
void connection_resume(struct connection *);

/* streams_find: the connection of a link, NULL if it has ended. */
struct connection *streams_find(const struct streams *, uint64_t link);

/* connection_settle: write what waits; end it if that is due. */
void connection_settle(struct connection *);
void connection_free(struct connection *);

/* connection_unsettled: to be settled at the next flush. */
void connection_unsettled(struct connection *);

/* connection_leave: marked to go to worker `heir`.  connection_arrive: on a new place in `streams`: takes `parcel` in; false: there is none. */
void connection_leave(struct connection *, unsigned heir);
bool connection_arrive(struct streams *, const struct connection *parcel);

/* connection_continue: the frames that arrived with it, as if they were received now (connection_input.c). */
void connection_continue(struct connection *);

/* connection_way: what records are sent with. */
struct record_way connection_way(struct connection *);

/* connection_receive: the socket is readable (connection_input.c). */
void connection_receive(void *connection);

/* streams_sweep: end what is overdue, accept again after a pause. A timer calls it. */
void streams_sweep(struct streams *, msec_t now);

#endif
