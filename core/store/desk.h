/* desk.h: what the command line and the admin door do at the database: users, tenants, secrets, OAuth keys, usage.
 *
 * Synchronous: in its own process, beside a running server, or in a thread of the server's that may wait. Opens (and migrates) the file, waits up to 5 s for a busy writer. Every change
 * writes an audit row. Errors are negative enum err with a reason in desk_error.
 */
#ifndef RELAY_STORE_DESK_H
#define RELAY_STORE_DESK_H

#include "store/store.h"

struct desk;

/* desk_open_beside: of a server's own thread: waits so long for a busy writer. */
int desk_open(const char *path, bool create, struct desk **out, char *error, size_t error_cap);
int desk_open_beside(const char *path, int busy_ms, struct desk **out, char *error, size_t error_cap);
void desk_close(struct desk *);
const char *desk_error(const struct desk *);

/* struct desk_page: which rows of a list, in the order of their names. NULL: of all; from the first on. */
struct desk_page {
    const char *name;  /* this one alone */
    const char *after; /* those behind it */
    size_t limit;      /* so many at most; 0: all */
};

struct desk_user {
    const char *realm, *name;
    struct store_keys keys;
    uint8_t userhash[STORE_USERHASH_LEN];
};

/* desk_user_put: adds the user or changes its keys.  desk_user_remove: ERR_NOT_FOUND if there is none. */
int desk_user_put(struct desk *, const struct desk_user *, const char *who);
int desk_user_remove(struct desk *, const char *realm, const char *user, const char *who);
typedef void desk_user_fn(void *ctx, const char *realm, const char *user, int64_t created_ms);
int desk_users(struct desk *, const char *realm, desk_user_fn *each, void *ctx); /* realm NULL: all */

/* struct desk_field: a column of `tenants` that an operator may set: the realm and the rows of STORE_TENANT_CHOICES and _LIMITS. One of `words`, or a number of 0 to
 * `most`; else text. `at`: where it is in a struct store_tenant. */
struct desk_field {
    const char *name;
    const char *words[4]; /* NULL behind the last; of none: it is no choice */
    int64_t most;         /* 0: it is no number */
    size_t at;
};

#define DESK_TENANT_FIELDS_MAX 64

/* desk_tenant_fields: all of them, in the order of their columns.  desk_tenant_field: by its name; NULL: there is none.  desk_tenant_check: 0, or what desk_tenant_set
 * would answer: ERR_NOT_FOUND: no such field, ERR_RANGE: not a value of it. */
const struct desk_field *desk_tenant_fields(size_t *count);
const struct desk_field *desk_tenant_field(const char *name);
int desk_tenant_check(const char *field, const char *value);

/* desk_field_wants: what a value of it is, for who gave another. Returns `out`. */
#define DESK_WANTS_MAX 128
const char *desk_field_wants(const struct desk_field *, char out[DESK_WANTS_MAX]);

/* desk_tenant_set: creates or changes. */
int desk_tenant_set(struct desk *, const char *name, const char *field, const char *value, const char *who);
typedef void desk_tenant_fn(void *ctx, const struct store_tenant *);
int desk_tenants(struct desk *, const struct desk_page *, desk_tenant_fn *each, void *ctx);

/* desk_secret_add: a shared secret (RFC draft-uberti REST credentials) of a realm ("" = all realms). */
int desk_secret_add(struct desk *, const char *realm, const char *secret, const char *who);

/* struct desk_oauth_key: a key shared with an authorization server; `ikm` is Base64, and "" when it is listed. */
struct desk_oauth_key {
    const char *kid, *ikm, *algorithm, *realm;
    int64_t timestamp_s, lifetime_s; /* Unix; a lifetime of 0 has no end */
};

/* desk_oauth_put: adds the key or changes it: ERR_RANGE for what makes no key.  desk_oauth_remove: ERR_NOT_FOUND if there is none. */
int desk_oauth_put(struct desk *, const struct desk_oauth_key *, const char *who);
int desk_oauth_remove(struct desk *, const char *kid, const char *who);
typedef void desk_oauth_fn(void *ctx, const struct desk_oauth_key *);
int desk_oauth_keys(struct desk *, desk_oauth_fn *each, void *ctx);

/* struct desk_key: of the admin door; `hash` is NULL when it is listed. Times are Unix milliseconds; 0: never. */
struct desk_key {
    const char *id, *tenant, *scopes, *name;
    const uint8_t *hash; /* STORE_API_KEY_HASH_LEN bytes */
    int64_t created_ms, expires_ms, revoked_ms;
};

/* desk_key_add: ERR_NOT_FOUND: there is no such tenant.  desk_key_remove: its row stays, and says since when it is revoked; ERR_NOT_FOUND: there is none, of that
 * tenant (NULL: of any), that is not; `owner`: whose it was.  desk_keys: ->name of the page is a tenant, ->after an id. */
int desk_key_add(struct desk *, const struct desk_key *, const char *who);
int desk_key_remove(struct desk *, const char *id, const char *tenant, const char *who, char owner[STORE_TENANT_MAX + 1]);
typedef void desk_key_fn(void *ctx, const struct desk_key *);
int desk_keys(struct desk *, const struct desk_page *, desk_key_fn *each, void *ctx);

struct desk_usage_row {
    const char *tenant, *user;
    int64_t sessions, live, seconds;
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
};
typedef void desk_usage_fn(void *ctx, const struct desk_usage_row *);

/* desk_usage: grouped by tenant and user; tenant NULL: all. Bytes and packets of the minutes that touch [from, to); sessions that lived in
 * it, and the seconds that they lived in it. `to_ms` is not in the future. */
int desk_usage(struct desk *, const char *tenant, int64_t from_ms, int64_t to_ms, desk_usage_fn *each, void *ctx);

#endif
