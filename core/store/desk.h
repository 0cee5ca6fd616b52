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

/* struct desk_page: which rows of a list, in its order. NULL: of all; from the first on. */
struct desk_page {
    const char *name;  /* this one alone */
    const char *after; /* those behind it */
    const char *after_realm; /* with `after`, in a list of all realms */
    size_t limit;      /* so many at most; 0: all */
};

/* How something is put: as new, ERR_EXISTS; in place of what is there, ERR_NOT_FOUND; or either. */
enum desk_put { DESK_PUT, DESK_ADD, DESK_CHANGE };

/* struct desk_user: `tenant` is for the audit; NULL: whose realm it is. */
struct desk_user {
    const char *tenant, *realm, *name;
    struct store_keys keys;
    uint8_t userhash[STORE_USERHASH_LEN];
};

/* desk_user_put: adds the user, or changes his keys.  desk_users_put: many, all or none, in one transaction and with one audit row; those that are there have their keys
 * changed.  desk_user_remove: ERR_NOT_FOUND if there is none. */
int desk_user_put(struct desk *, const struct desk_user *, enum desk_put how, const char *who);
int desk_users_put(struct desk *, const struct desk_user *, size_t count, const char *who);
int desk_user_remove(struct desk *, const struct desk_user *, const char *who);
typedef void desk_user_fn(void *ctx, const char *realm, const char *user, int64_t created_ms);
int desk_users(struct desk *, const char *realm, const struct desk_page *, desk_user_fn *each, void *ctx); /* realm NULL: all */

/* struct desk_field: a column of `tenants` that an operator may set: the realm and the rows of STORE_TENANT_CHOICES and _LIMITS. One of `words`, or a number of 0 to
 * `most`; else text. `at`: where it is in a struct store_tenant. */
struct desk_field {
    const char *name;
    const char *words[4]; /* NULL behind the last; of none: it is no choice */
    int64_t most;         /* 0: it is no number */
    size_t at;
};

#define DESK_TENANT_FIELDS_MAX 64

/* desk_tenant_fields: all of them, in the order of their columns.  desk_tenant_field: by its name; NULL: there is none.  desk_tenant_number: what a tenant has of a field
 * that is a number; desk_tenant_text: of another. */
const struct desk_field *desk_tenant_fields(size_t *count);
const struct desk_field *desk_tenant_field(const char *name);
int64_t desk_tenant_number(const struct store_tenant *, const struct desk_field *);
const char *desk_tenant_text(const struct store_tenant *, const struct desk_field *);

/* desk_field_wants: what a value of it is, for who gave another. Returns `out`. */
#define DESK_WANTS_MAX 128
const char *desk_field_wants(const struct desk_field *, char out[DESK_WANTS_MAX]);

/* struct desk_tenant: a tenant as it is to be: its name, and what is given: a bit for each field. */
struct desk_tenant {
    struct store_tenant row;
    uint64_t given;
};

/* desk_tenant_begin: nothing is given yet: 0, or ERR_RANGE: no name of a tenant.  desk_tenant_take: a value of a field, a number in decimal digits: 0, or ERR_RANGE: none
 * of its values. */
int desk_tenant_begin(struct desk_tenant *, const char *name);
int desk_tenant_take(struct desk_tenant *, const struct desk_field *, const char *value);

/* desk_tenant_put: makes it or changes what is given; a new one without a realm has one of its own name, if DESK_ADD.  desk_tenant_set: the same of one field.
 * desk_tenant_remove: ERR_NOT_FOUND; ERR_EXISTS: it has users, secrets, keys or allocations that live, unless `force`, which removes these with it (not the allocations, nor
 * what it used). Users and secrets of a realm that another tenant has too stay. */
int desk_tenant_put(struct desk *, const struct desk_tenant *, enum desk_put how, const char *who);
int desk_tenant_set(struct desk *, const char *name, const char *field, const char *value, const char *who);
struct desk_tenant_end {
    bool force;
    int64_t shut_out_until_ms; /* what was minted for it is good no longer, until its time would be over anyway */
};
int desk_tenant_remove(struct desk *, const char *name, const struct desk_tenant_end *, const char *who);
typedef void desk_tenant_fn(void *ctx, const struct store_tenant *);
int desk_tenants(struct desk *, const struct desk_page *, desk_tenant_fn *each, void *ctx);

