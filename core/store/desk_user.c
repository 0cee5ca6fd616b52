/* desk_user.c: users, and who of coturn's is one. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

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

/* describe: what may be said of him; *out NULL: there is none. */
static int describe(struct desk *desk, const struct desk_user *user, char **out)
{
    const struct argument arguments[] = {TEXT(user->realm), TEXT(user->name)};
    return desk_json(desk, out,
                     "SELECT json_object('created_ms', created_ms, 'sha256', json(iif(key_sha256 IS NULL, 'false', 'true'))) FROM users"
                     " WHERE realm = ?1 AND name = ?2",
                     arguments, 2);
}

static int tell(struct desk *desk, const struct desk_user *user, const struct deed *deed)
{
    struct deed told = *deed;
    told.tenant = user->tenant;
    told.realm = user->realm;
    return desk_audit(desk, &told);
}

static int check_put(struct desk *desk, enum desk_put how, const char *before)
{
    if (how == DESK_ADD && before)
        return desk_refuse(desk, ERR_EXISTS, "there is a user of this name already");
    if (how == DESK_CHANGE && !before)
        return desk_refuse(desk, ERR_NOT_FOUND, "no such user in this realm");
    return 0;
}

int desk_user_put(struct desk *desk, const struct desk_user *user, enum desk_put how, const char *who)
{
    char *before = NULL, *after = NULL;
    int err = desk_start(desk);
    if (err == 0)
        err = describe(desk, user, &before);
    if (err == 0)
        err = check_put(desk, how, before);
    if (err == 0)
        err = put_user(desk, user);
    if (err == 0)
        err = describe(desk, user, &after);
    if (err == 0)
        err = tell(desk, user,
                   &(struct deed){.who = who, .type = "user_put", .what = {"realm", user->realm, "user", user->name}, .before = before, .after = after});
    free(before);
    free(after);
    return desk_finish(desk, err);
}

int desk_users_put(struct desk *desk, const struct desk_user *users, size_t count, const char *who)
{
    char number[24];
    if (count == 0)
        return 0;
    snprintf(number, sizeof number, "%zu", count);
    int err = desk_start(desk);
    for (size_t i = 0; i < count && err == 0; i++)
        err = put_user(desk, &users[i]);
    if (err == 0)
        err = tell(desk, &users[0], &(struct deed){.who = who, .type = "users_put", .what = {"realm", users[0].realm, "count", number}});
    return desk_finish(desk, err);
}

/* Of both tables: a user of coturn's with the same name would otherwise live on. */
static int remove_user(struct desk *desk, const struct desk_user *user)
{
    int err = RUN(desk, "DELETE FROM users WHERE realm = ?1 AND name = ?2", TEXT(user->realm), TEXT(user->name));
    int removed = sqlite3_changes(desk->db);
    if (err == 0 && database_has_table(desk->db, "turnusers_lt")) {
        err = RUN(desk, "DELETE FROM turnusers_lt WHERE realm = ?1 AND name = ?2", TEXT(user->realm), TEXT(user->name));
        removed += sqlite3_changes(desk->db);
    }
    if (err)
        return err;
    return removed ? 0 : desk_refuse(desk, ERR_NOT_FOUND, "no such user in this realm");
}

int desk_user_remove(struct desk *desk, const struct desk_user *user, const char *who)
{
    char *before = NULL;
    int err = desk_start(desk);
    if (err == 0)
        err = describe(desk, user, &before);
    if (err == 0)
        err = remove_user(desk, user);
    if (err == 0)
        err = tell(desk, user, &(struct deed){.who = who, .type = "user_remove", .what = {"realm", user->realm, "user", user->name}, .before = before});
    free(before);
    return desk_finish(desk, err);
}

#define SELECT_USERS "SELECT realm, name, created_ms FROM users"
#define OF_ONE " realm = ?1 AND name > ?3 AND (?4 IS NULL OR name = ?4)"
#define OF_ALL " (realm, name) > (?2, ?3)"
#define COTURN " UNION ALL SELECT t.realm, t.name, 0 FROM turnusers_lt t WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.realm = t.realm AND u.name = t.name) AND"
#define IN_ORDER " ORDER BY realm, name LIMIT ?5"

static const char *users_sql(const struct desk *desk, bool all)
{
    static const char *const sql[2][2] = {
        {SELECT_USERS " WHERE" OF_ONE IN_ORDER, SELECT_USERS " WHERE" OF_ALL IN_ORDER},
        {SELECT_USERS " WHERE" OF_ONE COTURN OF_ONE IN_ORDER, SELECT_USERS " WHERE" OF_ALL COTURN OF_ALL IN_ORDER},
    };
    return sql[database_has_table(desk->db, "turnusers_lt")][all];
}

int desk_users(struct desk *desk, const char *realm, const struct desk_page *page, desk_user_fn *each, void *ctx)
{
    const struct argument arguments[] = {TEXT_OR_NULL(realm), TEXT(page->after_realm ? page->after_realm : ""), TEXT(page->after ? page->after : ""),
                                         TEXT_OR_NULL(page->name), PAGE_LIMIT(page)};
    sqlite3_stmt *statement = desk_begin(desk, users_sql(desk, !realm), arguments, 5);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, database_text(statement, 0), database_text(statement, 1), sqlite3_column_int64(statement, 2));
    return desk_end(desk, statement, code);
}
