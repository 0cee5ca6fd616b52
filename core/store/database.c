/* database.c: see database.h. */
#include "store/database.h"

#include "base/clock.h"
#include "base/err.h"
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_PAUSE_MS 10
#define READER_PATIENCE_MS 2000 /* while it opens; afterwards it never waits */
#define CHECK_WHOLE_BYTES (32 << 20) /* a file up to this size is checked whole at open: about 0.1 s */

int complain(struct complaint complaint, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(complaint.at, complaint.cap, format, args);
    va_end(args);
    return err;
}

/* A file made by root belongs to the owner of its directory, who is the one that the server runs as. */
static void give_to_owner_of_directory(int fd, const char *path)
{
    struct stat directory;
    char *copy = geteuid() == 0 ? strdup(path) : NULL;
    if (copy && stat(dirname(copy), &directory) == 0 && fchown(fd, directory.st_uid, directory.st_gid) != 0)
        errno = 0; /* it stays root's, which is no worse than before */
    free(copy);
}

/* SQLite would create it readable by everybody; its -wal and -shm take the mode and owner of this file. Never opens a file that is there:
 * closing it would drop the locks of other connections of this process. */
static int create_private(const char *path, struct complaint complaint)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return complain(complaint, ERR_SYSTEM, "%s: cannot be created: %s%s", path, strerrordesc_np(errno),
                        errno == ENOENT ? ": make its directory first" : "");
    give_to_owner_of_directory(fd, path);
    close(fd);
    return 0;
}

/* refused: what SQLite's error means to an operator. */
static int refused(sqlite3 *db, const char *path, struct complaint complaint)
{
    switch (sqlite3_errcode(db)) {
        case SQLITE_NOTADB:
            return complain(complaint, ERR_BAD, "%s: not a SQLite database: give another file, or move this one away and it is made anew",
                            path);
        case SQLITE_CORRUPT:
            return complain(complaint, ERR_BAD, "%s: corrupt (%s): restore a backup, or salvage it with `sqlite3 FILE .recover`", path,
                            sqlite3_errmsg(db));
        case SQLITE_BUSY:
            return complain(complaint, ERR_SYSTEM, "%s: locked by another process for too long: end it, or wait", path);
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_READONLY:
            return complain(complaint, ERR_SYSTEM,
                            "%s: %s: the file and its directory must be there, and be readable and writable for this user", path,
                            sqlite3_errmsg(db));
        default:
            return complain(complaint, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(db));
    }
}

static int check_whole(sqlite3 *db, const char *path, struct complaint complaint)
{
    sqlite3_stmt *statement;
    int err = 0;
    if (database_prepare(db, "PRAGMA quick_check(1)", &statement))
        return refused(db, path, complaint);
    if (sqlite3_step(statement) != SQLITE_ROW)
        err = refused(db, path, complaint);
    else if (strcmp(database_text(statement, 0), "ok") != 0)
        err = complain(complaint, ERR_BAD, "%s: corrupt (%.120s): restore a backup, or salvage it with `sqlite3 FILE .recover`", path,
                       database_text(statement, 0));
    sqlite3_finalize(statement);
    return err;
}

static int check_file(sqlite3 *db, const char *path, struct complaint complaint)
{
    struct stat file;
    if (sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL))
        return refused(db, path, complaint);
    if (stat(path, &file) == 0 && file.st_size <= CHECK_WHOLE_BYTES)
        return check_whole(db, path, complaint);
    return 0;
}

static int check(sqlite3 *db, const char *path, struct complaint complaint)
{
    const int err = check_file(db, path, complaint);
    if (!err && sqlite3_db_readonly(db, "main") == 1)
        return complain(complaint, ERR_SYSTEM, "%s: read-only: make it writable for this user", path);
    return err;
}

int database_check(const char *path, struct complaint complaint)
{
    sqlite3 *db = NULL;
    char *copy = strdup(path);
    const bool has_directory = copy && access(dirname(copy), W_OK | X_OK) == 0;
    free(copy);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return has_directory ? 0 : complain(complaint, ERR_SYSTEM, "%s: its directory is not there, or not writable for this user", path);
    if (access(path, R_OK | W_OK) != 0)
        return complain(complaint, ERR_SYSTEM, "%s: %s", path, strerrordesc_np(errno));
    const int failed = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_busy_timeout(db, READER_PATIENCE_MS);
    const int err = failed ? refused(db, path, complaint) : check_file(db, path, complaint);
    sqlite3_close(db);
    return err;
}

