/* migrate.c: see migrate.h. */
#include "store/migrate.h"

#include "base/crypto.h"
#include "base/err.h"

#include <stdio.h>

#define USERHASH "relay_userhash"

static int version_of(sqlite3 *db)
{
    return (int)database_number(db, "PRAGMA user_version", -1);
}

static int refuse_newer(const char *path, int version, struct complaint complaint)
{
    return complain(complaint, ERR_BAD, "%s: made by a newer relay (schema %d, this one knows %d): run that version, or give another file",
                    path, version, migration_count);
}

static int failed(sqlite3 *db, const char *path, const struct migration *migration, struct complaint complaint)
{
    const bool other = sqlite3_errcode(db) == SQLITE_ERROR; /* the SQL does not fit: not ours */
    return complain(complaint, other ? ERR_BAD : ERR_SYSTEM, "%s: migration %s: %s%s", path, migration->name, sqlite3_errmsg(db),
                    other ? ": give a file that belongs to relay" : "");
}

/* The version is read again inside the transaction: another process may have been quicker. */
static int apply(sqlite3 *db, const struct migration *migration)
{
    char set_version[48];
    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", migration->number);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL))
        return ERR_SYSTEM;
    if (version_of(db) >= migration->number)
        return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) ? ERR_SYSTEM : 0;
    if (sqlite3_exec(db, migration->sql, NULL, NULL, NULL) || sqlite3_exec(db, set_version, NULL, NULL, NULL) ||
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
        return ERR_SYSTEM;
    return 0;
}

/* relay_userhash(name, realm): RFC 8489 section 14.4; for 0002_userhash.sql. */
static void userhash(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint8_t hash[CRYPTO_HASH_MAX];
    struct view parts[] = {{0}, view_text(":"), {0}};
    for (int i = 0; i < count; i++) {
        const void *text = sqlite3_value_text(values[i]);
        parts[2 * i] = view_of(text, (size_t)sqlite3_value_bytes(values[i]));
    }
    if (crypto_digest(sqlite3_user_data(context), CRYPTO_SHA256, parts, 3, hash) != 0)
        sqlite3_result_error(context, "libcrypto failed", -1);
    else
        sqlite3_result_blob(context, hash, STORE_USERHASH_LEN, SQLITE_TRANSIENT);
}

static int apply_all(sqlite3 *db, const char *path, int version, struct complaint complaint)
{
    for (int i = version; i < migration_count; i++) {
        if (apply(db, &migrations[i]) == 0)
            continue;
        const int err = failed(db, path, &migrations[i], complaint);
        if (!sqlite3_get_autocommit(db))
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return err;
    }
    return 0;
}

int migrate(sqlite3 *db, const char *path, struct complaint complaint)
{
    const int version = version_of(db), flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    if (version < 0)
        return complain(complaint, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(db));
    if (version > migration_count)
        return refuse_newer(path, version, complaint);
    if (version == migration_count)
        return 0;
    struct crypto *crypto = crypto_new();
    if (!crypto)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    int err = sqlite3_create_function_v2(db, USERHASH, 2, flags, crypto, userhash, NULL, NULL, NULL)
                  ? complain(complaint, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(db))
                  : apply_all(db, path, version, complaint);
    sqlite3_create_function_v2(db, USERHASH, 2, flags, NULL, NULL, NULL, NULL, NULL); /* it dies with `crypto` */
    crypto_free(crypto);
    return err;
}

int migrate_check(sqlite3 *db, const char *path, struct complaint complaint)
{
    const int version = version_of(db);
    if (version > migration_count)
        return refuse_newer(path, version, complaint);
    if (version != migration_count)
        return complain(complaint, ERR_BAD,
                        "%s: schema %d is older than this relay's (%d): start the server, or any relay command, on it once", path, version,
                        migration_count);
    return 0;
}
