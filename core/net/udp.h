/* udp.h: UDP sockets: listeners shared by SO_REUSEPORT, relay sockets, batches in and out.
 *
 * Received datagrams lie in slots with headroom in front and tailroom behind, so that a header can be written around a payload without a copy.
 * The DF bit is not set: a datagram longer than some link of the path is fragmented there rather than lost, which is what RFC 8656 section 14 asks for
 * without DONT-FRAGMENT; udp_keep_whole sets it. A program is not told the DF of what it receives, so that counts as 0, and the TTL is the system's (64), not one less
 * than that received: the alternate behaviours of sections 13 and 14. What a network says about an earlier datagram (ECONNREFUSED, EHOSTUNREACH ...) is counted, never an error
 * of the socket; a relay socket keeps it for udp_error. Nothing here allocates after the two `new`s.
 */
#ifndef RELAY_NET_UDP_H
#define RELAY_NET_UDP_H

#include "turn/engine.h"

#include <sys/socket.h>

#define UDP_BATCH 256 /* of 100 clients at full load each has several in it, which leave together */
#define UDP_SLOT_BYTES 9216    /* a jumbo frame; longer datagrams are truncated by nobody: they are dropped and counted */
#define UDP_LISTEN_BUFFER (4 << 20) /* asked for; without CAP_NET_ADMIN net.core.rmem_max and wmem_max cut it */

/* udp_listen: non-blocking, SO_REUSEPORT (so that every worker has one), IPV6_V6ONLY, PKTINFO when bound to 0.0.0.0 or ::. The socket or ERR_SYSTEM with errno.
 * All workers' sockets of one address are made before any receives. */
int udp_listen(const struct addr *local);

/* udp_buffers: as large as UDP_LISTEN_BUFFER, or as the system gives.  udp_buffers_of: what it gave, in bytes.
 * udp_buffers_try: what it would give; 0 where that cannot be said. */
struct udp_buffer_sizes {
    uint32_t receive, send;
};
void udp_buffers(int fd);
struct udp_buffer_sizes udp_buffers_of(int fd);
struct udp_buffer_sizes udp_buffers_try(void);

/* udp_overflows: how many datagrams came and found the receive buffer full, since the socket was made. */
uint32_t udp_overflows(int fd);

/* udp_ask_mark: packets of this socket carry the mark that they came with; else 0 (net/control.h says what a mark is). */
bool udp_ask_mark(int fd, const struct addr *local);

/* udp_is_taken: whether another program holds `local`: SO_REUSEPORT would silently share it. */
bool udp_is_taken(const struct addr *local);

/* udp_relay: a relay socket: exclusive, non-blocking, with a queue of errors. The socket, ERR_BUSY (taken by another program) or ERR_SYSTEM. */
int udp_relay(const struct addr *local);

/* udp_probe: whether udp_relay would do: 0, ERR_BUSY or ERR_SYSTEM. */
int udp_probe(const struct addr *local);

/* udp_path_mtu: how long a packet from there to there may be, as far as the system knows; 0: there is no way. */
uint32_t udp_path_mtu(const struct addr *local, const struct addr *peer);

/* udp_line: a second socket on the port of a relay socket, connected to `peer`: the system looks up no way for what it sends, and gives it
 * what comes from there. All others' datagrams come to the relay socket, as before; while both stand nobody else can bind the port. udp_line_move: to another
 * peer, with what has come from the one before. The socket, or 0; or ERR_SYSTEM. */
int udp_line(int relay, const struct addr *peer);
int udp_line_move(int line, const struct addr *peer);

/* struct udp_in: what a batch received. */
struct udp_in;

struct udp_in *udp_in_new(void); /* UDP_BATCH slots; one per worker serves all its sockets */
void udp_in_free(struct udp_in *);

/* udp_receive: one call for at most `most` datagrams, into slots that are free. Returns how many (0: none, or no slot is free), or ERR_SYSTEM. What
 * several calls received, from one socket or many, stays where it is until udp_reset frees all slots; udp_packet and its kin count from the last call. */
int udp_receive(struct udp_in *, int fd, int most);
int udp_room(const struct udp_in *); /* free slots */
void udp_reset(struct udp_in *);     /* nothing borrows the slots any more */
struct packet udp_packet(struct udp_in *, int index);
struct addr udp_from(const struct udp_in *, int index);
bool udp_has_errors(const struct udp_in *); /* the last udp_receive met an error, or nothing at all: time for udp_error */
struct addr udp_local(const struct udp_in *, int index, const struct addr *bound); /* the address it was sent to: from PKTINFO, else `bound` */
struct addr udp_destination(const struct udp_in *, int index); /* of a socket of net/steer: the address and port it was sent to; family ADDR_NONE: not told */

/* udp_error: takes the oldest error off a relay socket's queue: 0 or ERR_NOT_FOUND. The peer is whom the datagram was sent to; its port is 0 when the
 * system itself found a datagram too long and does not say whose. Type 0: an error that no ICMP told. */
int udp_error(int fd, struct peer_error *);

/* udp_too_big: what a router says of a datagram with DF that is too long for its next link. */
struct peer_error udp_too_big(const struct addr *peer, uint32_t mtu);

/* struct udp_out: datagrams to send, collected over sockets, and flushed with as few calls as can be: in order from a socket to an address. Payloads are borrowed
 * until the flush. What goes the same way, equally long, leaves as one train (UDP_SEGMENT), whoever else was put between. */
struct udp_out;

struct udp_out *udp_out_new(void);
void udp_out_free(struct udp_out *);

/* udp_put: flushes first if full. `from` NULL or the source address to use (a listener bound to 0.0.0.0); its port does not matter.
 * udp_put_copy: the same for bytes that do not live until the flush (replies).  udp_put_either: the one or the other.
 * udp_flush: what the socket does not take (full buffer, no route) is dropped and counted. Flush before a socket with datagrams in here is closed:
 * udp_flush_of does if there are any of that socket. */
void udp_put(struct udp_out *, int fd, const struct addr *to, const struct addr *from, struct view bytes);
void udp_put_copy(struct udp_out *, int fd, const struct addr *to, const struct addr *from, struct view bytes);
void udp_put_either(struct udp_out *, int fd, const struct addr *to, const struct addr *from, struct view bytes, bool lasting);
void udp_flush(struct udp_out *);
void udp_flush_of(struct udp_out *, int fd);

/* udp_keep_whole: the datagram that was put last, from a relay socket, goes with DF, and not at all where it is longer than the link: udp_error tells. DF is a mode of the
 * socket, not of a datagram (IPv4 has no control message for it), so a row of such datagrams costs two calls more than one of others. */
void udp_keep_whole(struct udp_out *);

/* udp_on_line: the socket of the datagram that was put last is a line to its address. */
void udp_on_line(struct udp_out *);

/* udp_mark: the datagram that was put last goes with this mark; others go unmarked. At most once for each. */
void udp_mark(struct udp_out *, uint8_t mark);

struct udp_counts {
    uint64_t received, receive_calls, receive_errors, truncated;
    uint64_t sent, send_calls, send_errors, send_full; /* send_full: of a full buffer, or a system without memory; other errors are send_errors */
};
const struct udp_counts *udp_in_counts(const struct udp_in *);
const struct udp_counts *udp_out_counts(const struct udp_out *);

#endif
