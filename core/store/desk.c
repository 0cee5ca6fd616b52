/* desk.c: what the command line does at the database; see desk.h. */
#include "store/desk.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/opaque.h"
#include "store/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000

struct desk {
    sqlite3 *db;
    char error[256];
};

/* struct argument: one of ?1, ?2, ... of a statement. */
enum argument_kind { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_BYTES, ARGUMENT_NULL };

struct argument {
    enum argument_kind kind;
    int64_t number; /* of bytes, for ARGUMENT_BYTES */
    const void *at;
};

#define TEXT(value) ((struct argument){.kind = ARGUMENT_TEXT, .at = (value)})
#define NUMBER(value) ((struct argument){.kind = ARGUMENT_NUMBER, .number = (value)})
#define BYTES(value, len) ((struct argument){.kind = ARGUMENT_BYTES, .at = (value), .number = (len)})
#define TEXT_OR_NULL(value) ((value) ? TEXT(value) : (struct argument){.kind = ARGUMENT_NULL})

int desk_open(const char *path, bool create, struct desk **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    *out = NULL;
    if (!create && access(path, F_OK) != 0)
        return complain(complaint, ERR_NOT_FOUND, "%s: %s", path, strerrordesc_np(errno));
    struct desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    const int err = database_open(path, DATABASE_CHANGE, BUSY_MS, &desk->db, complaint);
    if (err) {
        free(desk);
        return err;
    }
    *out = desk;
    return 0;
}

void desk_close(struct desk *desk)
{
    if (!desk)
        return;
    sqlite3_close(desk->db);
    free(desk);
}

const char *desk_error(const struct desk *desk)
{
    return desk->error;
}

static int refuse(struct desk *desk, int err, const char *reason)
{
    snprintf(desk->error, sizeof desk->error, "%s", reason);
    return err;
}

static int failed(struct desk *desk)
{
    return refuse(desk, ERR_SYSTEM,
                  sqlite3_errcode(desk->db) == SQLITE_BUSY ? "the database is locked by another process: try again"
                                                           : sqlite3_errmsg(desk->db));
}

static sqlite3_stmt *begin(struct desk *desk, const char *sql, const struct argument *arguments, size_t count)
{
    sqlite3_stmt *statement;
    if (database_prepare(desk->db, sql, &statement))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const int index = (int)i + 1;
        if (arguments[i].kind == ARGUMENT_TEXT)
            database_bind(statement, index, view_text(arguments[i].at));
        else if (arguments[i].kind == ARGUMENT_NUMBER)
            sqlite3_bind_int64(statement, index, arguments[i].number);
        else if (arguments[i].kind == ARGUMENT_BYTES)
            sqlite3_bind_blob(statement, index, arguments[i].at, (int)arguments[i].number, SQLITE_STATIC);
    }
    return statement;
}

static int run(struct desk *desk, const char *sql, const struct argument *arguments, size_t count)
{
    sqlite3_stmt *statement = begin(desk, sql, arguments, count);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : failed(desk);
}

#define RUN(desk, sql, ...)                                                                                                                \
    run(desk, sql, (const struct argument[]){__VA_ARGS__}, sizeof((const struct argument[]){__VA_ARGS__}) / sizeof(struct argument))

/* audit: `what` is the thing that was changed: a user of a realm, a field of a tenant; never a key or a secret. */
static int audit(struct desk *desk, const char *who, const char *type, const char *const what[4])
{
    return RUN(desk, "INSERT INTO audit (at_ms, who, type, detail) VALUES (?1, ?2, ?3, json_object(?4, ?5, ?6, ?7))",
               NUMBER(clock_unix_ms()), TEXT(who), TEXT(type), TEXT(what[0]), TEXT(what[1]), TEXT(what[2]), TEXT(what[3]));
}

static int start(struct desk *desk)
{
    return run(desk, "BEGIN IMMEDIATE", NULL, 0);
}

/* finish: what was begun by start() is kept if `err` is 0, else undone. */
static int finish(struct desk *desk, int err)
{
    if (err == 0)
        err = run(desk, "COMMIT", NULL, 0);
    if (err && !sqlite3_get_autocommit(desk->db))
        sqlite3_exec(desk->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

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
    int err = start(desk);
    if (err == 0)
        err = put_user(desk, user);
    if (err == 0)
        err = audit(desk, who, "user_put", (const char *const[]){"realm", user->realm, "user", user->name});
    return finish(desk, err);
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
    return removed ? 0 : refuse(desk, ERR_NOT_FOUND, "no such user in this realm");
}

int desk_user_remove(struct desk *desk, const char *realm, const char *user, const char *who)
{
    int err = start(desk);
    if (err == 0)
        err = remove_user(desk, realm, user);
    if (err == 0)
        err = audit(desk, who, "user_remove", (const char *const[]){"realm", realm, "user", user});
    return finish(desk, err);
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
    sqlite3_stmt *statement = begin(desk, sql, &argument, 1);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, database_text(statement, 0), database_text(statement, 1), sqlite3_column_int64(statement, 2));
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : failed(desk);
}

