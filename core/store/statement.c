/* statement.c: what a statement may do, and what it may bring. */
#include "store/statement.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY 1000 /* steps of SQLite's machine between two looks at `stop` */
#define BUSY_PAUSE_MS 5
#define BLOCK_BYTES ((size_t)16 << 10)
#define DATUM_BYTES 16

/* ---- the memory of a result ---- */

struct block {
    struct block *next;
    size_t len, cap;
    char bytes[];
};

/* room: `len` bytes that live as long as the result; NULL without memory. */
static char *room(struct result *result, size_t len)
{
    struct block *block = result->blocks;
    if (!block || block->cap - block->len < len) {
        const size_t cap = len > BLOCK_BYTES ? len : BLOCK_BYTES;
        block = malloc(sizeof *block + cap);
        if (!block)
            return NULL;
        *block = (struct block){.next = result->blocks, .cap = cap};
        result->blocks = block;
    }
    block->len += len;
    return block->bytes + block->len - len;
}

/* keep: a copy with a NUL behind it. */
static bool keep(struct result *result, struct view *text)
{
    char *copy = room(result, text->len + 1);
    if (!copy)
        return false;
    if (text->len)
        memcpy(copy, text->at, text->len);
    copy[text->len] = 0;
    text->at = (const uint8_t *)copy;
    return true;
}

int result_init(struct result *result, const struct query *query)
{
    *result = (struct result){.query = *query};
    struct datum *data = calloc(query->datum_count + 1, sizeof *data);
    result->query.data = data;
    if (!data || !keep(result, &result->query.sql))
        return ERR_MEMORY;
    for (size_t i = 0; i < query->datum_count; i++) {
        data[i] = query->data[i];
        if (data[i].kind == DATUM_TEXT && !keep(result, &data[i].text))
            return ERR_MEMORY;
    }
    return 0;
}

void result_close(struct result *result)
{
    for (struct block *block = result->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free((void *)(uintptr_t)result->query.data);
    free((void *)(uintptr_t)result->rows.names);
    free(result->data);
}

/* ---- what a statement may read ---- */

/* struct secret: a column that is as good as a password; NULL: the whole table. The last ones are coturn's. */
static const struct secret {
    const char *table, *column;
} secrets[] = {
    {"users", "key"},        {"users", "other_keys"}, {"users", "key_sha256"},    {"secrets", NULL},   {"oauth_key", "ikm_key"},
    {"keys", "hash"},        {"sqlite_dbpage", NULL}, {"turn_secret", NULL},   {"turnusers_lt", "hmackey"}, {"admin_user", NULL}, {"webhooks", "secret"}};

static bool is_secret(const char *table, const char *column)
{
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (sqlite3_stricmp(secrets[i].table, table) == 0 && (!secrets[i].column || sqlite3_stricmp(secrets[i].column, column) == 0))
            return true;
    return false;
}

/* authorize: SQLite asks it about everything that a statement would do. */
static int authorize(void *ctx, int action, const char *first, const char *second, const char *database, const char *source)
{
    (void)ctx, (void)database, (void)source;
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_READ:
            return is_secret(first, second) ? SQLITE_DENY : SQLITE_OK;
        case SQLITE_FUNCTION:
            return sqlite3_stricmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
        default:
            return SQLITE_DENY;
    }
}

/* ---- one that nobody wants any more ---- */

static bool is_stopped(const struct bench *bench)
{
    return atomic_load_explicit(bench->stop, memory_order_relaxed);
}

static int on_progress(void *ctx)
{
    return is_stopped(ctx);
}

static int on_busy(void *ctx, int times)
{
    (void)times;
    if (is_stopped(ctx))
        return 0;
    sqlite3_sleep(BUSY_PAUSE_MS);
    return 1;
}

/* ---- the connection ---- */

#define USER_SQL "SELECT 1 FROM users WHERE realm = ?1 AND name = ?2"

static void limit(sqlite3 *db)
{
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, (int)QUERY_BYTES_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, (int)QUERY_SENT_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 100);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 100);
    sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 50);
    sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

int bench_open(struct bench *bench, const char *path, struct complaint complaint)
{
    *bench = (struct bench){0};
    const int err = database_open(path, DATABASE_READ, 0, &bench->db, complaint);
    if (err)
        return err;
    bench->user_sql = database_has_table(bench->db, "turnusers_lt")
                          ? USER_SQL " UNION ALL SELECT 1 FROM turnusers_lt WHERE realm = ?1 AND name = ?2"
                          : USER_SQL;
    limit(bench->db);
    sqlite3_set_authorizer(bench->db, authorize, NULL);
    sqlite3_progress_handler(bench->db, LOOK_EVERY, on_progress, bench);
    sqlite3_busy_handler(bench->db, on_busy, bench);
    return 0;
}

void bench_close(struct bench *bench)
{
    sqlite3_close(bench->db);
}

/* ---- a statement runs ---- */

static void fail(struct result *result, const char *error)
{
    result->rows = (struct rows){.error = error, .names = result->rows.names};
}

/* fault: the statement itself is wrong. */
static void fault(struct result *result, const char *why)
{
    struct view text = view_text(why);
    fail(result, "failed");
    if (!keep(result, &text))
        return;
    result->rows.error = (const char *)text.at;
    result->rows.is_wrong = true;
}

