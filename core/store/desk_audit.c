/* desk_audit.c: who changed what. */
#include "store/desk_statement.h"

#include "base/clock.h"

/* Of two that share a realm the first has what was done there. */
#define WHOSE "coalesce(?4, (SELECT name FROM tenants WHERE realm = ?5 ORDER BY name LIMIT 1), ?5, '')"

int desk_audit(struct desk *desk, const struct deed *deed)
{
    const char *const *what = deed->what;
    return RUN(desk,
               "INSERT INTO audit (at_ms, who, type, tenant, detail, before, after) VALUES (?1, ?2, ?3, " WHOSE
               ", CASE WHEN ?8 IS NULL THEN json_object(?6, ?7) ELSE json_object(?6, ?7, ?8, ?9) END, ?10, ?11)",
               NUMBER(clock_unix_ms()), TEXT(deed->who), TEXT(deed->type), TEXT_OR_NULL(deed->tenant), TEXT_OR_NULL(deed->realm), TEXT(what[0]),
               TEXT(what[1]), TEXT_OR_NULL(what[2]), TEXT_OR_NULL(what[3]), TEXT_OR_NULL(deed->before), TEXT_OR_NULL(deed->after));
}

int desk_note(struct desk *desk, const struct desk_audit *row)
{
    return RUN(desk, "INSERT INTO audit (at_ms, who, type, tenant, detail, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", NUMBER(row->at_ms),
               TEXT(row->who), TEXT(row->type), TEXT(row->tenant), TEXT(row->detail), TEXT_OR_NULL(row->before), TEXT_OR_NULL(row->after));
}

#define SELECT_AUDIT "SELECT id, at_ms, who, type, tenant, detail, before, after FROM audit"
#define IN_PAGE " at_ms >= ?1 AND at_ms < ?2 AND (at_ms, id) < (?3, ?4) ORDER BY at_ms DESC, id DESC LIMIT ?5"

static const char *text_or_null(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL : database_text(statement, column);
}

int desk_audits(struct desk *desk, const struct desk_audit_page *page, desk_audit_fn *each, void *ctx)
{
    const char *sql = page->tenant ? SELECT_AUDIT " WHERE tenant = ?6 AND" IN_PAGE : SELECT_AUDIT " WHERE" IN_PAGE;
    const struct argument arguments[] = {NUMBER(page->from_ms),
                                         NUMBER(page->to_ms),
                                         NUMBER(page->after_at_ms ? page->after_at_ms : INT64_MAX),
                                         NUMBER(page->after_id),
                                         PAGE_LIMIT(page),
                                         TEXT_OR_NULL(page->tenant)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, page->tenant ? 6 : 5);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, &(struct desk_audit){.id = sqlite3_column_int64(statement, 0),
                                       .at_ms = sqlite3_column_int64(statement, 1),
                                       .who = database_text(statement, 2),
                                       .type = database_text(statement, 3),
                                       .tenant = database_text(statement, 4),
                                       .detail = database_text(statement, 5),
                                       .before = text_or_null(statement, 6),
                                       .after = text_or_null(statement, 7)});
    return desk_end(desk, statement, code);
}
