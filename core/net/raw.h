/* raw.h: datagrams from any port of ours without a socket bound to it: their IP and UDP headers are made here, and they leave by raw sockets.
 *
 *      IPv4: 20 bytes, IPv6: 40        UDP                                   payload
 *     +-------------------------------+-----------+-----------+-----------+-----------+---
 *     | TTL 64, mark, DF, flow label  | from port | to port   | length    | checksum  |       RFC 791, RFC 8200, RFC 768
 *     +-------------------------------+-----------+-----------+-----------+-----------+---
 *
 * The system finds the route, as for any datagram of that address, and lets its filters see it. It fragments what is longer than the path but not
 * than the link; what is longer than the link it refuses. Of IPv6 it fragments nothing here.
 */
#ifndef RELAY_NET_RAW_H
#define RELAY_NET_RAW_H

#include "net/udp.h"

/* struct raw_out: what is collected, and sent in order with sendmmsg. */
struct raw_out;

/* raw_frames: a socket for what is sent as frames, past packet filters and queueing disciplines, to a neighbour that is known (net/hop); takes CAP_NET_RAW. It
 * belongs to the raw_out then. False: there is none. */
bool raw_frames(struct raw_out *, const struct hash_key *);

/* raw_socket: to send from the address `local`, or from any if it is that; takes CAP_NET_RAW. The socket, or ERR_SYSTEM. */
int raw_socket(const struct addr *local);

/* struct raw_datagram: bytes are borrowed until the flush; or `passing`, and copied. */
struct raw_datagram {
    int fd; /* raw_socket of the address `from` */
    uint32_t tag; /* the caller's; the same for all that come from one port */
    struct addr from, to;
    struct view bytes;
    bool passing;
    bool is_any; /* fd is of 0.0.0.0 or ::, so the system is told `from` */
    bool whole; /* with DF, and not at all if it is longer than the link */
    uint8_t mark;
};

/* struct raw_others: who sends what a raw socket cannot, or others better; during a flush, at once, and without putting anything here.
 * too_long: for the link.  train: RAW_TRAIN or more to one address from one port, equally long but for the last, which may be shorter: as one (UDP_SEGMENT), or false:
 * it cannot. */
#define RAW_TRAIN 4
struct raw_others {
    void *ctx;
    void (*too_long)(void *ctx, const struct raw_datagram *);
    bool (*train)(void *ctx, const struct raw_datagram *first, unsigned count);
};

struct raw_out *raw_out_new(const struct hash_key *, const struct raw_others *);
void raw_out_free(struct raw_out *);

/* raw_clock: what time it is, for what is put from now on.  raw_put: flushes first if full.  raw_flush: what a socket does not take is dropped and counted. */
void raw_clock(struct raw_out *, msec_t now);
void raw_put(struct raw_out *, const struct raw_datagram *);
void raw_flush(struct raw_out *);

const struct udp_counts *raw_out_counts(const struct raw_out *);

#endif