/* fail_as: what SQLite answered. */
static void fail_as(struct result *result, sqlite3 *db, int code)
{
    switch (code & 0xff) {
        case SQLITE_ERROR:
        case SQLITE_AUTH:
        case SQLITE_RANGE:
        case SQLITE_MISMATCH:
            fault(result, sqlite3_errmsg(db));
            break;
        case SQLITE_TOOBIG:
            fail(result, "too large");
            break;
        default:
            fail(result, "failed");
    }
}

static int bind(sqlite3_stmt *statement, int at, const struct datum *datum)
{
    switch (datum->kind) {
        case DATUM_INTEGER:
            return sqlite3_bind_int64(statement, at, datum->integer);
        case DATUM_REAL:
            return sqlite3_bind_double(statement, at, datum->real);
        case DATUM_TEXT:
            return sqlite3_bind_text64(statement, at, (const char *)datum->text.at, datum->text.len, SQLITE_STATIC, SQLITE_UTF8);
        default:
            return sqlite3_bind_null(statement, at);
    }
}

/* prepare: the statement with its parameters; NULL: result->rows says why. */
static sqlite3_stmt *prepare(const struct bench *bench, struct result *result)
{
    const struct query *query = &result->query;
    const struct view sql = query->is_user ? view_text(bench->user_sql) : query->sql;
    const char *rest = NULL;
    char why[96];
    sqlite3_stmt *statement = NULL;
    const int code = sqlite3_prepare_v3(bench->db, (const char *)sql.at, (int)sql.len, 0, &statement, &rest);
    const int wanted = sqlite3_bind_parameter_count(statement);
    snprintf(why, sizeof why, "%d parameters expected, got %zu", wanted, query->datum_count);
    if (code)
        fail_as(result, bench->db, code);
    else if (!statement || rest[strspn(rest, " \t\r\n;")])
        fault(result, "one statement expected");
    else if (sqlite3_column_count(statement) == 0 || !sqlite3_stmt_readonly(statement))
        fault(result, "a statement that reads expected");
    else if (wanted != (int)query->datum_count)
        fault(result, why);
    for (size_t i = 0; i < query->datum_count && !result->rows.error; i++)
        if (bind(statement, (int)i + 1, &query->data[i]))
            fail_as(result, bench->db, sqlite3_errcode(bench->db));
    if (!result->rows.error)
        return statement;
    sqlite3_finalize(statement);
    return NULL;
}

static bool count_bytes(struct result *result, size_t bytes)
{
    result->bytes += bytes;
    return result->bytes <= QUERY_BYTES_MAX;
}

static int take_names(struct result *result, sqlite3_stmt *statement)
{
    const size_t count = (size_t)sqlite3_column_count(statement);
    const char **names = calloc(count, sizeof *names);
    result->rows.names = names;
    result->rows.column_count = count;
    for (size_t i = 0; names && i < count; i++) {
        const char *of = sqlite3_column_name(statement, (int)i);
        struct view name = view_text(of ? of : "");
        if (!of || !keep(result, &name))
            return ERR_MEMORY;
        names[i] = (const char *)name.at;
        count_bytes(result, name.len);
    }
    return names ? 0 : ERR_MEMORY;
}

/* read_column: false without memory. */
static bool read_column(struct result *result, sqlite3_stmt *statement, int column, struct datum *out)
{
    switch (sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
            *out = (struct datum){.kind = DATUM_NULL};
            return true;
        case SQLITE_INTEGER:
            *out = (struct datum){.kind = DATUM_INTEGER, .integer = sqlite3_column_int64(statement, column)};
            return true;
        case SQLITE_FLOAT:
            *out = (struct datum){.kind = DATUM_REAL, .real = sqlite3_column_double(statement, column)};
            return true;
        default:
            *out = (struct datum){.kind = DATUM_TEXT};
            out->text.at = sqlite3_column_blob(statement, column);
            out->text.len = (size_t)sqlite3_column_bytes(statement, column);
            result->bytes += out->text.len;
            return result->bytes > QUERY_BYTES_MAX || keep(result, &out->text); /* too many end it anyway */
    }
}

/* take_row: 0, ERR_SYSTEM: it is too much, ERR_MEMORY. */
static int take_row(struct result *result, sqlite3_stmt *statement)
{
    const size_t columns = result->rows.column_count;
    if (result->rows.row_count == QUERY_ROWS_MAX || !count_bytes(result, columns * DATUM_BYTES))
        return ERR_SYSTEM;
    if (result->datum_room - result->datum_count < columns) {
        const size_t more = 2 * result->datum_room + columns;
        struct datum *data = realloc(result->data, more * sizeof *data);
        if (!data)
            return ERR_MEMORY;
        result->data = data;
        result->datum_room = more;
    }
    for (size_t i = 0; i < columns; i++)
        if (!read_column(result, statement, (int)i, &result->data[result->datum_count++]))
            return ERR_MEMORY;
    result->rows.row_count++;
    return result->bytes > QUERY_BYTES_MAX ? ERR_SYSTEM : 0;
}

static void take_rows(const struct bench *bench, struct result *result, sqlite3_stmt *statement)
{
    int err = take_names(result, statement), code = SQLITE_DONE;
    while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW)
        err = take_row(result, statement);
    result->rows.data = result->data;
    if (err)
        fail(result, err == ERR_MEMORY ? "failed" : "too large");
    else if (code != SQLITE_DONE)
        fail_as(result, bench->db, code);
}

void bench_run(struct bench *bench, struct result *result, const atomic_bool *stop)
{
    bench->stop = stop;
    sqlite3_stmt *statement = prepare(bench, result);
    if (statement)
        take_rows(bench, result, statement);
    sqlite3_finalize(statement);
}
