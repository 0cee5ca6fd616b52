/* dial.h: the other end of the wire: a connection to a STUN or TURN server, for who tests one; over UDP, TCP, TLS or DTLS.
 *
 * It waits, with a deadline, and is no part of the server's own data path. Of a stream frames are cut (wire/frame.h); of datagrams each is one.
 */
#ifndef RELAY_NET_DIAL_H
#define RELAY_NET_DIAL_H

#include "base/addr.h"
#include "base/clock.h"

enum dial_transport { DIAL_UDP, DIAL_TCP, DIAL_TLS, DIAL_DTLS };

#define DIAL_WHY_MAX 256

struct dial;

struct dial_config {
    enum dial_transport transport;
    struct addr server;
    const char *name;      /* that the certificate must be of: a host name or an address */
    bool trusts_everybody; /* whose the certificate is does not matter */
    msec_t timeout_ms;
};

/* dial_open: 0 and *out; or ERR_BUSY: no answer in time; ERR_DENIED: the certificate is not to be trusted; ERR_SYSTEM; ERR_MEMORY; with why.
 * dial_close: NULL is fine. */
int dial_open(const struct dial_config *, struct dial **out, char why[DIAL_WHY_MAX]);
void dial_close(struct dial *);

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
