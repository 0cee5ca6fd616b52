/* desk_oauth.c: keys shared with authorization servers. */
#include "store/desk_statement.h"

#include "base/err.h"

int desk_oauth_put(struct desk *desk, const struct desk_oauth_key *key, const char *who)
{
    struct store_oauth_key made;
    int err = store_oauth_key(view_text(key->ikm), view_text(key->algorithm), &made);
    crypto_wipe(&made, sizeof made);
    if (err)
        return desk_refuse(desk, ERR_RANGE,
                      err == ERR_NOT_FOUND ? "the algorithm is A128GCM or A256GCM"
                                           : "the key is Base64 of 16 bytes for A128GCM, of 32 for A256GCM");
    err = desk_start(desk);
    if (err == 0)
        err = RUN(
            desk, "INSERT OR REPLACE INTO oauth_key (kid, ikm_key, as_rs_alg, timestamp, lifetime, realm) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            TEXT(key->kid), TEXT(key->ikm), TEXT(key->algorithm), NUMBER(key->timestamp_s), NUMBER(key->lifetime_s), TEXT(key->realm));
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who, .type = "oauth_put", .realm = key->realm, .what = {"kid", key->kid, "realm", key->realm}});
    return desk_finish(desk, err);
}

int desk_oauth_remove(struct desk *desk, const char *kid, const char *who)
{
    int err = desk_start(desk);
    if (err == 0)
        err = RUN(desk, "DELETE FROM oauth_key WHERE kid = ?1", TEXT(kid));
    if (err == 0 && sqlite3_changes(desk->db) == 0)
        err = desk_refuse(desk, ERR_NOT_FOUND, "no such key");
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who, .type = "oauth_remove", .what = {"kid", kid, "change", "removed"}});
    return desk_finish(desk, err);
}

int desk_oauth_keys(struct desk *desk, desk_oauth_fn *each, void *ctx)
{
    sqlite3_stmt *statement = desk_begin(desk, "SELECT " DATABASE_OAUTH_COLUMNS " FROM oauth_key ORDER BY kid", NULL, 0);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct desk_oauth_key key = {
            .kid = database_text(statement, 0),
            .ikm = "",
            .algorithm = database_text(statement, 2),
            .timestamp_s = sqlite3_column_int64(statement, 3),
            .lifetime_s = sqlite3_column_int64(statement, 4),
            .realm = database_text(statement, 5),
        };
        each(ctx, &key);
    }
    return desk_end(desk, statement, code);
}