/* struct tenant_field: what an operator may set, in the order of field_names: the most of a number, or the words of a choice; else it is text. */
struct tenant_field {
    const char *sql;
    int64_t most;
    const char *words[4];
};

#define NAME(name, ...) #name,
static const char *const field_names[] = {"realm", STORE_TENANT_CHOICES(NAME) STORE_TENANT_LIMITS(NAME) NULL};
#undef NAME

#define SET(name) "UPDATE tenants SET " #name " = ?2 WHERE name = ?1"
#define CHOICE(name, ...) {SET(name), 0, {__VA_ARGS__}},
#define LIMIT(name, most) {SET(name), most, {NULL}},
static const struct tenant_field fields[] = {{SET(realm), 0, {NULL}}, STORE_TENANT_CHOICES(CHOICE) STORE_TENANT_LIMITS(LIMIT)};
#undef SET
#undef CHOICE
#undef LIMIT

const char *const *desk_tenant_fields(void)
{
    return field_names;
}

static const struct tenant_field *find_field(const char *name)
{
    for (size_t i = 0; field_names[i]; i++)
        if (strcmp(field_names[i], name) == 0)
            return &fields[i];
    return NULL;
}

const char *const *desk_tenant_words(const char *field)
{
    const struct tenant_field *found = find_field(field);
    return found && found->words[0] ? found->words : NULL;
}

/* parse_number: digits only, 0..most. */
static bool parse_number(const char *text, int64_t most, int64_t *out)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits])
        return false;
    *out = strtoll(text, NULL, 10);
    return *out <= most;
}

/* prepare_text: as clients will be challenged with it (RFC 8489 section 14.9); false if it may not be a realm. */
static bool prepare_text(const char *value, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    out[0] = 0;
    return !*value || (opaque_enforce(view_text(value), out, &len, why) == 0 && len < sizeof((struct store_tenant *)0)->realm);
}

static bool is_value_for(const struct tenant_field *field, const char *value)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    int64_t number;
    if (field->most)
        return parse_number(value, field->most, &number);
    if (!field->words[0])
        return prepare_text(value, prepared);
    const char *const *word = field->words;
    while (*word && strcmp(*word, value) != 0)
        word++;
    return *word;
}

int desk_tenant_check(const char *field, const char *value)
{
    const struct tenant_field *found = find_field(field);
    if (!found)
        return ERR_NOT_FOUND;
    return is_value_for(found, value) ? 0 : ERR_RANGE;
}

static int set_field(struct desk *desk, const char *name, const char *field, const char *value)
{
    const struct tenant_field *found = find_field(field);
    char text[OPAQUE_MAX_LEN + 1];
    int64_t number = 0;
    int err = RUN(desk, "INSERT INTO tenants (name, created_ms) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", TEXT(name),
                  NUMBER(clock_unix_ms()));
    if (err)
        return err;
    if (found->most)
        parse_number(value, found->most, &number);
    else
        prepare_text(value, text);
    return RUN(desk, found->sql, TEXT(name), found->most ? NUMBER(number) : TEXT(text));
}

int desk_tenant_set(struct desk *desk, const char *name, const char *field, const char *value, const char *who)
{
    int err = desk_tenant_check(field, value);
    if (err)
        return refuse(desk, err, err == ERR_NOT_FOUND ? "no such field of a tenant" : "not a value for this field");
    if (!*name || strlen(name) >= sizeof((struct store_tenant *)0)->name)
        return refuse(desk, ERR_RANGE, "a tenant's name has 1 to 128 bytes");
    err = start(desk);
    if (err == 0)
        err = set_field(desk, name, field, value);
    if (err == 0)
        err = audit(desk, who, "tenant_set", (const char *const[]){"tenant", name, field, value});
    return finish(desk, err);
}

int desk_tenants(struct desk *desk, desk_tenant_fn *each, void *ctx)
{
    sqlite3_stmt *statement = begin(desk, "SELECT " DATABASE_TENANT_COLUMNS " FROM tenants ORDER BY name", NULL, 0);
    struct store_tenant tenant;
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        database_tenant(statement, &tenant);
        each(ctx, &tenant);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : failed(desk);
}

