/* desk_revocation.c: who may relay no more, for as long as that stands. */
#include "base/clock.h"
#include "base/err.h"
#include "store/desk_statement.h"

int desk_shut_out(struct desk *desk, const struct desk_revocation *row)
{
    return RUN(desk, "INSERT OR REPLACE INTO revocations (kind, tenant, name, at_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)", TEXT(row->kind),
               TEXT(row->tenant), TEXT(row->name), NUMBER(row->at_ms), NUMBER(row->until_ms));
}

int desk_revoke(struct desk *desk, const struct desk_revocation *row, const char *who, int64_t *id)
{
    int err = desk_start(desk);
    if (err == 0)
        err = desk_shut_out(desk, row);
    *id = sqlite3_last_insert_rowid(desk->db);
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who,
                                              .type = "revoke",
                                              .tenant = row->tenant,
                                              .what = {row->kind, *row->name ? row->name : row->tenant}});
    return desk_finish(desk, err);
}

/* lift: the audit is written first: it tells of the row. */
static int lift(struct desk *desk, int64_t id, const char *tenant, const char *who)
{
    int err = RUN(desk,
                  "INSERT INTO audit (at_ms, who, type, tenant, detail) SELECT ?3, ?4, 'revocation_lift', tenant,"
                  " json_object(kind, CASE name WHEN '' THEN tenant ELSE name END)"
                  " FROM revocations WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2)",
                  NUMBER(id), TEXT_OR_NULL(tenant), NUMBER(clock_unix_ms()), TEXT(who));
    if (err == 0 && sqlite3_changes(desk->db) == 0)
        return desk_refuse(desk, ERR_NOT_FOUND, "no such revocation");
    return err ? err : RUN(desk, "DELETE FROM revocations WHERE id = ?1", NUMBER(id));
}

int desk_revocation_lift(struct desk *desk, int64_t id, const char *tenant, const char *who)
{
    int err = desk_start(desk);
    if (err == 0)
        err = lift(desk, id, tenant, who);
    return desk_finish(desk, err);
}

int desk_revocations(struct desk *desk, const char *tenant, desk_revocation_fn *each, void *ctx)
{
    const struct argument argument = TEXT_OR_NULL(tenant);
    sqlite3_stmt *statement = desk_begin(
        desk, "SELECT id, kind, tenant, name, at_ms, until_ms FROM revocations WHERE ?1 IS NULL OR tenant = ?1 ORDER BY id", &argument, 1);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct desk_revocation row = {
            .id = sqlite3_column_int64(statement, 0),
            .kind = database_text(statement, 1),
            .tenant = database_text(statement, 2),
            .name = database_text(statement, 3),
            .at_ms = sqlite3_column_int64(statement, 4),
            .until_ms = sqlite3_column_int64(statement, 5),
        };
        each(ctx, &row);
    }
    return desk_end(desk, statement, code);
}

/* Most of the time there is nothing to remove, and then nothing is written. */
int desk_revocations_sweep(struct desk *desk, int64_t now_ms)
{
    static const char due[] = "SELECT count(*) FROM (SELECT 1 FROM revocations WHERE until_ms BETWEEN 1 AND ?1 LIMIT 1)";
    const struct argument now = NUMBER(now_ms);
    sqlite3_stmt *statement = desk_begin(desk, due, &now, 1);
    bool is_due = false;
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        is_due = sqlite3_column_int64(statement, 0) != 0;
    const int err = desk_end(desk, statement, code);
    return err || !is_due ? err : RUN(desk, "DELETE FROM revocations WHERE until_ms BETWEEN 1 AND ?1", NUMBER(now_ms));
}

int desk_revocations_version(struct desk *desk, int64_t *version)
{
    sqlite3_stmt *statement = desk_begin(desk, "SELECT number FROM versions WHERE what = 'revocations'", NULL, 0);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        *version = sqlite3_column_int64(statement, 0);
    return desk_end(desk, statement, code);
}