/* desk_realm: where the users and secrets of a tenant are: its realm, or if it has none one of its name, or if there is no such tenant `tenant` where something is in that
 * realm, or it is `known`: 0; ERR_NOT_FOUND. *shared: another tenant has it too. */
int desk_realm(struct desk *, const char *tenant, const char *known, char out[STORE_REALM_MAX + 1], bool *shared);

/* desk_secret_add: a shared secret (RFC draft-uberti REST credentials) of a realm ("" = all realms); *id, unless NULL, names it. Adding it again makes it the newest.
 * desk_secret_remove: ERR_NOT_FOUND; realm NULL: of any.  desk_secrets: never the secrets themselves. */
struct desk_secret {
    const char *tenant, *realm; /* tenant: for the audit; NULL: whose realm it is */
    int64_t id, created_ms;
};
int desk_secret_add(struct desk *, const struct desk_secret *, const char *secret, const char *who, int64_t *id);
int desk_secret_remove(struct desk *, const struct desk_secret *, const char *who);
typedef void desk_secret_fn(void *ctx, const struct desk_secret *);
int desk_secrets(struct desk *, const char *realm, const struct desk_page *, desk_secret_fn *each, void *ctx); /* realm NULL: all; after: an id */

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

/* struct desk_revocation: who may relay no more; `kind` and what `name` is: the table revocations. */
struct desk_revocation {
    int64_t id;
    const char *kind, *tenant, *name;
    int64_t at_ms, until_ms; /* until_ms 0: for good */
};

/* desk_revoke: writes the row, or writes it anew; *id is its number.  desk_revocation_lift: removes it; ERR_NOT_FOUND if there is none, of this tenant (NULL: of any).
 * desk_revocations: those of a tenant (NULL: all), in the order in which they were written.  desk_revocations_sweep: removes those whose time is
 * over.  desk_revocations_version: a number that is another after any change, whoever made it. */
int desk_revoke(struct desk *, const struct desk_revocation *, const char *who, int64_t *id);
int desk_revocation_lift(struct desk *, int64_t id, const char *tenant, const char *who);
typedef void desk_revocation_fn(void *ctx, const struct desk_revocation *);
int desk_revocations(struct desk *, const char *tenant, desk_revocation_fn *each, void *ctx);
int desk_revocations_sweep(struct desk *, int64_t now_ms);
int desk_revocations_version(struct desk *, int64_t *version);

struct desk_usage_row {
    const char *tenant, *user;
    int64_t sessions, live, seconds;
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
};
typedef void desk_usage_fn(void *ctx, const struct desk_usage_row *);

/* desk_usage: grouped by tenant and user; tenant NULL: all. Bytes and packets of the minutes that touch [from, to); sessions that lived in
 * it, and the seconds that they lived in it. `to_ms` is not in the future. */
int desk_usage(struct desk *, const char *tenant, int64_t from_ms, int64_t to_ms, desk_usage_fn *each, void *ctx);

/* struct desk_audit: a change that somebody made. `before` and `after` are objects of JSON, or NULL; so is `detail`, which is never NULL. */
struct desk_audit {
    int64_t id, at_ms;
    const char *who, *type, *tenant, *detail, *before, *after;
};

/* struct desk_audit_page: of one tenant, or NULL; from `from_ms` to before `to_ms`; behind (at_ms, id), unless at_ms is 0. */
struct desk_audit_page {
    const char *tenant;
    int64_t from_ms, to_ms, after_at_ms, after_id;
    size_t limit;
};

/* desk_audits: the newest first.  desk_note: a row for what was done elsewhere: `detail` is JSON. */
typedef void desk_audit_fn(void *ctx, const struct desk_audit *);
int desk_audits(struct desk *, const struct desk_audit_page *, desk_audit_fn *each, void *ctx);
int desk_note(struct desk *, const struct desk_audit *);

#endif
