/* rollup.c: see rollup.h. */
#include "store/rollup.h"

#include "base/err.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS 60000
#define HOUR 60 /* in minutes */
#define DAY 1440
#define SQL_MAX 1536

/* struct table: of rows of so many minutes: what is behind tenant, span and minute in its key, and how the rest is merged. */
struct table_rows {
    const char *name, *key, *others, *merge;
};

#define ADD(column) #column " = min(" #column " + excluded." #column ", 9223372036854775807)"
#define MAX(column) #column " = max(" #column ", excluded." #column ")"

static const struct table_rows tables[] = {
    {"usage", ", room, tag, user, transport", ", bytes_in, bytes_out, packets_in, packets_out, lived_ms, opened, closed, active_minutes",
     ADD(bytes_in) ", " ADD(bytes_out) ", " ADD(packets_in) ", " ADD(packets_out) ", " ADD(lived_ms) ", " ADD(opened) ", " ADD(closed) ", "
     ADD(active_minutes)},
    {"peaks", "", ", held, active", MAX(held) ", " MAX(active)},
    {"refusals", ", reason", ", count", ADD(count)},
};
#define TABLES (sizeof tables / sizeof *tables)

/* struct place: where there is something old: the first rows of it are of this tenant and minute. */
struct place {
    sqlite3_stmt *statement; /* holds the name */
    int64_t minute;
};

/* find: 1 and the place of the first tenant that has rows of `span` minutes of before; 0; ERR_SYSTEM. The statement is the caller's. */
static int find(sqlite3 *db, const struct table_rows *table, int64_t span, int64_t before, struct place *out)
{
    char sql[SQL_MAX];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE t (name) AS (SELECT min(tenant) FROM %s UNION ALL"
             " SELECT (SELECT min(tenant) FROM %s WHERE tenant > t.name) FROM t WHERE t.name IS NOT NULL)"
             " SELECT name, (SELECT min(minute) FROM %s WHERE tenant = t.name AND span = ?1) AS first FROM t WHERE first < ?2 LIMIT 1",
             table->name, table->name, table->name);
    if (database_prepare(db, sql, &out->statement))
        return ERR_SYSTEM;
    sqlite3_bind_int64(out->statement, 1, span);
    sqlite3_bind_int64(out->statement, 2, before);
    const int code = sqlite3_step(out->statement);
    out->minute = sqlite3_column_int64(out->statement, 1);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : ERR_SYSTEM;
}

/* run: a statement about the rows of a place: ?1 tenant, ?2 their span, ?3 and ?4 from and to, ?5 the span that they get, ?6 how many. */
static int run(sqlite3 *db, const char *sql, const struct place *place, const int64_t numbers[5])
{
    sqlite3_stmt *statement;
    if (database_prepare(db, sql, &statement))
        return ERR_SYSTEM;
    database_bind(statement, 1, view_text(database_text(place->statement, 0)));
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(statement, i + 2, numbers[i]);
    const int err = database_run(statement);
    sqlite3_finalize(statement);
    return err;
}

#define OLD_ROWS "FROM %s WHERE tenant = ?1 AND span = ?2 AND minute >= ?3 AND minute < ?4 ORDER BY tenant, span, minute%s LIMIT ?6"

/* Both statements of a transaction see the same first rows: those that were added are of another span. */
static int merge(sqlite3 *db, const struct table_rows *table, const struct place *place, const int64_t numbers[5])
{
    char sql[SQL_MAX];
    snprintf(sql, sizeof sql,
             "INSERT INTO %s (tenant, span, minute%s%s) SELECT tenant, ?5, minute / ?5 * ?5%s%s FROM (SELECT * " OLD_ROWS
             ") WHERE true ON CONFLICT DO UPDATE SET %s",
             table->name, table->key, table->others, table->key, table->others, table->name, table->key, table->merge);
    return run(db, sql, place, numbers);
}

static int delete_old(sqlite3 *db, const struct table_rows *table, const struct place *place, const int64_t numbers[5])
{
    char sql[SQL_MAX];
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE (tenant, span, minute%s) IN (SELECT tenant, span, minute%s " OLD_ROWS ")", table->name,
             table->key, table->key, table->name, table->key);
    return run(db, sql, place, numbers);
}

/* roll: rows of `span` minutes that began before `before` get `into` minutes; 0: they go. All rows of a step are of one tenant. */
static int roll(sqlite3 *db, const struct table_rows *table, int64_t span, int64_t into, int64_t before)
{
    struct place place = {0};
    int err = find(db, table, span, before, &place);
    if (err > 0) {
        const int64_t numbers[] = {span, place.minute, before, into, ROLLUP_ROWS};
        err = (into && merge(db, table, &place, numbers)) || delete_old(db, table, &place, numbers) ? ERR_SYSTEM : 1;
    }
    sqlite3_finalize(place.statement);
    return err;
}

/* An id has the time of the opening in it (engine_id, in turn/engine.c): older sessions are in front. */
static int delete_sessions(sqlite3 *db, int64_t before_ms)
{
    sqlite3_stmt *statement;
    if (database_prepare(db,
                         "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE id < ?1 AND closed_ms < ?2 ORDER BY id LIMIT ?3)",
                         &statement))
        return ERR_SYSTEM;
    sqlite3_bind_int64(statement, 1, before_ms << 21);
    sqlite3_bind_int64(statement, 2, before_ms);
    sqlite3_bind_int64(statement, 3, ROLLUP_ROWS);
    const int err = database_run(statement);
    sqlite3_finalize(statement);
    return err ? err : sqlite3_changes(db) > 0;
}

/* minutes_before: where days, or hours, that are older than so many days end. */
static int64_t minutes_before(int64_t now_ms, uint32_t days, int64_t whole)
{
    return (now_ms - days * DAY_MS) / MINUTE_MS / whole * whole;
}

static int roll_tables(sqlite3 *db, const struct store_keep *keep, int64_t now_ms)
{
    const struct {
        uint32_t days;
        int64_t span, into;
    } ways[] = {{keep->minutes, 1, HOUR}, {keep->hours, HOUR, DAY}, {keep->days, DAY, 0}};
    int done = 0;
    for (size_t way = 0; way < 3 && done == 0; way++)
        for (size_t i = 0; i < TABLES && done == 0 && ways[way].days; i++)
            done = roll(db, &tables[i], ways[way].span, ways[way].into, minutes_before(now_ms, ways[way].days, ways[way].into ? ways[way].into : DAY));
    return done;
}

int rollup_step(sqlite3 *db, const struct store_keep *keep, int64_t now_ms, struct complaint complaint)
{
    int done = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ? ERR_SYSTEM : roll_tables(db, keep, now_ms);
    if (done == 0 && keep->sessions)
        done = delete_sessions(db, now_ms - keep->sessions * DAY_MS);
    if (done >= 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
        done = ERR_SYSTEM;
    if (done < 0)
        complain(complaint, done, "%s", sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}
