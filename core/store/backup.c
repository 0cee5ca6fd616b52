/* backup.c: SQLite's backup API, within one read transaction. */
#include "store/backup.h"

#include "base/err.h"
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 2000
#define PART ".part"

struct backup {
    char *to, *part;
    bool is_made; /* the part */
    sqlite3 *source, *copy;
    sqlite3_backup *work;
    int64_t page_bytes;
};

/* make_part: nobody else may open what is in it, also while it is made. */
static int make_part(struct backup *backup, struct complaint complaint)
{
    if (access(backup->to, F_OK) == 0)
        return complain(complaint, ERR_EXISTS, "%s: is there already: nothing is overwritten", backup->to);
    const int fd = open(backup->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return complain(complaint, ERR_EXISTS, "%s: is there already: another backup is being made, or remove what one has left", backup->part);
    if (fd < 0)
        return complain(complaint, ERR_SYSTEM, "%s: cannot be created: %s", backup->to, strerrordesc_np(errno));
    backup->is_made = true;
    close(fd);
    return 0;
}

/* open_source: the read transaction holds its moment. */
static int open_source(struct backup *backup, const char *from, struct complaint complaint)
{
    if (access(from, F_OK) != 0)
        return complain(complaint, ERR_NOT_FOUND, "%s: %s", from, strerrordesc_np(errno));
    if (sqlite3_open_v2(from, &backup->source, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_busy_timeout(backup->source, PATIENCE_MS) ||
        sqlite3_exec(backup->source, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL))
        return complain(complaint, ERR_SYSTEM, "%s: %s", from, sqlite3_errmsg(backup->source));
    backup->page_bytes = database_number(backup->source, "PRAGMA page_size", 0);
    return 0;
}

/* A copy that is not whole is thrown away: it needs no journal, and is brought to disk once. */
static int open_copy(struct backup *backup, struct complaint complaint)
{
    if (sqlite3_open_v2(backup->part, &backup->copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_exec(backup->copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL) ||
        !(backup->work = sqlite3_backup_init(backup->copy, "main", backup->source, "main")) || sqlite3_backup_step(backup->work, 0))
        return complain(complaint, ERR_SYSTEM, "%s: %s", backup->part, sqlite3_errmsg(backup->copy));
    return 0;
}

int backup_begin(const char *from, const char *to, struct backup **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    struct backup *backup = calloc(1, sizeof *backup);
    *out = NULL;
    if (!backup || !(backup->to = strdup(to)) || asprintf(&backup->part, "%s" PART, to) < 0) {
        backup_end(backup);
        return complain(complaint, ERR_MEMORY, "out of memory");
    }
    int err = open_source(backup, from, complaint);
    if (err == 0)
        err = make_part(backup, complaint);
    if (err == 0)
        err = open_copy(backup, complaint);
    if (err)
        backup_end(backup);
    else
        *out = backup;
    return err;
}

static int sync_path(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC);
    const int err = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return err;
}

/* name_it: link() replaces nothing. */
static int name_it(struct backup *backup, struct complaint complaint)
{
    char *copy = strdup(backup->to);
    int failed = sync_path(backup->part, O_RDWR) || link(backup->part, backup->to) || unlink(backup->part);
    if (!failed) {
        backup->is_made = false;
        failed = !copy || sync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
    }
    free(copy);
    return failed ? complain(complaint, errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM, "%s: %s", backup->to, strerrordesc_np(errno)) : 0;
}

/* finish: the last page is written when the copy is closed. */
static int finish(struct backup *backup, struct complaint complaint)
{
    const int failed = sqlite3_backup_finish(backup->work);
    backup->work = NULL;
    if (failed)
        return complain(complaint, ERR_SYSTEM, "%s: %s", backup->part, sqlite3_errmsg(backup->copy));
    sqlite3_close(backup->copy);
    backup->copy = NULL;
    return name_it(backup, complaint);
}

int backup_step(struct backup *backup, int pages, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    const int code = sqlite3_backup_step(backup->work, pages);
    if (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return ERR_PARTIAL;
    if (code != SQLITE_DONE)
        return complain(complaint, ERR_SYSTEM, "%s: %s", backup->to, sqlite3_errstr(code));
    return finish(backup, complaint);
}

void backup_sum(const struct backup *backup, struct backup_sum *out)
{
    const int64_t pages = backup->work ? sqlite3_backup_pagecount(backup->work) : 0, left = backup->work ? sqlite3_backup_remaining(backup->work) : 0;
    *out = (struct backup_sum){.pages = pages, .done = pages - left, .page_bytes = backup->page_bytes};
}

void backup_end(struct backup *backup)
{
    if (!backup)
        return;
    if (backup->work)
        sqlite3_backup_finish(backup->work);
    sqlite3_close(backup->copy);
    sqlite3_close(backup->source);
    if (backup->is_made)
        unlink(backup->part);
    free(backup->part);
    free(backup->to);
    free(backup);
}
