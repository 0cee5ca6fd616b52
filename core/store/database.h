/* database.h: one SQLite connection, opened and checked alike for the writer, the readers and the desk; for core/store only.
 *
 * A connection belongs to one thread at a time. What SQLite says goes to a struct complaint, as one sentence for the operator: file,
 * reason, way out.
 */
#ifndef RELAY_STORE_DATABASE_H
#define RELAY_STORE_DATABASE_H

#include "store/store.h"

#include <sqlite3.h>

/* struct complaint: where a reason goes: `cap` bytes at `at`. */
struct complaint {
    char *at;
    size_t cap;
};

/* complain: returns `err`, so that a function may end in `return complain(...)`. */
int complain(struct complaint complaint, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum database_use {
    DATABASE_READ,   /* read-only, never waits for a writer */
    DATABASE_BATCH,  /* read and write; a commit survives the process, and power loss up to the last checkpoint (synchronous = NORMAL) */
    DATABASE_CHANGE, /* read and write; a commit survives power loss (synchronous = FULL) */
};

/* database_open: DATABASE_BATCH and _CHANGE create the file (mode 0600) if it is absent, check it and apply migrations; DATABASE_READ
 * refuses another schema. 0; ERR_BAD: not a database, corrupt, of a newer version; ERR_SYSTEM. Writers wait up to `busy_ms` for each other.
 */
int database_open(const char *path, enum database_use use, int busy_ms, sqlite3 **out, struct complaint complaint);

/* database_check: whether the file is a whole database, read only; an absent one is fine if its directory is there. */
int database_check(const char *path, struct complaint complaint);

/* database_prepare: 0 or ERR_SYSTEM. */
int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out);

/* database_number: the number in the first column of the first row, or `none` if there is no row or it fails. */
int64_t database_number(sqlite3 *db, const char *sql, int64_t none);

bool database_has_table(sqlite3 *db, const char *name);

/* database_bind: text that lives until the statement is reset; never NULL for SQL. */
void database_bind(sqlite3_stmt *statement, int index, struct view text);

/* database_text: a column as a C string, never NULL, valid until the next step. */
const char *database_text(sqlite3_stmt *statement, int column);

/* database_tenant: a row of DATABASE_TENANT_COLUMNS. */
#define DATABASE_TENANT_COLUMN(name, ...) ", " #name
#define DATABASE_TENANT_COLUMNS                                                                                                            \
    "name, realm" STORE_TENANT_CHOICES(DATABASE_TENANT_COLUMN) STORE_TENANT_LIMITS(DATABASE_TENANT_COLUMN) ", created_ms, (" DATABASE_TENANT_VERSION ")"
#define DATABASE_TENANT_VERSION "SELECT number FROM versions WHERE what = 'tenants'"
void database_tenant(sqlite3_stmt *statement, struct store_tenant *out);

/* database_oauth_key: a row of DATABASE_OAUTH_COLUMNS; 0, or what store_oauth_key says. */
#define DATABASE_OAUTH_COLUMNS "kid, ikm_key, as_rs_alg, timestamp, lifetime, realm"
int database_oauth_key(sqlite3_stmt *statement, struct store_oauth_key *out);

/* database_run: step a statement that returns no rows, reset it, forget what was bound. 0 or ERR_SYSTEM. */
int database_run(sqlite3_stmt *statement);

#endif
