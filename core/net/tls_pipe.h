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

/* struct tls_secrets: what a handshake leaves to who reads and writes records in OpenSSL's place: the application traffic secrets of TLS 1.3, and the sequence numbers
 * that come next; of DTLS only of what is written, with the epoch in front. */
struct tls_secrets {
    uint8_t in[TLS_SECRET_MAX], out[TLS_SECRET_MAX];
    uint64_t next_in, next_out;
};

struct tls_pipe {
    struct view in; /* what OpenSSL may read now; set before each call of it */
    void *owner;
    bool (*out)(void *owner, struct view bytes); /* false: they cannot be sent, now or ever */
    bool datagrams;
    struct view cookie; /* of DTLS: the one that was verified; OpenSSL is to find no other */
};

/* struct handshake: a server's, and the session that it leads to, for as long as that is OpenSSL's. */
struct handshake {
    SSL *ssl;
    struct tls_pipe pipe;
    struct tls_secrets secrets;
};

BIO_METHOD *tls_pipe_method(void); /* NULL without memory; BIO_meth_free */

/* handshake_new: with a copy of the pipe. NULL without memory. */
struct handshake *handshake_new(struct tls *, const struct tls_pipe *);
void handshake_free(struct handshake *); /* wipes the secrets */

/* tls_sni: what the client asked for, on the heap; NULL if nothing, or without memory. tls_alpn: the protocol that was chosen, "" for none;
 * a constant. */
char *tls_sni(const SSL *);
const char *tls_alpn(const SSL *);

#endif
