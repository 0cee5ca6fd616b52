/* desk.c: the desk itself: its connection, transactions and statements, and the audit; see desk.h. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000

static int open_desk(const char *path, int busy_ms, struct desk **out, struct complaint complaint)
{
    struct desk *desk = calloc(1, sizeof *desk);
    *out = NULL;
    if (!desk)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    const int err = database_open(path, DATABASE_CHANGE, busy_ms, &desk->db, complaint);
    if (err) {
        free(desk);
        return err;
    }
    *out = desk;
    return 0;
}

int desk_open(const char *path, bool create, struct desk **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    *out = NULL;
    if (!create && access(path, F_OK) != 0)
        return complain(complaint, ERR_NOT_FOUND, "%s: %s", path, strerrordesc_np(errno));
    return open_desk(path, BUSY_MS, out, complaint);
}

int desk_open_beside(const char *path, int busy_ms, struct desk **out, char *error, size_t error_cap)
{
    return open_desk(path, busy_ms, out, (struct complaint){.at = error, .cap = error_cap});
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

int desk_refuse(struct desk *desk, int err, const char *reason)
{
    snprintf(desk->error, sizeof desk->error, "%s", reason);
    return err;
}

int desk_failed(struct desk *desk)
{
    return desk_refuse(desk, ERR_SYSTEM,
                  sqlite3_errcode(desk->db) == SQLITE_BUSY ? "the database is locked by another process: try again"
                                                           : sqlite3_errmsg(desk->db));
}

sqlite3_stmt *desk_begin(struct desk *desk, const char *sql, const struct argument *arguments, size_t count)
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

int desk_end(struct desk *desk, sqlite3_stmt *statement, int code)
{
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : desk_failed(desk);
}

int desk_run(struct desk *desk, const char *sql, const struct argument *arguments, size_t count)
{
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, count);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    return desk_end(desk, statement, code);
}

int desk_json(struct desk *desk, char **out, const char *sql, const struct argument *arguments, size_t count)
{
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, count);
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    *out = code == SQLITE_ROW ? strdup(database_text(statement, 0)) : NULL;
    if (code == SQLITE_ROW && !*out)
        code = SQLITE_NOMEM;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : desk_failed(desk);
}

int desk_start(struct desk *desk)
{
    return desk_run(desk, "BEGIN IMMEDIATE", NULL, 0);
}

int desk_finish(struct desk *desk, int err)
{
    if (err == 0)
        err = desk_run(desk, "COMMIT", NULL, 0);
    if (err && !sqlite3_get_autocommit(desk->db))
        sqlite3_exec(desk->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}
