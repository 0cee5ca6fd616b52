/* dtls.h: DTLS 1.2 sessions over the worker's UDP listeners: cookie before state, then datagrams in and out. RFC 6347, RFC 7350.
 *
 * The worker hands over datagrams whose first byte says DTLS (wire/frame.h). A ClientHello without a valid cookie is answered with a HelloVerifyRequest made from
 * (address, secret) and costs no memory and no OpenSSL object. Half-open sessions are capped (a newcomer ends the oldest of them) and have a deadline.
 * A ClientHello with a valid cookie replaces the session of its 5-tuple (RFC 6347 section 4.2.8). What is no valid record is ignored.
 * Once its client has sent data a session is keys and numbers (net/record.h); until then it is OpenSSL's, because the client may repeat its last flight.
 * From within `datagram` and `closed` only dtls_send and dtls_keep may be called, from within `transmit` nothing.
 */
#ifndef RELAY_NET_DTLS_H
#define RELAY_NET_DTLS_H

#include "net/tls.h"
#include "turn/engine.h"

#define DTLS_MAX 16384 /* of plain text in a record */

struct dtls;

struct dtls_config {
    struct tls *tls;
    struct hash_key hash_key;
    uint8_t cookie_key[32]; /* the same for every worker */
    struct crypto *crypto;  /* the worker's, to compute cookies */
    uint32_t max_sessions, max_half_open, max_per_source; /* 0: no limit; a source is an IPv4 address or a /56 of IPv6 */
    uint32_t handshake_s, idle_s;
    void *ctx;
    /* transmit: send these bytes to the client of `flow` over UDP; copied by the callee if it keeps them. `flow->transport` is DTLS, `flow->listener` names the socket. */
    void (*transmit)(void *ctx, const struct flow *, struct view bytes);
    void (*datagram)(void *ctx, const struct flow *, struct packet packet);
    void (*closed)(void *ctx, const struct flow *); /* once for each session that had a datagram */
};

struct dtls *dtls_new(const struct dtls_config *);
void dtls_free(struct dtls *); /* says goodbye to all, calls `closed` */

/* dtls_receive: a datagram of `flow` (transport UDP as received; the session's flow says DTLS). */
void dtls_receive(struct dtls *, const struct flow *, struct view in, msec_t now);

/* dtls_send: one datagram, encrypted, out by `transmit`. False if there is no session of that 5-tuple or it is longer than DTLS_MAX. */
bool dtls_send(struct dtls *, const struct flow *, struct view bytes);

/* dtls_close: says goodbye to the session of that 5-tuple, if there is one; from within neither `datagram` nor `closed`. */
void dtls_close(struct dtls *, const struct flow *);

/* dtls_keep: the flow has an allocation: it is not idle. dtls_tick: retransmissions and deadlines; about every 100 ms. */
void dtls_keep(struct dtls *, const struct flow *, bool keep);
void dtls_tick(struct dtls *, msec_t now);
uint32_t dtls_sessions(const struct dtls *);
uint64_t dtls_shaken(const struct dtls *); /* handshakes that are over, and whose memory is free */

#endif
