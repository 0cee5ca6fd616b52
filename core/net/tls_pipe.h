/* tls_pipe.h: OpenSSL between two pieces of memory: what came in is read from a view, what is to go out is handed to a function.
 *
 * Private to the room: with tls.c, dtls.c, record_keys.c and connection_input.c the only files that know libssl. Of a stream any number of bytes is read at a
 * time; of datagrams one at a time, whole. OpenSSL never sees a descriptor, so TLS writes gather in the connection's outbox like plain
 * ones.
 */
#ifndef RELAY_NET_TLS_PIPE_H
#define RELAY_NET_TLS_PIPE_H

#include "base/bytes.h"
#include "net/tls.h"

#include <openssl/ssl.h>

#define TLS_SECRET_MAX 48 /* SHA-384 */

/* struct tls_secrets: what a handshake leaves to who reads and writes records in OpenSSL's place: the application traffic secrets of TLS 1.3, and how many records were
 * read and written with the keys of the moment. */
struct tls_secrets {
    uint8_t in[TLS_SECRET_MAX], out[TLS_SECRET_MAX];
    uint64_t records_in, records_out;
};

struct tls_pipe {
    struct view in; /* what OpenSSL may read now; set before each call of it */
    void *owner;
    bool (*out)(void *owner, struct view bytes); /* false: they cannot be sent, now or ever */
    bool datagrams;
    struct tls_secrets *secrets; /* of a stream: to be filled; NULL: nobody asks */
    struct view cookie; /* of DTLS: the one that was verified; OpenSSL is to find no other */
};

BIO_METHOD *tls_pipe_method(void); /* NULL without memory; BIO_meth_free */

/* tls_open: a server's session over `pipe`, which outlives it and does not move. NULL without memory. SSL_free ends it; SSL_get_app_data is
 * pipe->owner. */
SSL *tls_open(struct tls *, struct tls_pipe *pipe);

/* tls_sni: what the client asked for, on the heap; NULL if nothing, or without memory. tls_alpn: the protocol that was chosen, "" for none;
 * a constant. */
char *tls_sni(const SSL *);
const char *tls_alpn(const SSL *);

#endif
