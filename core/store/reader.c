/* reader.c: what workers read: keys, tenants, secrets, OAuth keys; each query is one prepared statement.
 *
 * A file that coturn's tools also use has its tables turnusers_lt and turn_secret: what is in them counts too, after ours, and is read as
 * it is at the moment.
 */
#include "base/crypto.h"
#include "base/err.h"
#include "store/database.h"

#include <stdlib.h>
#include <string.h>

struct store_reader {
    sqlite3 *db;
    sqlite3_stmt *keys, *unhash, *tenant, *tenants, *version, *month, *secrets, *oauth_key, *api_key, *meters;
    bool knows_hashes;
};

#define KEYS_SQL "SELECT key, other_keys, key_sha256 FROM users WHERE realm = ?1 AND name = ?2"
#define SECRETS_SQL "SELECT secret FROM (SELECT secret, created_ms, id FROM secrets WHERE realm IN (?1, '')"

static int prepare(struct store_reader *reader)
{
    const bool coturn_users = database_has_table(reader->db, "turnusers_lt"),
               coturn_secrets = database_has_table(reader->db, "turn_secret");
    const char *keys =
        coturn_users ? KEYS_SQL " UNION ALL SELECT hmackey, NULL, NULL FROM turnusers_lt WHERE realm = ?1 AND name = ?2" : KEYS_SQL;
    const char *secrets = coturn_secrets ? SECRETS_SQL " UNION ALL SELECT value, 0, 0 FROM turn_secret WHERE realm IN (?1, ''))"
                                                       " ORDER BY created_ms DESC, id DESC"
                                         : SECRETS_SQL ") ORDER BY created_ms DESC, id DESC";
    reader->knows_hashes = !coturn_users;
    if (database_prepare(reader->db, keys, &reader->keys) ||
        database_prepare(reader->db, "SELECT name FROM users WHERE userhash = ?1 AND realm = ?2", &reader->unhash) ||
        database_prepare(reader->db, "SELECT " DATABASE_TENANT_COLUMNS " FROM tenants WHERE name = ?1", &reader->tenant) ||
        database_prepare(reader->db, "SELECT " DATABASE_TENANT_COLUMNS " FROM tenants", &reader->tenants) ||
        database_prepare(reader->db, DATABASE_TENANT_VERSION, &reader->version) ||
        database_prepare(reader->db, "SELECT bytes FROM months WHERE tenant = ?1 AND month = ?2", &reader->month) ||
        database_prepare(reader->db, secrets, &reader->secrets) ||
        database_prepare(reader->db, "SELECT " DATABASE_OAUTH_COLUMNS " FROM oauth_key WHERE kid = ?1", &reader->oauth_key) ||
        database_prepare(reader->db, "SELECT id, tenant, scopes, hash, expires_ms, revoked_ms FROM keys WHERE id = ?1", &reader->api_key) ||
        database_prepare(reader->db, "SELECT key, ends_ms, sum FROM meters WHERE name = ?1 AND ends_ms > ?2", &reader->meters))
        return ERR_BAD;
    return 0;
}

int store_reader_open(const char *path, struct store_reader **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    struct store_reader *reader = calloc(1, sizeof *reader);
    *out = NULL;
    if (!reader)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    int err = database_open(path, DATABASE_READ, 0, &reader->db, complaint);
    if (err == 0 && (err = prepare(reader)) != 0)
        complain(complaint, err, "%s: %s: give a file that belongs to relay", path, sqlite3_errmsg(reader->db));
    if (err) {
        store_reader_close(reader);
        return err;
    }
    *out = reader;
    return 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    sqlite3_finalize(reader->keys);
    sqlite3_finalize(reader->unhash);
    sqlite3_finalize(reader->tenant);
    sqlite3_finalize(reader->tenants);
    sqlite3_finalize(reader->version);
    sqlite3_finalize(reader->month);
    sqlite3_finalize(reader->secrets);
    sqlite3_finalize(reader->oauth_key);
    sqlite3_finalize(reader->api_key);
    sqlite3_finalize(reader->meters);
    sqlite3_close(reader->db);
    free(reader);
}

static struct view column(sqlite3_stmt *statement, int index)
{
    const void *at = sqlite3_column_blob(statement, index);
    return view_of(at, (size_t)sqlite3_column_bytes(statement, index));
}

/* Ours are 16 bytes, coturn's 32 hex digits. */
static int take_key(struct view value, uint8_t key[STORE_KEY_LEN])
{
    if (value.len == 2 * STORE_KEY_LEN)
        return crypto_hex_decode(value, key, STORE_KEY_LEN) ? ERR_NOT_FOUND : 0;
    if (value.len != STORE_KEY_LEN)
        return ERR_NOT_FOUND;
    memcpy(key, value.at, STORE_KEY_LEN);
    return 0;
}

/* Every query ends with a reset: an open one would keep the log (WAL) from being emptied. */
static int finish(sqlite3_stmt *statement, int code, int err)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? err : ERR_SYSTEM;
}

