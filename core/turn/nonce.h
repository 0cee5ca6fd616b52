/* nonce.h: stateless nonces, RFC 8489 section 9.2: the second of issue and a MAC over it and the client's transport address.
 *
 *     base64( issued: 32 bits, seconds of the monotonic clock | MAC: 112 bits )      24 characters
 *
 * The MAC is SipHash-2-4 under one half of the key, and the same under the other: every request brings a nonce, and these are a twentieth
 * of the work of an HMAC-SHA256.
 *
 * Where SHA-256 or USERHASH is offered, the nonce cookie and the security features stand in front (section 9.2): 13 characters more.
 *
 * Nothing is remembered for a client before it comes back with one. A nonce that is shown from another address or transport, or too late,
 * is stale.
 */
#ifndef RELAY_TURN_NONCE_H
#define RELAY_TURN_NONCE_H

#include "turn/engine.h"

#define NONCE_MAX_LEN 37

void nonce_make(const struct engine_config *, const struct flow *, msec_t now, char nonce[NONCE_MAX_LEN + 1]);

/* nonce_age_s: since it was given to this client; -1: it was not.  nonce_is_good: and is not too old. */
int64_t nonce_age_s(const struct engine_config *, const struct flow *, msec_t now, struct view nonce);
bool nonce_is_good(const struct engine_config *, const struct flow *, msec_t now, struct view nonce);

#endif