static int set_up_writer(sqlite3 *db, const char *path, enum database_use use, struct complaint complaint)
{
    const int err = check(db, path, complaint);
    if (err)
        return err;
    if (sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216", NULL, NULL, NULL) ||
        sqlite3_exec(db, use == DATABASE_BATCH ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", NULL, NULL, NULL))
        return refused(db, path, complaint);
    return migrate(db, path, complaint);
}

static int set_up_reader(sqlite3 *db, const char *path, struct complaint complaint)
{
    if (sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL))
        return refused(db, path, complaint);
    return migrate_check(db, path, complaint);
}

static int open_once(const char *path, enum database_use use, int busy_ms, sqlite3 **db, struct complaint complaint)
{
    const int flags = SQLITE_OPEN_NOMUTEX | (use == DATABASE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (sqlite3_open_v2(path, db, flags, NULL))
        return refused(*db, path, complaint);
    sqlite3_busy_timeout(*db, busy_ms);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return use == DATABASE_READ ? set_up_reader(*db, path, complaint) : set_up_writer(*db, path, use, complaint);
}

/* Where two that open a new file at the same moment would wait for each other (the change to WAL), SQLite sends one away at once, whatever the
 * busy timeout is: it comes again until the timeout is over. */
int database_open(const char *path, enum database_use use, int busy_ms, sqlite3 **out, struct complaint complaint)
{
    const int patience_ms = use == DATABASE_READ ? READER_PATIENCE_MS : busy_ms;
    const msec_t deadline = clock_monotonic_ms() + patience_ms;
    int err = use == DATABASE_READ ? 0 : create_private(path, complaint);
    *out = NULL;
    while (!err) {
        sqlite3 *db = NULL;
        err = open_once(path, use, patience_ms, &db, complaint);
        if (!err) {
            sqlite3_busy_timeout(db, busy_ms);
            *out = db;
            return 0;
        }
        const bool again = (sqlite3_errcode(db) & 0xff) == SQLITE_BUSY && clock_monotonic_ms() < deadline;
        sqlite3_close(db);
        if (!again)
            break;
        sqlite3_sleep(BUSY_PAUSE_MS);
        err = 0;
    }
    return err;
}

int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) ? ERR_SYSTEM : 0;
}

int64_t database_number(sqlite3 *db, const char *sql, int64_t none)
{
    sqlite3_stmt *statement;
    if (database_prepare(db, sql, &statement))
        return none;
    const int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : none;
    sqlite3_finalize(statement);
    return number;
}

bool database_has_table(sqlite3 *db, const char *name)
{
    sqlite3_stmt *statement;
    if (database_prepare(db, "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1", &statement))
        return false;
    database_bind(statement, 1, view_text(name));
    const bool found = sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_finalize(statement);
    return found;
}

void database_bind(sqlite3_stmt *statement, int index, struct view text)
{
    sqlite3_bind_text64(statement, index, text.len ? (const char *)text.at : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

const char *database_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

static void copy_column(sqlite3_stmt *statement, int column, char *out, size_t cap)
{
    view_copy(view_text(database_text(statement, column)), out, cap);
}

void database_tenant(sqlite3_stmt *statement, struct store_tenant *out)
{
    int at = 0;
    copy_column(statement, at++, out->name, sizeof out->name);
    copy_column(statement, at++, out->realm, sizeof out->realm);
#define X(name, ...) copy_column(statement, at++, out->name, sizeof out->name);
    STORE_TENANT_CHOICES(X)
#undef X
#define X(name, most) out->name = sqlite3_column_int64(statement, at++);
    STORE_TENANT_LIMITS(X)
#undef X
    out->created_ms = sqlite3_column_int64(statement, at++);
    out->version = sqlite3_column_int64(statement, at);
}

int database_run(sqlite3_stmt *statement)
{
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE ? 0 : ERR_SYSTEM;
}