static int take_keys(sqlite3_stmt *row, struct store_keys *out)
{
    const struct view others = column(row, 1), sha256 = column(row, 2);
    const int err = take_key(column(row, 0), out->md5[0]);
    if (err)
        return err;
    out->md5_count = 1;
    for (size_t at = 0; others.len - at >= STORE_KEY_LEN && out->md5_count < STORE_KEYS_MAX; at += STORE_KEY_LEN)
        memcpy(out->md5[out->md5_count++], others.at + at, STORE_KEY_LEN);
    out->has_sha256 = sha256.len == STORE_KEY_SHA256_LEN;
    if (out->has_sha256)
        memcpy(out->sha256, sha256.at, STORE_KEY_SHA256_LEN);
    return 0;
}

int store_reader_keys(struct store_reader *reader, struct view realm, struct view user, struct store_keys *out)
{
    int err = ERR_NOT_FOUND, code;
    database_bind(reader->keys, 1, realm);
    database_bind(reader->keys, 2, user);
    while ((code = sqlite3_step(reader->keys)) == SQLITE_ROW && err == ERR_NOT_FOUND)
        err = take_keys(reader->keys, out);
    return finish(reader->keys, code, err);
}

int store_reader_unhash(struct store_reader *reader, struct view realm, struct view hash, char name[STORE_NAME_MAX + 1])
{
    sqlite3_stmt *statement = reader->unhash;
    sqlite3_bind_blob64(statement, 1, hash.at, hash.len, SQLITE_STATIC);
    database_bind(statement, 2, realm);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        view_copy(view_text(database_text(statement, 0)), name, STORE_NAME_MAX + 1);
    return finish(statement, code, code == SQLITE_ROW ? 0 : ERR_NOT_FOUND);
}

bool store_reader_knows_hashes(const struct store_reader *reader)
{
    return reader->knows_hashes;
}

int store_reader_tenant(struct store_reader *reader, struct view name, struct store_tenant *out)
{
    sqlite3_stmt *statement = reader->tenant;
    database_bind(statement, 1, name);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        database_tenant(statement, out);
    return finish(statement, code, code == SQLITE_ROW ? 0 : ERR_NOT_FOUND);
}

int store_reader_tenants(struct store_reader *reader, store_tenant_fn *each, void *ctx)
{
    struct store_tenant tenant;
    int code;
    while ((code = sqlite3_step(reader->tenants)) == SQLITE_ROW) {
        database_tenant(reader->tenants, &tenant);
        each(ctx, &tenant);
    }
    return finish(reader->tenants, code, 0);
}

int64_t store_reader_version(struct store_reader *reader)
{
    const int code = sqlite3_step(reader->version);
    const int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(reader->version, 0) : 0;
    const int err = finish(reader->version, code, 0);
    return err ? err : number;
}

int store_reader_month(struct store_reader *reader, struct view tenant, int64_t month, uint64_t *bytes)
{
    database_bind(reader->month, 1, tenant);
    sqlite3_bind_int64(reader->month, 2, month);
    const int code = sqlite3_step(reader->month);
    *bytes = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(reader->month, 0) : 0;
    return finish(reader->month, code, 0);
}

int store_reader_oauth_key(struct store_reader *reader, struct view kid, struct store_oauth_key *out)
{
    sqlite3_stmt *statement = reader->oauth_key;
    int err = ERR_NOT_FOUND;
    database_bind(statement, 1, kid);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && database_oauth_key(statement, out) == 0)
        err = 0;
    return finish(statement, code, err);
}

static int take_api_key(sqlite3_stmt *row, struct store_api_key *out)
{
    const struct view hash = column(row, 3);
    if (hash.len != sizeof out->hash)
        return ERR_NOT_FOUND;
    memcpy(out->hash, hash.at, sizeof out->hash);
    view_copy(view_text(database_text(row, 0)), out->id, sizeof out->id);
    view_copy(view_text(database_text(row, 1)), out->tenant, sizeof out->tenant);
    view_copy(view_text(database_text(row, 2)), out->scopes, sizeof out->scopes);
    out->expires_ms = sqlite3_column_int64(row, 4);
    out->revoked_ms = sqlite3_column_int64(row, 5);
    return 0;
}

int store_reader_api_key(struct store_reader *reader, struct view id, struct store_api_key *out)
{
    sqlite3_stmt *statement = reader->api_key;
    int err = ERR_NOT_FOUND;
    database_bind(statement, 1, id);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        err = take_api_key(statement, out);
    return finish(statement, code, err);
}

int store_reader_meters(struct store_reader *reader, struct view name, int64_t now_ms, store_meter_fn *each, void *ctx)
{
    int code;
    database_bind(reader->meters, 1, name);
    sqlite3_bind_int64(reader->meters, 2, now_ms);
    while ((code = sqlite3_step(reader->meters)) == SQLITE_ROW) {
        const struct store_meter row = {.key = database_text(reader->meters, 0),
                                        .ends_ms = sqlite3_column_int64(reader->meters, 1),
                                        .sum = sqlite3_column_int64(reader->meters, 2)};
        each(ctx, &row);
    }
    return finish(reader->meters, code, 0);
}

int store_reader_secrets(struct store_reader *reader, struct view realm, store_secret_fn *each, void *ctx)
{
    int code;
    database_bind(reader->secrets, 1, realm);
    while ((code = sqlite3_step(reader->secrets)) == SQLITE_ROW)
        each(ctx, column(reader->secrets, 0));
    return finish(reader->secrets, code, 0);
}
