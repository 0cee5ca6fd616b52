/* keys.h: the keys of relay.jwt: a file with a JWK Set (RFC 7517) or with public keys in PEM, as content of a source.
 *
 * A key verifies one algorithm, which its type decides: `oct` HS256, `RSA` RS256, `EC` ES256, `OKP` EdDSA.
 */
#ifndef RELAY_POLICY_KEYS_H
#define RELAY_POLICY_KEYS_H

#include "base/public_key.h"
#include "policy/source.h"

#include "base/crypto.h"

#define KEYS_MAX 64

struct key {
    const char *algorithm;
    char *kid;                 /* NULL: none */
    struct public_key *public; /* NULL: the secret of HS256 */
    uint8_t *secret;
    size_t secret_len;
};

struct keys {
    size_t count;
    struct key key[KEYS_MAX];
};

extern const struct source_kind keys_kind; /* its content is a struct keys */

/* key_verify: whether `signature` of `text` is this key's. */
bool key_verify(const struct key *, struct crypto *, struct view text, struct view signature);

#endif
