/* dtls_hello.h: a DTLS ClientHello as far as its cookie, and the HelloVerifyRequest that answers one without.
 *
 *      0       1       3       5               11      13                 RFC 6347 section 4.1, 4.2.2
 *     +-------+-------+-------+---------------+-------+
 *     |  22   |fe, any| epoch |   sequence    |length |                    record
 *     +-------+-------+---+---+---+-----------+---+---+-------+
 *     |   1   |  length   |  seq  | fragment offset |  length |            handshake message, 12 bytes
 *     +-------+-------+---+-------+-----------------+---------+
 *     |  version (2)  |  random (32)  | n, session id | n, cookie | ...    section 4.2.1
 *     +---------------+---------------+---------------+-----------+
 *
 * Private to the room. Pure: no state, no time, no OpenSSL. The view borrows the datagram.
 */
#ifndef RELAY_NET_DTLS_HELLO_H
#define RELAY_NET_DTLS_HELLO_H

#include "base/bytes.h"

#define HELLO_RANDOM_LEN 32
#define HELLO_SEQUENCE_LEN 6
#define HELLO_COOKIE_LEN 16                               /* of ours */
#define HELLO_VERIFY_LEN (13 + 12 + 3 + HELLO_COOKIE_LEN) /* 44: shorter than any ClientHello */

struct hello {
    const uint8_t *sequence, *random; /* HELLO_SEQUENCE_LEN and HELLO_RANDOM_LEN bytes */
    struct view cookie;               /* empty in the first one */
};

/* hello_open: 0, or ERR_BAD if the datagram does not begin with a ClientHello (or its first fragment) that has all up to the cookie. */
int hello_open(struct hello *, struct view datagram);

/* hello_verify: the HelloVerifyRequest with `cookie`. */
void hello_verify(const struct hello *, const uint8_t cookie[HELLO_COOKIE_LEN], uint8_t out[HELLO_VERIFY_LEN]);

#endif
