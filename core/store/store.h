/* store.h: users, tenants, secrets, OAuth keys, sessions, usage, meters and audit in SQLite: one writer thread with a bounded queue, a reader per worker.
 *
 * Workers put rows and never wait: rows are merged in memory, and a row is lost (and counted) only when that is full. The thread commits
 * what has gathered in one batch, a tenth of a second after its first row, and at close. While the database is locked, full, read-only or
 * broken the batch is tried again every second; that is said once, and once when it is over. The schema and each table's writer and
 * readers: db/README.md. Migrations (db/NNNN_*.sql) are compiled in and applied at open, in a transaction each.
 */
#ifndef RELAY_STORE_STORE_H
#define RELAY_STORE_STORE_H

#include "base/crypto.h"
#include "base/log.h"

#define STORE_KEY_LEN 16
#define STORE_KEY_SHA256_LEN 32
#define STORE_KEYS_MAX 3
#define STORE_USERHASH_LEN 32
#define STORE_NAME_MAX 508 /* of a user: USERNAME, RFC 8489 section 14.3: fewer than 509 bytes */
#define STORE_REALM_MAX 127

struct store;
struct store_reader;

/* store_open: creates the file (mode 0600) if absent, applies migrations, starts the thread. 0; ERR_BAD: not a database or corrupt;
 * ERR_SYSTEM; with a reason in `error`. */
int store_open(const char *path, struct log *log, struct store **out, char *error, size_t error_cap);

/* store_check: what store_open would say of the file, without creating, changing or migrating it; 0 also if it is absent and its directory is there. */
int store_check(const char *path, char *error, size_t error_cap);

/* struct store_keep: how many days what is written is kept; 0: for good. Minutes of usage, peaks and refusals become hours, hours become days, days go, and so do
 * sessions that ended.  store_keep: from now on; the thread sees to it when it has nothing else to do. */
struct store_keep {
    uint32_t minutes, hours, days, sessions;
};
void store_keep(struct store *, const struct store_keep *);

/* store_close: writes what is queued, ends the thread. NULL is fine. */
void store_close(struct store *);

/* Rows. Strings are copied and never NULL. All return true, or false if the row was dropped (counted and logged once per episode). Times
 * are Unix milliseconds. Any thread. */

/* struct store_who: whom a row counts for. The transport is the client's, and how its peers come if not by datagrams. */
struct store_who {
    const char *tenant, *room, *tag, *user, *transport;
};

struct store_session {
    int64_t id; /* allocation id */
    int64_t opened_ms;
    struct store_who who;
    const char *realm, *username, *client, *relayed, *tags;
};
bool store_session_opened(struct store *, const struct store_session *);

/* struct store_usage: what came to pass since the last row of this id. */
struct store_usage {
    int64_t id; /* allocation id */
    int64_t at_ms;
    struct store_who who;
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    int64_t lived_ms; /* up to at_ms: it is counted in each minute that it was of */
    bool is_active;   /* it carries data for the first time in the minute of at_ms */
};
bool store_usage(struct store *, const struct store_usage *);

struct store_closing {
    struct store_usage last;
    const char *reason; /* released, expired, client_closed, policy, shutdown, ... */
};
bool store_session_closed(struct store *, const struct store_closing *);

/* struct store_refusal: one request of a tenant that was refused. There are few reasons. */
struct store_refusal {
    int64_t at_ms;
    const char *tenant, *reason;
};
bool store_refusal(struct store *, const struct store_refusal *);

/* struct store_meter: the sum of a key of a policy's meter in the period that ends then; a later row replaces it. */
struct store_meter {
    const char *name, *key;
    int64_t ends_ms, sum;
};
bool store_meter(struct store *, const struct store_meter *);

/* store_audit: of nobody's tenant.  store_change: of one. */
struct store_change {
    int64_t at_ms;
    const char *who, *type, *tenant, *detail_json;
};
bool store_audit(struct store *, int64_t at_ms, const char *who, const char *type, const char *detail_json);
bool store_change(struct store *, const struct store_change *);

/* store_flush: wait until everything put before this call is committed or has failed; for tests and shutdown. 0 or ERR_SYSTEM. */
int store_flush(struct store *);

struct store_counts {
    uint64_t rows, batches, dropped, failures;
    uint64_t rolled; /* transactions that merged or deleted what is old */
    uint64_t folded; /* rows of usage that were kept without room, tag and user, because there were too many of them */
    uint64_t waiting; /* rows that are not committed yet */
    bool failing;
};
void store_counts(struct store *, struct store_counts *out); /* any thread */

/* Readers: read-only, in the caller's thread, never waiting for the writer (WAL). Prepared once. */
int store_reader_open(const char *path, struct store_reader **out, char *error, size_t error_cap);
void store_reader_close(struct store_reader *);

/* struct store_keys: the long-term keys of a user: MD5, of the password as it is prepared and as other clients make it (turn/password.h), and
 * SHA-256. */
struct store_keys {
    uint8_t md5[STORE_KEYS_MAX][STORE_KEY_LEN];
    size_t md5_count; /* at least 1 */
    bool has_sha256;
    uint8_t sha256[STORE_KEY_SHA256_LEN];
};

/* store_reader_keys: of (realm, user). 0, ERR_NOT_FOUND, ERR_SYSTEM. */
int store_reader_keys(struct store_reader *, struct view realm, struct view user, struct store_keys *out);

/* store_reader_unhash: the user of the realm who has this USERHASH, as a C string. 0, ERR_NOT_FOUND, ERR_SYSTEM.  store_reader_knows_hashes: false: some
 * users, coturn's, are not found by it. */
