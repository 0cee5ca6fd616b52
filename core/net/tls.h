/* tls.h: certificates and the TLS and DTLS contexts made of them. Only tls, tls_pipe, connection and dtls know libssl.
 *
 * TLS 1.2 and 1.3, DTLS 1.2, AEAD suites only, no renegotiation, no compression. ALPN: stun.turn and stun.nat-discovery are answered when offered,
 * anything else is ignored and the handshake goes on (Firefox offers only webrtc). Constant after tls_new, shared by every worker; outlives their connections and sessions.
 */
#ifndef RELAY_NET_TLS_H
#define RELAY_NET_TLS_H

#include <stddef.h>

struct tls;

struct tls_config {
    const char *cert, *pkey; /* PEM files; cert may hold a chain */
};

/* tls_new: NULL with a reason in `error` (which file, and why). */
struct tls *tls_new(const struct tls_config *, char *error, size_t error_cap);
void tls_free(struct tls *);

#endif
