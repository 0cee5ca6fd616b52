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

/* Usage may come for a session whose first row was lost: it makes the row, so that the sums of sessions and usage always agree. No sum wraps: SQLite
 * makes a real number of one that is too large, which min() takes back. */
#define SUM(column, more) #column " = min(" #column " + " more ", 9223372036854775807)"

static const char *const statements[WRITER_STATEMENTS] = {
    [WRITER_BATCH] = "UPDATE starts SET batch = ?1 WHERE id = ?2 AND batch < ?1",
    [WRITER_OPENED] = "INSERT INTO sessions (id, start, opened_ms, seen_ms, tenant, room, tag, user, transport, realm, username, client, relayed, tags)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                      " ON CONFLICT (id) DO UPDATE SET opened_ms = ?3, tenant = ?5, room = ?6, tag = ?7, user = ?8, transport = ?9, realm = ?10,"
                      " username = ?11, client = ?12, relayed = ?13, tags = ?14",
    [WRITER_USED] = "INSERT INTO sessions (id, start, opened_ms, seen_ms, tenant, room, tag, user, transport, bytes_in, bytes_out, packets_in,"
                    " packets_out, lived_ms)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                    " ON CONFLICT (id) DO UPDATE SET seen_ms = max(seen_ms, ?4), " SUM(bytes_in, "?10") ", " SUM(bytes_out, "?11") ", "
                    SUM(packets_in, "?12") ", " SUM(packets_out, "?13") ", lived_ms = lived_ms + ?14",
    [WRITER_CLOSED] = "UPDATE sessions SET closed_ms = ?2, seen_ms = ?2, seconds = lived_ms / 1000, reason = ?3 WHERE id = ?1",
    [WRITER_USAGE] = "INSERT INTO usage (span, minute, tenant, room, tag, user, transport, bytes_in, bytes_out, packets_in, packets_out, lived_ms,"
                     " opened, closed, active_minutes)"
                     " VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                     " ON CONFLICT (tenant, span, minute, room, tag, user, transport) DO UPDATE SET " SUM(bytes_in, "?7") ", "
                     SUM(bytes_out, "?8") ", " SUM(packets_in, "?9") ", " SUM(packets_out, "?10") ", lived_ms = lived_ms + ?11,"
                     " opened = opened + ?12, closed = closed + ?13, active_minutes = active_minutes + ?14",
    [WRITER_MONTH] = "INSERT INTO months (tenant, month, bytes) VALUES (?1, (strftime('%Y', ?2 * 60, 'unixepoch') - 1970) * 12"
                     " + strftime('%m', ?2 * 60, 'unixepoch') - 1, ?3) ON CONFLICT (tenant, month) DO UPDATE SET " SUM(bytes, "?3"),
    [WRITER_PEAK] = "INSERT INTO peaks (span, minute, tenant, held, active) VALUES (1, ?1, ?2, ?3, ?4)"
                    " ON CONFLICT (tenant, span, minute) DO UPDATE SET held = max(held, ?3), active = active + ?4",
    [WRITER_REFUSAL] = "INSERT INTO refusals (span, minute, tenant, reason, count) VALUES (1, ?1, ?2, ?3, ?4)"
                       " ON CONFLICT (tenant, span, minute, reason) DO UPDATE SET count = count + ?4",
    [WRITER_METER] = "INSERT INTO meters (ends_ms, name, key, sum) VALUES (?1, ?2, ?3, ?4)"
                     " ON CONFLICT (name, key, ends_ms) DO UPDATE SET sum = ?4",
    [WRITER_AUDIT] = "INSERT INTO audit (at_ms, who, type, tenant, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
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

#define CRASHED "WHERE closed_ms IS NULL AND start IN (SELECT id FROM starts WHERE stopped_ms IS NOT NULL)"

/* A session ended no earlier than it was last seen; nothing more is known. */
static int close_crashed(struct writer *writer, struct complaint complaint)
{
    static const char sql[] = "BEGIN IMMEDIATE;"
                              "UPDATE starts SET reason = 'crash', stopped_ms = max(started_ms, coalesce((SELECT max(seen_ms) FROM "
                              "sessions WHERE start = starts.id"
                              " AND closed_ms IS NULL), 0)) WHERE stopped_ms IS NULL AND is_gone(pid);"
                              "INSERT INTO usage (tenant, span, minute, room, tag, user, transport, closed)"
                              " SELECT tenant, 1, seen_ms / 60000, room, tag, user, transport, count(*) FROM sessions " CRASHED
                              " GROUP BY 1, 3, 4, 5, 6, 7 ON CONFLICT DO UPDATE SET closed = closed + excluded.closed;"
                              "UPDATE sessions SET closed_ms = seen_ms, seconds = lived_ms / 1000, reason = 'crash' " CRASHED ";"
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

static void bind(const struct batch *batch, sqlite3_stmt *statement, int index, const uint32_t *texts, int count)
{
    for (int i = 0; i < count; i++)
        database_bind(statement, index + i, view_text(batch_text(batch, texts[i])));
}

static void bind_sum(sqlite3_stmt *statement, int index, uint64_t sum)
{
    sqlite3_bind_int64(statement, index, sum > INT64_MAX ? INT64_MAX : (int64_t)sum);
}

static void bind_amount(sqlite3_stmt *statement, int index, const struct batch_amount *amount)
{
    bind_sum(statement, index, amount->bytes_in);
    bind_sum(statement, index + 1, amount->bytes_out);
    bind_sum(statement, index + 2, amount->packets_in);
    bind_sum(statement, index + 3, amount->packets_out);
    sqlite3_bind_int64(statement, index + 4, amount->lived_ms);
}

static void bind_session(const struct writer *writer, const struct batch *batch, sqlite3_stmt *statement, const struct batch_session *session)
{
    const uint32_t who[] = {session->tenant, session->room, session->tag, session->user, session->transport};
    sqlite3_bind_int64(statement, 1, session->id);
    sqlite3_bind_int64(statement, 2, writer->start);
    sqlite3_bind_int64(statement, 3, session->opened_ms);
    sqlite3_bind_int64(statement, 4, session->seen_ms);
    bind(batch, statement, 5, who, 5);
}

static int write_opened(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_OPENED];
    const uint32_t texts[] = {session->realm, session->username, session->client, session->relayed, session->tags};
    bind_session(writer, batch, statement, session);
    bind(batch, statement, 10, texts, 5);
    return database_run(statement);
}

static int write_used(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_USED];
    bind_session(writer, batch, statement, session);
    bind_amount(statement, 10, &session->amount);
    return database_run(statement);
}

