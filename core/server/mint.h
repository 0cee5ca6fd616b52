/* mint.h: makes credentials for tenants (wire/minted.h): who may have one, how many a second, and what it says.
 *
 * Nothing is written down: a credential is its own record. Main's: everything here runs in its thread.
 *
 * A tenant that the database does not know gets none, nor one that is disabled; where the database cannot be read, or there is none, a caller who may ask gets
 * what he asks for. Of one key `mint-rate` are made a second, of a tenant `max_mints`. Who asks again with the same Idempotency-Key gets the same
 * credential, as long as it is good and a day at most; of those who share a place in its memory the last MINT_REMEMBERED are remembered.
 */
#ifndef RELAY_SERVER_MINT_H
#define RELAY_SERVER_MINT_H

#include "server/mint_memory.h"
#include "server/mint_rate.h"
#include "server/service.h"
#include "server/test_link.h"

#define MINT_TTL_S 3600
#define MINT_TTL_MAX_S MINTED_TTL_MAX_S
#define MINT_OPERATOR "op" /* the kid of who comes by the unix socket and names none */

/* MINT_TRANSPORTS: over what a client reaches the server. */
#define MINT_UDP 1u
#define MINT_TCP 2u
#define MINT_TLS 4u
#define MINT_DTLS 8u

/* struct mint_order: what is asked for; texts are never NULL. */
struct mint_order {
    const char *tenant, *kid, *tag, *room;
    int64_t ttl_s;
    unsigned transports; /* 0: one for UDP and one for TLS, as far as there are */
    uint64_t max_bps;
    uint32_t max_allocations;
    const char *again; /* Idempotency-Key; NULL: none */
};

struct mint_credential {
    char username[MINTED_MAX_LEN + 1], password[MINTED_PASSWORD_LEN + 1], cid[MINTED_CID_MAX + 1];
    int64_t made_unix_s, expires_unix_s;
};

/* enum mint_no: why there is none, a row each in mint.c; the metric counts by them. */
enum mint_no { MINT_NO_SECRET, MINT_BAD, MINT_UNKNOWN, MINT_DISABLED, MINT_RATE, MINT_REUSED, MINT_DRAINING, MINT_BROKEN, MINT_NOES };
extern const char *const mint_noes[MINT_NOES]; /* their names */

struct mint_refusal {
    enum mint_no no;
    unsigned status, retry_s; /* retry_s: Retry-After; 0: none */
    const char *field;        /* of the order, that is wrong; NULL: none */
    const char *reason;
};

struct mint {
    const struct service *service;
    struct crypto *crypto;
    struct store_reader *reader; /* NULL: no database */
    struct mint_rates *rates;
    struct mint_memory *memory;
    struct test_links *links;
    uint64_t refused[MINT_NOES];
};

/* mint_open: 0, ERR_MEMORY, or ERR_SYSTEM with the reason.  mint_close: NULL is fine. */
int mint_open(const struct service *, struct mint **out, char *reason, size_t cap);
void mint_close(struct mint *);

/* mint_make: 0; or negative with the refusal. */
int mint_make(struct mint *, const struct mint_order *, struct mint_credential *, struct mint_refusal *);

/* mint_check: whether such an order could be made now: 0; or negative with the refusal. */
int mint_check(struct mint *, const struct mint_order *, struct mint_refusal *);

/* mint_sign: the same under a K that is at hand, asking nobody: `made_unix_s`, `expires_unix_s` and `cid` of the credential are there. 0, ERR_RANGE: all of it is
 * too long; ERR_SYSTEM. */
int mint_sign(struct crypto *, const char *key, const struct mint_order *, struct mint_credential *);

/* mint_begin: a new cid, and how long it is good for. */
void mint_begin(const struct mint_order *, int64_t unix_ms, struct mint_credential *);

#endif
