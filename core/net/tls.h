/* tls.h: certificates and the TLS and DTLS contexts made of them. Only tls, certificate, tls_pipe, record_keys, connection_input and dtls know libssl, and
 * the verbs that are clients (dial).
 *
 * TLS 1.2 and 1.3, DTLS 1.2, AEAD suites only, no renegotiation, no compression. ALPN: stun.turn and stun.nat-discovery are answered when offered,
 * anything else is ignored and the handshake goes on (Firefox offers only webrtc). A client is shown a certificate by the name it asks for and by the kind of
 * key it can verify (net/certificate.h). One struct tls is shared by every worker and outlives their connections and sessions. One thread at a time may
 * replace certificates and keys while others shake hands: what is under way or established keeps what it has.
 */
#ifndef RELAY_NET_TLS_H
#define RELAY_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_TEXT_MAX 512

struct tls;

/* struct tls_pair: PEM files; cert may hold a chain. */
struct tls_pair {
    const char *cert, *pkey;
};

struct tls_config {
    const struct tls_pair *pairs; /* the first is for clients whom no other fits */
    size_t count;                 /* never 0 */
};

/* struct tls_fault: what is wrong: with which pair, with its key or its certificate, and "FILE: why". */
struct tls_fault {
    size_t pair;
    bool in_key;
    char text[TLS_TEXT_MAX];
};

struct tls *tls_new(const struct tls_config *, struct tls_fault *); /* NULL with the fault */
void tls_free(struct tls *);

/* tls_load: reads and checks all files, then has every later handshake use them, with new keys for tickets. 0, or ERR_BAD with the fault: all is as it was. */
int tls_load(struct tls *, const struct tls_config *, struct tls_fault *);

/* tls_renew: new keys for session tickets: who comes back with an older ticket shakes hands in full, and who learns a key can open no tickets but those of its
 * time. 0 or ERR_MEMORY: all is as it was. */
int tls_renew(struct tls *);

/* tls_doubt: whether something is wrong with a certificate that does not forbid to use it, and what: its time has not come, or is over. Not during tls_load. */
bool tls_doubt(const struct tls *, size_t pair, int64_t unix_s, char out[TLS_TEXT_MAX]);

/* tls_expiry: when the time of a certificate is over, in Unix seconds. Not during tls_load. */
int64_t tls_expiry(const struct tls *, size_t pair);

#endif