static int write_closed(struct writer *writer, const struct batch *batch, const struct batch_session *session)
{
    sqlite3_stmt *statement = writer->statements[WRITER_CLOSED];
    sqlite3_bind_int64(statement, 1, session->id);
    sqlite3_bind_int64(statement, 2, session->closed_ms);
    bind(batch, statement, 3, &session->reason, 1);
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

/* What is behind the key of each kind of entries; its statement has the number and the texts of the key first. */
static void bind_usage(sqlite3_stmt *statement, int index, const void *entry)
{
    const struct batch_usage *usage = entry;
    bind_amount(statement, index, &usage->amount);
    sqlite3_bind_int64(statement, index + 5, usage->opened);
    sqlite3_bind_int64(statement, index + 6, usage->closed);
    sqlite3_bind_int64(statement, index + 7, usage->active);
}

static void bind_peak(sqlite3_stmt *statement, int index, const void *entry)
{
    const struct batch_peak *peak = entry;
    sqlite3_bind_int64(statement, index, peak->held);
    sqlite3_bind_int64(statement, index + 1, peak->active);
}

static void bind_refusal(sqlite3_stmt *statement, int index, const void *entry)
{
    sqlite3_bind_int64(statement, index, ((const struct batch_refusal *)entry)->count);
}

static void bind_meter(sqlite3_stmt *statement, int index, const void *entry)
{
    sqlite3_bind_int64(statement, index, ((const struct batch_meter *)entry)->sum);
}

static int write_list(struct writer *writer, const struct batch *batch, enum batch_kind kind)
{
    static const struct {
        enum writer_statement statement;
        void (*bind)(sqlite3_stmt *, int index, const void *entry);
    } ways[BATCH_KINDS] = {
        [BATCH_USAGE] = {WRITER_USAGE, bind_usage},
        [BATCH_PEAK] = {WRITER_PEAK, bind_peak},
        [BATCH_REFUSAL] = {WRITER_REFUSAL, bind_refusal},
        [BATCH_METER] = {WRITER_METER, bind_meter},
    };
    sqlite3_stmt *statement = writer->statements[ways[kind].statement];
    const struct batch_list *list = &batch->lists[kind];
    int err = 0;
    for (uint32_t i = 0; i < list->count && !err; i++) {
        const struct batch_key *key = batch_at(batch, kind, i);
        sqlite3_bind_int64(statement, 1, key->number);
        bind(batch, statement, 2, key->texts, (int)list->texts);
        ways[kind].bind(statement, 2 + (int)list->texts, key);
        err = database_run(statement);
    }
    return err;
}

/* write_months: what the rows of usage sum up to. */
static int write_months(struct writer *writer, const struct batch *batch)
{
    sqlite3_stmt *statement = writer->statements[WRITER_MONTH];
    int err = 0;
    for (uint32_t i = 0; i < batch->lists[BATCH_USAGE].count && !err; i++) {
        const struct batch_usage *usage = batch_at(batch, BATCH_USAGE, i);
        if (!usage->amount.bytes_in && !usage->amount.bytes_out)
            continue;
        bind(batch, statement, 1, usage->key.texts, 1);
        sqlite3_bind_int64(statement, 2, usage->key.number);
        bind_sum(statement, 3, usage->amount.bytes_in + usage->amount.bytes_out);
        err = database_run(statement);
    }
    return err;
}

static int write_audit(struct writer *writer, const struct batch *batch, const struct batch_audit *audit)
{
    sqlite3_stmt *statement = writer->statements[WRITER_AUDIT];
    sqlite3_bind_int64(statement, 1, audit->at_ms);
    bind(batch, statement, 2, (const uint32_t[]){audit->who, audit->type, audit->tenant, audit->detail}, 4);
    return database_run(statement);
}

static int write_all(struct writer *writer, const struct batch *batch)
{
    int err = 0;
    for (uint32_t i = 0; i < batch->session_count && !err; i++)
        err = write_session(writer, batch, &batch->sessions[i]);
    for (int kind = 0; kind < BATCH_KINDS && !err; kind++)
        err = write_list(writer, batch, kind);
    if (!err)
        err = write_months(writer, batch);
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
