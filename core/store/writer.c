/* writer.c: see writer.h. */
#include "store/writer.h"

#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPEN_BUSY_MS 5000
#define COMMIT_BUSY_MS 500 /* a batch is tried again a second later anyway */
#define CLOSE_BUSY_MS 5000 /* the last one is not */

/* Usage may come for a session whose first row was lost: it makes the row, so that the sums of sessions and usage always agree. */
static const char *const statements[WRITER_STATEMENTS] = {
    [WRITER_BATCH] = "UPDATE starts SET batch = ?1 WHERE id = ?2 AND batch < ?1",
    [WRITER_OPENED] =
        "INSERT INTO sessions (id, start, tenant, realm, user, username, transport, client, relayed, tags, opened_ms, seen_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (id) DO UPDATE SET tenant = ?3, realm = ?4, user = ?5, username = ?6, transport = ?7, client = ?8, relayed = ?9, "
        "tags = ?10,"
        " opened_ms = ?11",
    [WRITER_USED] =
        "INSERT INTO sessions (id, start, tenant, user, transport, opened_ms, seen_ms, bytes_in, bytes_out, packets_in, packets_out)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        " ON CONFLICT (id) DO UPDATE SET seen_ms = max(seen_ms, ?7), bytes_in = bytes_in + ?8, bytes_out = bytes_out + ?9,"
        " packets_in = packets_in + ?10, packets_out = packets_out + ?11",
    [WRITER_CLOSED] = "UPDATE sessions SET closed_ms = ?2, seen_ms = ?2, seconds = ?3, reason = ?4 WHERE id = ?1",
    [WRITER_USAGE] = "INSERT INTO usage (tenant, minute, user, transport, bytes_in, bytes_out, packets_in, packets_out)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                     " ON CONFLICT (tenant, minute, user, transport) DO UPDATE SET bytes_in = bytes_in + ?5, bytes_out = bytes_out + ?6,"
                     " packets_in = packets_in + ?7, packets_out = packets_out + ?8",
    [WRITER_METER] = "INSERT INTO meters (name, key, ends_ms, sum) VALUES (?1, ?2, ?3, ?4)"
                     " ON CONFLICT (name, key, ends_ms) DO UPDATE SET sum = ?4",
    [WRITER_AUDIT] = "INSERT INTO audit (at_ms, who, type, detail) VALUES (?1, ?2, ?3, ?4)",
};

static void disconnect(struct writer *writer)
{
    for (int i = 0; i < WRITER_STATEMENTS; i++) {
        sqlite3_finalize(writer->statements[i]);
        writer->statements[i] = NULL;
    }
    sqlite3_close(writer->db);
    writer->db = NULL;
}

static int prepare_all(struct writer *writer, struct complaint complaint)
{
    for (int i = 0; i < WRITER_STATEMENTS; i++)
        if (database_prepare(writer->db, statements[i], &writer->statements[i]))
            return complain(complaint, ERR_BAD, "%s: %s: give a file that belongs to relay", writer->path, sqlite3_errmsg(writer->db));
    return 0;
}

/* The row of this start; after a reconnection it is there already, unless the file is a new one. */
static int put_start(struct writer *writer, struct complaint complaint)
{
    sqlite3_stmt *statement;
    int err = database_prepare(
        writer->db, "INSERT INTO starts (id, started_ms, pid, version, batch) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
        &statement);
    if (err == 0) {
        if (writer->start)
            sqlite3_bind_int64(statement, 1, writer->start);
        sqlite3_bind_int64(statement, 2, writer->started_ms);
        sqlite3_bind_int64(statement, 3, getpid());
        database_bind(statement, 4, view_text(RELAY_VERSION));
        sqlite3_bind_int64(statement, 5, writer->batches);
        err = database_run(statement);
        if (!writer->start)
            writer->start = sqlite3_last_insert_rowid(writer->db);
        sqlite3_finalize(statement);
    }
    return err ? complain(complaint, ERR_SYSTEM, "%s: %s", writer->path, sqlite3_errmsg(writer->db)) : 0;
}

static int connect(struct writer *writer, struct complaint complaint)
{
    int err = database_open(writer->path, DATABASE_BATCH, OPEN_BUSY_MS, &writer->db, complaint);
    if (err)
        return err;
    err = prepare_all(writer, complaint);
    if (err == 0)
        err = put_start(writer, complaint);
    if (err)
        disconnect(writer);
    else
        sqlite3_busy_timeout(writer->db, COMMIT_BUSY_MS);
    return err;
}

