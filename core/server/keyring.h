/* keyring.h: whose key it is that somebody brings to the admin door, and whether he may be answered now. Main's.
 *
 * A key is read from the database and kept in memory; it is read anew KEYRING_FRESH_MS later, so that one that is revoked opens nothing
 * more than so long after. A wrong one is always read and compared in full: an unknown name and a wrong secret take the same time and get
 * the same answer. While the database cannot be read, keys that were good go on for KEYRING_GRACE_MS, and all others are answered 503.
 *
 * A key is answered so many times a second as `rate` says, and as many at once. A source that brings wrong keys is told so KEYRING_WRONG
 * times at once and once a second after that; then 429. A right key is never refused for the wrong ones of others behind its address.
 */
#ifndef RELAY_SERVER_KEYRING_H
#define RELAY_SERVER_KEYRING_H

#include "admin/door.h"
#include "base/clock.h"
#include "base/table.h"
#include "store/store.h"

#define KEYRING_KEYS 4096 /* that are kept */
#define KEYRING_FRESH_MS 500
#define KEYRING_GRACE_MS (600 * 1000)
#define KEYRING_WRONG 10
#define KEYRING_SOURCES 1024 /* that are told apart */

struct keyring;

struct keyring_config {
    int (*find)(void *ctx, struct view id, struct store_api_key *out); /* 0, ERR_NOT_FOUND, or ERR_SYSTEM: nobody knows */
    void *ctx;
    uint32_t rate; /* of one key, a second; 0: no limit */
    struct hash_key hash_key;
};

/* struct keyring_visit: who comes, and when. */
struct keyring_visit {
    const char *token;
    const struct addr *source; /* of no family: by the unix socket */
    msec_t now;
    int64_t unix_ms;
};

struct keyring *keyring_new(const struct keyring_config *); /* NULL without memory */
void keyring_free(struct keyring *);

void keyring_admit(struct keyring *, const struct keyring_visit *, struct door_pass *out);

/* keyring_forget: a key that was changed just now is read anew. */
void keyring_forget(struct keyring *, const char *id);

#endif
