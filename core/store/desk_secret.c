/* desk_secret.c: shared secrets of time-limited credentials. The audit tells their numbers alone. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tell(struct desk *desk, const struct desk_secret *secret, int64_t id, const struct deed *deed)
{
    struct deed told = *deed;
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, id);
    told.tenant = secret->tenant;
    told.realm = secret->realm;
    told.what[0] = "realm";
    told.what[1] = secret->realm;
    told.what[2] = "id";
    told.what[3] = number;
    return desk_audit(desk, &told);
}

/* find: the number of what was just put. */
static int find(struct desk *desk, const char *realm, const char *secret, int64_t *id)
{
    const struct argument arguments[] = {TEXT(realm), TEXT(secret)};
    sqlite3_stmt *statement = desk_begin(desk, "SELECT id FROM secrets WHERE realm = ?1 AND secret = ?2", arguments, 2);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        *id = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : desk_failed(desk);
}

int desk_secret_add(struct desk *desk, const struct desk_secret *where, const char *secret, const char *who, int64_t *id)
{
    int64_t number = 0;
    if (!*secret)
        return desk_refuse(desk, ERR_RANGE, "an empty secret");
    int err = desk_start(desk);
    if (err == 0)
        err = RUN(
            desk,
            "INSERT INTO secrets (realm, secret, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT (realm, secret) DO UPDATE SET created_ms = ?3",
            TEXT(where->realm), TEXT(secret), NUMBER(clock_unix_ms()));
    if (err == 0)
        err = find(desk, where->realm, secret, &number);
    if (err == 0)
        err = tell(desk, where, number, &(struct deed){.who = who, .type = "secret_add"});
    if (id)
        *id = number;
    return desk_finish(desk, err);
}

/* realm_of: of the secret with this number, from malloc; *out NULL: there is none. */
static int realm_of(struct desk *desk, int64_t id, char **out)
{
    const struct argument argument = NUMBER(id);
    return desk_json(desk, out, "SELECT realm FROM secrets WHERE id = ?1", &argument, 1);
}

int desk_secret_remove(struct desk *desk, const struct desk_secret *secret, const char *who)
{
    char *realm = NULL;
    int err = desk_start(desk);
    if (err == 0)
        err = realm_of(desk, secret->id, &realm);
    if (err == 0 && (!realm || (secret->realm && strcmp(realm, secret->realm) != 0)))
        err = desk_refuse(desk, ERR_NOT_FOUND, "no such secret");
    if (err == 0)
        err = RUN(desk, "DELETE FROM secrets WHERE id = ?1", NUMBER(secret->id));
    if (err == 0)
        err = tell(desk, &(struct desk_secret){.tenant = secret->tenant, .realm = realm}, secret->id, &(struct deed){.who = who, .type = "secret_remove"});
    free(realm);
    return desk_finish(desk, err);
}

int desk_secrets(struct desk *desk, const char *realm, const struct desk_page *page, desk_secret_fn *each, void *ctx)
{
    static const char sql[] = "SELECT id, realm, created_ms FROM secrets WHERE (?1 IS NULL OR realm = ?1) AND id > ?2 ORDER BY id LIMIT ?3";
    const int64_t after = page->after ? strtoll(page->after, NULL, 10) : 0;
    const struct argument arguments[] = {TEXT_OR_NULL(realm), NUMBER(after), PAGE_LIMIT(page)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 3);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, &(struct desk_secret){.id = sqlite3_column_int64(statement, 0),
                                        .realm = database_text(statement, 1),
                                        .created_ms = sqlite3_column_int64(statement, 2)});
    return desk_end(desk, statement, code);
}