/* SQL function is_gone(pid): no such process, or an earlier one that had our own number. */
static void is_gone(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const pid_t pid = (pid_t)sqlite3_value_int64(values[0]);
    sqlite3_result_int(context, pid == getpid() || (kill(pid, 0) != 0 && errno == ESRCH));
}

/* A session ended no earlier than it was last seen; nothing more is known. */
static int close_crashed(struct writer *writer, struct complaint complaint)
{
    static const char sql[] = "BEGIN IMMEDIATE;"
                              "UPDATE starts SET reason = 'crash', stopped_ms = max(started_ms, coalesce((SELECT max(seen_ms) FROM "
                              "sessions WHERE start = starts.id"
                              " AND closed_ms IS NULL), 0)) WHERE stopped_ms IS NULL AND is_gone(pid);"
                              "UPDATE sessions SET closed_ms = seen_ms, seconds = (seen_ms - opened_ms) / 1000, reason = 'crash'"
                              " WHERE closed_ms IS NULL AND start IN (SELECT id FROM starts WHERE stopped_ms IS NOT NULL);"
                              "COMMIT";
    if (sqlite3_create_function(writer->db, "is_gone", 1, SQLITE_UTF8, NULL, is_gone, NULL, NULL) ||
        sqlite3_exec(writer->db, sql, NULL, NULL, NULL))
        return complain(complaint, ERR_SYSTEM, "%s: %s", writer->path, sqlite3_errmsg(writer->db));
    return 0;
}

int writer_open(struct writer *writer, const char *path, int64_t now_ms, struct complaint complaint)
{
    *writer = (struct writer){.path = path, .started_ms = now_ms};
    int err = database_open(path, DATABASE_BATCH, OPEN_BUSY_MS, &writer->db, complaint);
    if (err == 0)
        err = close_crashed(writer, complaint);
    disconnect(writer);
    return err ? err : connect(writer, complaint);
}

void writer_be_patient(struct writer *writer)
{
    if (writer->db)
        sqlite3_busy_timeout(writer->db, CLOSE_BUSY_MS);
}

void writer_close(struct writer *writer, int64_t now_ms)
{
    sqlite3_stmt *statement;
    if (writer->db &&
        database_prepare(writer->db, "UPDATE starts SET stopped_ms = ?1, reason = 'stopped' WHERE id = ?2", &statement) == 0) {
        sqlite3_bind_int64(statement, 1, now_ms);
        sqlite3_bind_int64(statement, 2, writer->start);
        database_run(statement);
        sqlite3_finalize(statement);
    }
    disconnect(writer);
}

static void bind(const struct batch *batch, sqlite3_stmt *statement, int index, uint32_t text)
{
    database_bind(statement, index, view_text(batch_text(batch, text)));
}

static void bind_amount(sqlite3_stmt *statement, int index, const struct batch_amount *amount)
{
    sqlite3_bind_int64(statement, index, (int64_t)amount->bytes_in);
    sqlite3_bind_int64(statement, index + 1, (int64_t)amount->bytes_out);
    sqlite3_bind_int64(statement, index + 2, (int64_t)amount->packets_in);
    sqlite3_bind_int64(statement, index + 3, (int64_t)amount->packets_out);
}

static int write_opened(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_OPENED];
    const uint32_t texts[] = {session->tenant,    session->realm,  session->user,    session->username,
                              session->transport, session->client, session->relayed, session->tags};
    sqlite3_bind_int64(statement, 1, session->id);
    sqlite3_bind_int64(statement, 2, writer->start);
    for (int i = 0; i < 8; i++)
        bind(batch, statement, 3 + i, texts[i]);
    sqlite3_bind_int64(statement, 11, session->opened_ms);
    sqlite3_bind_int64(statement, 12, session->seen_ms);
    return database_run(statement);
}

static int write_used(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_USED];
    sqlite3_bind_int64(statement, 1, session->id);
    sqlite3_bind_int64(statement, 2, writer->start);
    bind(batch, statement, 3, session->tenant);
    bind(batch, statement, 4, session->user);
    bind(batch, statement, 5, session->transport);
    sqlite3_bind_int64(statement, 6, session->opened_ms);
    sqlite3_bind_int64(statement, 7, session->seen_ms);
    bind_amount(statement, 8, &session->amount);
    return database_run(statement);
}

