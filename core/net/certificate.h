/* certificate.h: the certificates of a server, and which of them a client is shown.
 *
 * By the name that the client asks for (SNI, RFC 6066 section 3): those with exactly that name; else those with a wildcard for its first
 * label (RFC 6125 section 6.4.3); else, and for a client that asks for no name, the first certificate and those that share its first name.
 * Names are those of the certificate's subjectAltName, or the common name where it has none. Of what is left OpenSSL takes the one whose
 * key fits the client's signature algorithms: one of each kind of key is offered, the earlier ones first.
 *
 * Private to the room. A set is constant once it is made and may be read by every thread; OpenSSL's sessions hold what they use of it.
 */
#ifndef RELAY_NET_CERTIFICATE_H
#define RELAY_NET_CERTIFICATE_H

#include "net/tls.h"

#include <openssl/ssl.h>

struct certificates;

/* certificates_new: all files are read and checked; NULL with what is wrong with one of them. */
struct certificates *certificates_new(const struct tls_config *, struct tls_fault *);
void certificates_free(struct certificates *);

/* certificates_show: gives `ssl`, whose client has said hello, those for its name. False without memory. */
bool certificates_show(const struct certificates *, SSL *ssl);

/* certificates_doubt: as tls_doubt. */
bool certificates_doubt(const struct certificates *, size_t pair, int64_t unix_s, char out[TLS_TEXT_MAX]);

/* certificates_expiry: as tls_expiry. */
int64_t certificates_expiry(const struct certificates *, size_t pair);

#endif
