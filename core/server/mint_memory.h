/* mint_memory.h: which credentials were made for which Idempotency-Key, so that who asks again, because an answer was lost, gets the same.
 *
 * A tenant has one of MINT_SHELVES shelves, by a keyed hash of its name, which it may share with others; a shelf remembers the last MINT_REMEMBERED. What is kept is
 * digests, and what cannot be made anew: the cid and the time.
 */
#ifndef RELAY_SERVER_MINT_MEMORY_H
#define RELAY_SERVER_MINT_MEMORY_H

#include "base/crypto.h"
#include "wire/minted.h"

#define MINT_SHELVES 64
#define MINT_REMEMBERED 4096 /* of a shelf */
#define MINT_DAY_S 86400

struct mint_memory;

struct mint_memory *mint_memory_new(void); /* NULL without memory */
void mint_memory_free(struct mint_memory *);

/* struct mint_asked: who asks, for what, and with which key: digests of SHA-256. */
struct mint_asked {
    const char *tenant;
    uint8_t key[CRYPTO_SHA256_LEN]; /* of the caller and his Idempotency-Key */
    uint8_t body[CRYPTO_SHA256_LEN];
};

/* struct mint_made: what was made for it. */
struct mint_made {
    char cid[MINTED_CID_MAX + 1];
    int64_t made_unix_s, expires_unix_s;
};

/* mint_memory_find: 0 and *out; ERR_NOT_FOUND: the key is new, or forgotten; ERR_EXISTS: it was used for another body.  mint_memory_put: remembers it. 0 or
 * ERR_MEMORY. */
int mint_memory_find(const struct mint_memory *, const struct mint_asked *, int64_t unix_s, struct mint_made *out);
int mint_memory_put(struct mint_memory *, const struct mint_asked *, const struct mint_made *);

#endif
