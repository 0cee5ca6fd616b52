/* desk_user.c: users, and who of coturn's is one. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

static struct argument bytes_or_null(const void *at, size_t len)
{
    return len ? BYTES(at, (int64_t)len) : (struct argument){.kind = ARGUMENT_NULL};
}

static int put_user(struct desk *desk, const struct desk_user *user)
{
    const struct store_keys *keys = &user->keys;
    return RUN(desk,
               "INSERT INTO users (realm, name, created_ms, key, other_keys, key_sha256, userhash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
               " ON CONFLICT (realm, name) DO UPDATE SET key = ?4, other_keys = ?5, key_sha256 = ?6, userhash = ?7",
               TEXT(user->realm), TEXT(user->name), NUMBER(clock_unix_ms()), BYTES(keys->md5[0], STORE_KEY_LEN),
               bytes_or_null(keys->md5[1], (keys->md5_count - 1) * STORE_KEY_LEN),
               bytes_or_null(keys->sha256, keys->has_sha256 ? STORE_KEY_SHA256_LEN : 0), BYTES(user->userhash, STORE_USERHASH_LEN));
}

int desk_user_put(struct desk *desk, const struct desk_user *user, const char *who)
{
    int err = desk_start(desk);
    if (err == 0)
        err = put_user(desk, user);
    if (err == 0)
        err = desk_audit(desk, who, "user_put", (const char *const[]){"realm", user->realm, "user", user->name});
    return desk_finish(desk, err);
}

/* Of both tables: a user of coturn's with the same name would otherwise live on. */
static int remove_user(struct desk *desk, const char *realm, const char *user)
{
    int err = RUN(desk, "DELETE FROM users WHERE realm = ?1 AND name = ?2", TEXT(realm), TEXT(user));
    int removed = sqlite3_changes(desk->db);
    if (err == 0 && database_has_table(desk->db, "turnusers_lt")) {
        err = RUN(desk, "DELETE FROM turnusers_lt WHERE realm = ?1 AND name = ?2", TEXT(realm), TEXT(user));
        removed += sqlite3_changes(desk->db);
    }
    if (err)
        return err;
    return removed ? 0 : desk_refuse(desk, ERR_NOT_FOUND, "no such user in this realm");
}

int desk_user_remove(struct desk *desk, const char *realm, const char *user, const char *who)
{
    int err = desk_start(desk);
    if (err == 0)
        err = remove_user(desk, realm, user);
    if (err == 0)
        err = desk_audit(desk, who, "user_remove", (const char *const[]){"realm", realm, "user", user});
    return desk_finish(desk, err);
}

#define USERS_SQL "SELECT realm, name, created_ms FROM users WHERE ?1 IS NULL OR realm = ?1"

int desk_users(struct desk *desk, const char *realm, desk_user_fn *each, void *ctx)
{
    static const char ours[] = USERS_SQL " ORDER BY realm, name";
    static const char both[] = USERS_SQL " UNION ALL SELECT t.realm, t.name, 0 FROM turnusers_lt t WHERE (?1 IS NULL OR t.realm = ?1)"
                                         " AND NOT EXISTS (SELECT 1 FROM users u WHERE u.realm = t.realm AND u.name = t.name)"
                                         " ORDER BY realm, name";
    const char *sql = database_has_table(desk->db, "turnusers_lt") ? both : ours;
    const struct argument argument = TEXT_OR_NULL(realm);
    sqlite3_stmt *statement = desk_begin(desk, sql, &argument, 1);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, database_text(statement, 0), database_text(statement, 1), sqlite3_column_int64(statement, 2));
    return desk_end(desk, statement, code);
}
