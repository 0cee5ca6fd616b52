/* nonce.h: stateless nonces, RFC 8489 section 9.2: the second of issue and a truncated HMAC-SHA256 over it and the client's transport
 * address.
 *
 *     base64( issued: 32 bits, seconds of the monotonic clock | HMAC: 112 bits )      24 characters
 *
 * Where SHA-256 or USERHASH is offered, the nonce cookie and the security features stand in front (section 9.2): 13 characters more.
 *
 * Nothing is remembered for a client before it comes back with one. A nonce that is shown from another address or transport, or too late,
 * is stale.
 */
#ifndef RELAY_TURN_NONCE_H
#define RELAY_TURN_NONCE_H

#include "base/crypto.h"
#include "turn/engine.h"

#define NONCE_MAX_LEN 37

int nonce_make(struct crypto *, const struct engine_config *, const struct flow *, msec_t now, char nonce[NONCE_MAX_LEN + 1]);

/* nonce_age_s: since it was given to this client; -1: it was not.  nonce_is_good: and is not too old. */
int64_t nonce_age_s(struct crypto *, const struct engine_config *, const struct flow *, msec_t now, struct view nonce);
bool nonce_is_good(struct crypto *, const struct engine_config *, const struct flow *, msec_t now, struct view nonce);

#endif
