/* password.h: the long-term keys that clients make of a password, RFC 8489 section 9.2.2.
 *
 * A client of RFC 8489 prepares it by OpaqueString, one of RFC 5389 by SASLprep, and most, browsers among them, not at all. Where these
 * differ each has a key of its own; all of them need the same password, and printable ASCII has one key.
 */
#ifndef RELAY_TURN_PASSWORD_H
#define RELAY_TURN_PASSWORD_H

#include "base/crypto.h"
#include "turn/verdict.h"

#define PASSWORD_KEYS_MAX 3

/* struct login: whose password it is. */
struct login {
    struct view username; /* as the client sends it */
    struct view realm;
    bool sha256; /* the kind of key */
};

/* password_keys: the keys, the prepared one first: how many, or ERR_SYSTEM. */
int password_keys(struct crypto *, const struct login *, struct view password, struct long_term_key keys[PASSWORD_KEYS_MAX]);

/* password_login: of the request; `user` is the name if the request has a USERHASH that nobody has known so far. */
struct login password_login(const struct request *, const char *user);

/* password_offer: adds the keys to the verdict, as far as there is room. 0 or ERR_SYSTEM. */
int password_offer(struct crypto *, const struct login *, struct view password, struct verdict *);

#endif
