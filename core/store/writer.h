/* writer.h: commits batches, each whole and once; for core/store only.
 *
 * A batch has a number, kept in its transaction in the row of this start of the server: a batch whose commit was reported as failed but is
 * in the file is recognised when it is tried again.
 */
#ifndef RELAY_STORE_WRITER_H
#define RELAY_STORE_WRITER_H

#include "store/batch.h"
#include "store/database.h"

enum writer_statement {
    WRITER_BATCH,
    WRITER_OPENED,
    WRITER_USED,
    WRITER_CLOSED,
    WRITER_USAGE,
    WRITER_MONTH,
    WRITER_PEAK,
    WRITER_REFUSAL,
    WRITER_METER,
    WRITER_AUDIT,
    WRITER_STATEMENTS
};

struct writer {
    const char *path; /* the owner's */
    sqlite3 *db;      /* NULL: to be opened again */
    sqlite3_stmt *statements[WRITER_STATEMENTS];
    int64_t start; /* the row of this start of the server in `starts` */
    int64_t started_ms;
    int64_t batches; /* committed */
    char reason[256];
};

/* writer_open: at the start of a server: also closes, with reason "crash", what servers that are gone have left open. Errors as store_open.
 */
int writer_open(struct writer *, const char *path, int64_t now_ms, struct complaint complaint);

/* writer_be_patient: the next commit is the last one: wait longer for a locked database. */
void writer_be_patient(struct writer *);

/* writer_close: `now_ms`: when the server stopped. */
void writer_close(struct writer *, int64_t now_ms);

/* writer_commit: 0, or ERR_SYSTEM with writer.reason: nothing of the batch is in the file, or all of it; call again with the same batch. */
int writer_commit(struct writer *, const struct batch *);

#endif
