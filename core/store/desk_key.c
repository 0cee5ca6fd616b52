/* desk_key.c: keys of the admin door. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* The operator's are of no tenant that could be missing. */
static int check_tenant(struct desk *desk, const char *tenant)
{
    const struct argument argument = TEXT(tenant);
    if (strcmp(tenant, "*") == 0)
        return 0;
    sqlite3_stmt *statement = desk_begin(desk, "SELECT 1 FROM tenants WHERE name = ?1", &argument, 1);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW)
        return 0;
    return code == SQLITE_DONE ? desk_refuse(desk, ERR_NOT_FOUND, "no such tenant") : desk_failed(desk);
}

int desk_key_add(struct desk *desk, const struct desk_key *key, const char *who)
{
    char after[STORE_API_KEY_SCOPES_MAX + 64];
    int err = desk_start(desk);
    snprintf(after, sizeof after, "{\"scopes\": \"%s\", \"expires_ms\": %jd}", key->scopes, (intmax_t)key->expires_ms);
    if (err == 0)
        err = check_tenant(desk, key->tenant);
    if (err == 0)
        err = RUN(desk,
                  "INSERT INTO keys (id, tenant, scopes, hash, name, created_ms, expires_ms)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0))",
                  TEXT(key->id), TEXT(key->tenant), TEXT(key->scopes), BYTES(key->hash, STORE_API_KEY_HASH_LEN), TEXT(key->name),
                  NUMBER(key->created_ms), NUMBER(key->expires_ms));
    if (err == 0)
        err = desk_audit(
            desk,
            &(struct deed){
                .who = who, .type = "key_add", .tenant = key->tenant, .what = {"key", key->id, "tenant", key->tenant}, .after = after});
    return desk_finish(desk, err);
}

/* revoke: whose it was, into `owner`. */
static int revoke(struct desk *desk, const char *id, const char *tenant, char owner[STORE_TENANT_MAX + 1])
{
    const struct argument arguments[] = {TEXT(id), TEXT_OR_NULL(tenant), NUMBER(clock_unix_ms())};
    sqlite3_stmt *statement =
        desk_begin(desk,
                   "UPDATE keys SET revoked_ms = ?3 WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2) AND revoked_ms IS NULL"
                   " RETURNING tenant",
                   arguments, 3);
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    const bool found = code == SQLITE_ROW;
    if (found) {
        view_copy(view_text(database_text(statement, 0)), owner, STORE_TENANT_MAX + 1);
        code = sqlite3_step(statement);
    }
    const int err = desk_end(desk, statement, code);
    return err || found ? err : desk_refuse(desk, ERR_NOT_FOUND, "no such key");
}

int desk_key_remove(struct desk *desk, const char *id, const char *tenant, const char *who, char owner[STORE_TENANT_MAX + 1])
{
    int err = desk_start(desk);
    if (err == 0)
        err = revoke(desk, id, tenant, owner);
    if (err == 0) /* what was minted under it goes with it */
        err = desk_shut_out(desk, &(struct desk_revocation){.kind = "key", .tenant = owner, .name = id, .at_ms = clock_unix_ms()});
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who, .type = "key_remove", .tenant = owner, .what = {"key", id, "tenant", owner}});
    return desk_finish(desk, err);
}

int desk_keys(struct desk *desk, const struct desk_page *page, desk_key_fn *each, void *ctx)
{
    static const char sql[] = "SELECT id, tenant, scopes, name, created_ms, expires_ms, revoked_ms FROM keys"
                              " WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR id > ?2) ORDER BY id LIMIT ?3";
    const struct argument arguments[] = {TEXT_OR_NULL(page->name), TEXT_OR_NULL(page->after), PAGE_LIMIT(page)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 3);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct desk_key key = {
            .id = database_text(statement, 0),
            .tenant = database_text(statement, 1),
            .scopes = database_text(statement, 2),
            .name = database_text(statement, 3),
            .created_ms = sqlite3_column_int64(statement, 4),
            .expires_ms = sqlite3_column_int64(statement, 5),
            .revoked_ms = sqlite3_column_int64(statement, 6),
        };
        each(ctx, &key);
    }
    return desk_end(desk, statement, code);
}
