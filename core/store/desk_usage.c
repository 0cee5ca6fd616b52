/* desk_usage.c: what was relayed, as sums. */
#include "store/desk_statement.h"

/* Bytes come from whole minutes; sessions are those that lived in the time asked for, and their seconds are those that they lived in it. */
static const char usage_sql[] =
    "SELECT tenant, user, sum(sessions), sum(live), sum(seconds), sum(bytes_in), sum(bytes_out), sum(packets_in), sum(packets_out) FROM ("
    " SELECT tenant, user, 0 AS sessions, 0 AS live, 0 AS seconds, bytes_in, bytes_out, packets_in, packets_out FROM usage"
    "  WHERE minute >= ?2 / 60000 AND minute * 60000 < ?3 AND (packets_in OR packets_out)"
    " UNION ALL"
    " SELECT tenant, user, 1, closed_ms IS NULL,"
    "  CASE WHEN closed_ms <= ?3 AND opened_ms >= ?2 THEN seconds"
    "   ELSE max(0, min(coalesce(closed_ms, ?3), ?3) - max(opened_ms, ?2)) / 1000 END, 0, 0, 0, 0"
    "  FROM sessions WHERE opened_ms < ?3 AND coalesce(closed_ms, ?3) >= ?2"
    ") WHERE ?1 IS NULL OR tenant = ?1 GROUP BY tenant, user ORDER BY tenant, user";

int desk_usage(struct desk *desk, const char *tenant, int64_t from_ms, int64_t to_ms, desk_usage_fn *each, void *ctx)
{
    const struct argument arguments[] = {TEXT_OR_NULL(tenant), NUMBER(from_ms), NUMBER(to_ms)};
    sqlite3_stmt *statement = desk_begin(desk, usage_sql, arguments, 3);
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
    return desk_end(desk, statement, code);
}