static int write_closed(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_CLOSED];
    sqlite3_bind_int64(statement, 1, session->id);
    sqlite3_bind_int64(statement, 2, session->closed_ms);
    sqlite3_bind_int64(statement, 3, session->seconds);
    bind(batch, statement, 4, session->reason);
    return database_run(statement);
}

static int write_session(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    if (session->opened && write_opened(writer, batch, session))
        return ERR_SYSTEM;
    if (session->used && write_used(writer, batch, session))
        return ERR_SYSTEM;
    if (session->closed && write_closed(writer, batch, session))
        return ERR_SYSTEM;
    return 0;
}

static int write_usage(struct writer *writer, const struct batch *batch, const struct batch_usage *usage)
{
    sqlite3_stmt *statement = writer->statements[WRITER_USAGE];
    bind(batch, statement, 1, usage->tenant);
    sqlite3_bind_int64(statement, 2, usage->minute);
    bind(batch, statement, 3, usage->user);
    bind(batch, statement, 4, usage->transport);
    bind_amount(statement, 5, &usage->amount);
    return database_run(statement);
}

static int write_meter(struct writer *writer, const struct batch *batch, const struct batch_meter *meter)
{
    sqlite3_stmt *statement = writer->statements[WRITER_METER];
    bind(batch, statement, 1, meter->name);
    bind(batch, statement, 2, meter->key);
    sqlite3_bind_int64(statement, 3, meter->ends_ms);
    sqlite3_bind_int64(statement, 4, meter->sum);
    return database_run(statement);
}

static int write_audit(struct writer *writer, const struct batch *batch, const struct batch_audit *audit)
{
    sqlite3_stmt *statement = writer->statements[WRITER_AUDIT];
    sqlite3_bind_int64(statement, 1, audit->at_ms);
    bind(batch, statement, 2, audit->who);
    bind(batch, statement, 3, audit->type);
    bind(batch, statement, 4, audit->detail);
    return database_run(statement);
}

static int write_all(struct writer *writer, const struct batch *batch)
{
    int err = 0;
    for (uint32_t i = 0; i < batch->session_count && !err; i++)
        err = write_session(writer, batch, &batch->sessions[i]);
    for (uint32_t i = 0; i < batch->usage_count && !err; i++)
        err = write_usage(writer, batch, &batch->usages[i]);
    for (uint32_t i = 0; i < batch->meter_count && !err; i++)
        err = write_meter(writer, batch, &batch->meters[i]);
    for (uint32_t i = 0; i < batch->audit_count && !err; i++)
        err = write_audit(writer, batch, &batch->audits[i]);
    return err;
}

/* write_batch: in a transaction. A batch that is there already is not written again. */
static int write_batch(struct writer *writer, const struct batch *batch)
{
    sqlite3_stmt *statement = writer->statements[WRITER_BATCH];
    sqlite3_bind_int64(statement, 1, writer->batches + 1);
    sqlite3_bind_int64(statement, 2, writer->start);
    if (database_run(statement))
        return ERR_SYSTEM;
    return sqlite3_changes(writer->db) ? write_all(writer, batch) : 0;
}

/* A locked or full database heals by itself; for everything else the connection is made anew, which checks the file again. */
static int commit_failed(struct writer *writer)
{
    const int code = sqlite3_errcode(writer->db);
    snprintf(writer->reason, sizeof writer->reason, "%s: %s", writer->path, sqlite3_errmsg(writer->db));
    if (!sqlite3_get_autocommit(writer->db))
        sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
    if (code != SQLITE_BUSY && code != SQLITE_FULL)
        disconnect(writer);
    return ERR_SYSTEM;
}

int writer_commit(struct writer *writer, const struct batch *batch)
{
    const struct complaint complaint = {.at = writer->reason, .cap = sizeof writer->reason};
    if (!writer->db && connect(writer, complaint))
        return ERR_SYSTEM;
    if (sqlite3_exec(writer->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) || write_batch(writer, batch) ||
        sqlite3_exec(writer->db, "COMMIT", NULL, NULL, NULL))
        return commit_failed(writer);
    writer->batches++;
    return 0;
}
