/* dial.h: the other end of the wire: a connection to a STUN or TURN server, for who tests one; over UDP, TCP, TLS or DTLS.
 *
 * It waits, with a deadline, or lets its caller wait for many at once; it is no part of the server's own data path. Of a stream frames are cut (wire/frame.h); of
 * datagrams each is one.
 */
#ifndef RELAY_NET_DIAL_H
#define RELAY_NET_DIAL_H

#include "base/addr.h"
#include "base/clock.h"

#include <sys/types.h>

enum dial_transport { DIAL_UDP, DIAL_TCP, DIAL_TLS, DIAL_DTLS };

#define DIAL_WHY_MAX 256

struct dial;
struct dial_trust; /* whose certificates are believed: made once, for many connections */

struct dial_config {
    enum dial_transport transport;
    struct addr server, from; /* of ADDR_NONE: from wherever the system says */
    const char *name;         /* that the certificate must be of: a host name or an address */
    bool trusts_everybody;    /* whose the certificate is does not matter */
    struct dial_trust *trust; /* NULL: one of its own */
    msec_t timeout_ms;
};

/* dial_trust_new: NULL: out of memory, or without TLS.  dial_trust_free: connections that use it may go on. */
struct dial_trust *dial_trust_new(enum dial_transport, bool trusts_everybody);
void dial_trust_free(struct dial_trust *);

/* dial_open: 0 and *out; or ERR_BUSY: no answer in time; ERR_DENIED: the certificate is not to be trusted; ERR_SYSTEM; ERR_MEMORY; with why.
 * dial_close: NULL is fine. */
int dial_open(const struct dial_config *, struct dial **out, char why[DIAL_WHY_MAX]);
void dial_close(struct dial *);

/* The same without waiting: dial_begin, and dial_go_on when the socket is ready for what dial_wants says: 0: it is open; ERR_PARTIAL: not yet; or as dial_open. Over DTLS
 * it is called every now and then too: what was lost is sent again. The caller closes what failed. */
int dial_begin(const struct dial_config *, struct dial **out, char why[DIAL_WHY_MAX]);
int dial_go_on(struct dial *, char why[DIAL_WHY_MAX]);
int dial_fd(const struct dial *);
short dial_wants(const struct dial *); /* POLLIN, POLLOUT */

/* dial_fill: reads once what is there: 0; ERR_NOT_FOUND: nothing; ERR_SYSTEM.  dial_take: a frame of that, which lives until it is filled again: 0; ERR_PARTIAL: no more; ERR_BAD.
 * dial_put: how many bytes went, all of a datagram; 0: there is no room now; or ERR_SYSTEM. */
int dial_fill(struct dial *);
int dial_take(struct dial *, struct view *frame);
ssize_t dial_put(struct dial *, struct view bytes);

struct addr dial_local(const struct dial *);
bool dial_is_stream(const struct dial *);

/* dial_send: one frame, padded on streams by who makes it. 0, or ERR_SYSTEM: it is broken; ERR_BUSY: there is no room in time. */
int dial_send(struct dial *, struct view frame);

/* dial_receive: the next frame, which lives until the next call: 0; ERR_NOT_FOUND: none came in time (0: none is there); ERR_BAD: no stream of frames;
 * ERR_SYSTEM: the other end closed it, or it is broken. */
int dial_receive(struct dial *, msec_t timeout_ms, struct view *frame);

/* dial_wait: until one of two has something, or the time is over; the second may be NULL. */
void dial_wait(const struct dial *, const struct dial *, msec_t timeout_ms);

#endif