/* Adding a secret again makes it the newest. The audit row names the realm alone. */
int desk_secret_add(struct desk *desk, const char *realm, const char *secret, const char *who)
{
    if (!*secret)
        return refuse(desk, ERR_RANGE, "an empty secret");
    int err = start(desk);
    if (err == 0)
        err = RUN(
            desk,
            "INSERT INTO secrets (realm, secret, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT (realm, secret) DO UPDATE SET created_ms = ?3",
            TEXT(realm), TEXT(secret), NUMBER(clock_unix_ms()));
    if (err == 0)
        err = audit(desk, who, "secret_add", (const char *const[]){"realm", realm, "change", "added"});
    return finish(desk, err);
}

int desk_oauth_put(struct desk *desk, const struct desk_oauth_key *key, const char *who)
{
    struct store_oauth_key made;
    int err = store_oauth_key(view_text(key->ikm), view_text(key->algorithm), &made);
    crypto_wipe(&made, sizeof made);
    if (err)
        return refuse(desk, ERR_RANGE,
                      err == ERR_NOT_FOUND ? "the algorithm is A128GCM or A256GCM"
                                           : "the key is Base64 of 16 bytes for A128GCM, of 32 for A256GCM");
    err = start(desk);
    if (err == 0)
        err = RUN(
            desk, "INSERT OR REPLACE INTO oauth_key (kid, ikm_key, as_rs_alg, timestamp, lifetime, realm) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            TEXT(key->kid), TEXT(key->ikm), TEXT(key->algorithm), NUMBER(key->timestamp_s), NUMBER(key->lifetime_s), TEXT(key->realm));
    if (err == 0)
        err = audit(desk, who, "oauth_put", (const char *const[]){"kid", key->kid, "realm", key->realm});
    return finish(desk, err);
}

int desk_oauth_remove(struct desk *desk, const char *kid, const char *who)
{
    int err = start(desk);
    if (err == 0)
        err = RUN(desk, "DELETE FROM oauth_key WHERE kid = ?1", TEXT(kid));
    if (err == 0 && sqlite3_changes(desk->db) == 0)
        err = refuse(desk, ERR_NOT_FOUND, "no such key");
    if (err == 0)
        err = audit(desk, who, "oauth_remove", (const char *const[]){"kid", kid, "change", "removed"});
    return finish(desk, err);
}

int desk_oauth_keys(struct desk *desk, desk_oauth_fn *each, void *ctx)
{
    sqlite3_stmt *statement = begin(desk, "SELECT " DATABASE_OAUTH_COLUMNS " FROM oauth_key ORDER BY kid", NULL, 0);
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
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : failed(desk);
}

/* Bytes come from whole minutes; sessions are those that lived in the time asked for, and their seconds are those that they lived in it. */
static const char usage_sql[] =
    "SELECT tenant, user, sum(sessions), sum(live), sum(seconds), sum(bytes_in), sum(bytes_out), sum(packets_in), sum(packets_out) FROM ("
    " SELECT tenant, user, 0 AS sessions, 0 AS live, 0 AS seconds, bytes_in, bytes_out, packets_in, packets_out FROM usage"
    "  WHERE minute >= ?2 / 60000 AND minute * 60000 < ?3"
    " UNION ALL"
    " SELECT tenant, user, 1, closed_ms IS NULL,"
    "  CASE WHEN closed_ms <= ?3 AND opened_ms >= ?2 THEN seconds"
    "   ELSE max(0, min(coalesce(closed_ms, ?3), ?3) - max(opened_ms, ?2)) / 1000 END, 0, 0, 0, 0"
    "  FROM sessions WHERE opened_ms < ?3 AND coalesce(closed_ms, ?3) >= ?2"
    ") WHERE ?1 IS NULL OR tenant = ?1 GROUP BY tenant, user ORDER BY tenant, user";

int desk_usage(struct desk *desk, const char *tenant, int64_t from_ms, int64_t to_ms, desk_usage_fn *each, void *ctx)
{
    const struct argument arguments[] = {TEXT_OR_NULL(tenant), NUMBER(from_ms), NUMBER(to_ms)};
    sqlite3_stmt *statement = begin(desk, usage_sql, arguments, 3);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct desk_usage_row row = {
            .tenant = database_text(statement, 0),
            .user = database_text(statement, 1),
            .sessions = sqlite3_column_int64(statement, 2),
            .live = sqlite3_column_int64(statement, 3),
            .seconds = sqlite3_column_int64(statement, 4),
            .bytes_in = (uint64_t)sqlite3_column_int64(statement, 5),
            .bytes_out = (uint64_t)sqlite3_column_int64(statement, 6),
            .packets_in = (uint64_t)sqlite3_column_int64(statement, 7),
            .packets_out = (uint64_t)sqlite3_column_int64(statement, 8),
        };
        each(ctx, &row);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : failed(desk);
}