int store_reader_unhash(struct store_reader *, struct view realm, struct view hash, char name[STORE_NAME_MAX + 1]);
bool store_reader_knows_hashes(const struct store_reader *);

/* STORE_TENANT_LIMITS: the limits of a tenant, each a column and a field, and the most that one may be: of counts and seconds, of bits a second, of bytes. */
#define STORE_COUNT_MOST INT64_C(0xffffffff)
#define STORE_BPS_MOST INT64_C(1000000000000000)
#define STORE_BYTES_MOST INT64_C(100000000000000000)
#define STORE_TENANT_LIMITS(X)                                                                                                             \
    X(max_allocations, STORE_COUNT_MOST)                                                                                                   \
    X(max_user_allocations, STORE_COUNT_MOST)                                                                                              \
    X(max_bps, STORE_BPS_MOST)                                                                                                             \
    X(max_lifetime_s, STORE_COUNT_MOST)                                                                                                    \
    X(max_active, STORE_COUNT_MOST)                                                                                                        \
    X(tenant_bps, STORE_BPS_MOST)                                                                                                          \
    X(tenant_pps, STORE_COUNT_MOST)                                                                                                        \
    X(max_user_bps, STORE_BPS_MOST)                                                                                                        \
    X(max_pps, STORE_COUNT_MOST)                                                                                                           \
    X(max_new_peers, STORE_COUNT_MOST)                                                                                                     \
    X(max_permissions, STORE_COUNT_MOST)                                                                                                   \
    X(max_channels, STORE_COUNT_MOST)                                                                                                      \
    X(month_bytes, STORE_BYTES_MOST)                                                                                                       \
    X(max_mints, STORE_COUNT_MOST)

/* STORE_TENANT_CHOICES: what is one of some words, the first by default. */
#define STORE_TENANT_CHOICES(X)                                                                                                            \
    X(status, "active", "disabled")                                                                                                        \
    X(month_action, "notify", "throttle", "disable")                                                                                       \
    X(expiry, "keep", "strict")

/* struct store_tenant: limits of a tenant; 0: not set. */
struct store_tenant {
    char name[129], realm[STORE_REALM_MAX + 1];
#define X(name, ...) char name[16];
    STORE_TENANT_CHOICES(X)
#undef X
#define X(name, most) int64_t name;
    STORE_TENANT_LIMITS(X)
#undef X
    int64_t created_ms;
    int64_t version; /* of all tenants, when it was read */
};
int store_reader_tenant(struct store_reader *, struct view name, struct store_tenant *out);

/* store_reader_tenants: calls `each` for all of them.  store_reader_version: higher than before when a tenant was added, changed or removed since; ERR_SYSTEM. */
typedef void store_tenant_fn(void *ctx, const struct store_tenant *);
int store_reader_tenants(struct store_reader *, store_tenant_fn *each, void *ctx);
int64_t store_reader_version(struct store_reader *);

/* store_reader_month: bytes that a tenant relayed in a month, in months since 1970, as far as they are committed. 0 or ERR_SYSTEM. */
int store_reader_month(struct store_reader *, struct view tenant, int64_t month, uint64_t *bytes);

/* struct store_oauth_key: shared with an authorization server; the kid is its name. */
struct store_oauth_key {
    enum crypto_aead aead;
    uint8_t key[CRYPTO_AEAD_KEY_MAX];
    int64_t expires_s; /* Unix; 0: never */
    char realm[STORE_REALM_MAX + 1];  /* whose tokens these are; "": any realm's */
};

/* store_oauth_key: from the columns of a row: `ikm` is Base64, of which the first bytes are the key; `algorithm` A128GCM or A256GCM. 0, ERR_BAD: no Base64
 * or too short, ERR_NOT_FOUND: another algorithm. */
int store_oauth_key(struct view ikm, struct view algorithm, struct store_oauth_key *out);

/* store_reader_oauth_key: the key of `kid`; ERR_NOT_FOUND also for a row that makes no key. */
int store_reader_oauth_key(struct store_reader *, struct view kid, struct store_oauth_key *out);

/* struct store_api_key: a key of the admin door, of which only the SHA-256 of its secret half is known. Times are Unix milliseconds; 0: never. */
#define STORE_TENANT_MAX 128
#define STORE_API_KEY_ID_MAX 31
#define STORE_API_KEY_SCOPES_MAX 63
#define STORE_API_KEY_HASH_LEN 32
struct store_api_key {
    char id[STORE_API_KEY_ID_MAX + 1], tenant[STORE_TENANT_MAX + 1], scopes[STORE_API_KEY_SCOPES_MAX + 1];
    uint8_t hash[STORE_API_KEY_HASH_LEN];
    int64_t expires_ms, revoked_ms;
};
int store_reader_api_key(struct store_reader *, struct view id, struct store_api_key *out); /* 0, ERR_NOT_FOUND, ERR_SYSTEM */

/* store_reader_meters: calls `each` for the sum of every key of a meter whose period ends after `now_ms`; ->name is NULL. */
typedef void store_meter_fn(void *ctx, const struct store_meter *);
int store_reader_meters(struct store_reader *, struct view name, int64_t now_ms, store_meter_fn *each, void *ctx);

/* store_reader_secrets: calls `each` for every secret of the realm (and for those of no realm), newest first. */
typedef void store_secret_fn(void *ctx, struct view secret);
int store_reader_secrets(struct store_reader *, struct view realm, store_secret_fn *each, void *ctx);

#endif
