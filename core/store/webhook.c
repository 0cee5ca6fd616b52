/* webhook.c: rows of webhooks and of the outbox. */
#include "store/webhook.h"

#include "base/clock.h"
#include "base/err.h"
#include "store/desk_statement.h"

#include <string.h>

/* ---- webhooks ---- */

static int audit(struct desk *desk, const struct webhook *hook, const char *who, const char *type)
{
    return desk_audit(desk, &(struct deed){.who = who,
                                           .type = type,
                                           .tenant = strcmp(hook->tenant, "*") ? hook->tenant : "",
                                           .what = {"webhook", hook->id, "types", hook->types}});
}

/* count: of one number that a statement gives. */
static int count(struct desk *desk, const char *sql, const char *text, int64_t *out)
{
    const struct argument argument = TEXT(text);
    sqlite3_stmt *statement = desk_begin(desk, sql, &argument, 1);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    return desk_end(desk, statement, code == SQLITE_ROW ? SQLITE_DONE : code);
}

static int insert(struct desk *desk, const struct webhook *hook)
{
    return RUN(desk, "INSERT INTO webhooks (id, tenant, url, secret, types, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", TEXT(hook->id),
               TEXT(hook->tenant), TEXT(hook->url), BYTES(hook->secret, WEBHOOK_SECRET_LEN), TEXT(hook->types), NUMBER(hook->created_ms));
}

int webhook_put(struct desk *desk, const struct webhook *hook, const char *who)
{
    int64_t held = 0;
    int err = desk_start(desk);
    if (err == 0)
        err = count(desk, "SELECT count(*) FROM webhooks WHERE tenant = ?1", hook->tenant, &held);
    if (err == 0 && held >= WEBHOOKS_EACH)
        err = desk_refuse(desk, ERR_EXISTS, "the tenant has 16 webhooks, and may not have more: remove one");
    if (err == 0)
        err = insert(desk, hook);
    if (err == 0)
        err = audit(desk, hook, who, "webhook_add");
    return desk_finish(desk, err);
}

#define WEBHOOK_SQL                                                                                                                        \
    "SELECT id, tenant, url, types, enabled, reason, created_ms,"                                                                          \
    " (SELECT count(*) FROM outbox WHERE webhook = id AND state = 'waiting'), (SELECT count(*) FROM outbox WHERE webhook = id AND state "  \
    "= 'dead'),"                                                                                                                           \
    " coalesce((SELECT error FROM outbox WHERE webhook = id AND error <> '' ORDER BY next_ms DESC LIMIT 1), ''), secret FROM webhooks"

static void copy(char *out, size_t cap, sqlite3_stmt *statement, int column)
{
    view_copy(view_text(database_text(statement, column)), out, cap);
}

static void read_webhook(sqlite3_stmt *statement, struct webhook *out)
{
    *out = (struct webhook){.enabled = sqlite3_column_int(statement, 4) != 0,
                            .created_ms = sqlite3_column_int64(statement, 6),
                            .waiting = sqlite3_column_int64(statement, 7),
                            .dead = sqlite3_column_int64(statement, 8)};
    copy(out->id, sizeof out->id, statement, 0);
    copy(out->tenant, sizeof out->tenant, statement, 1);
    copy(out->url, sizeof out->url, statement, 2);
    copy(out->types, sizeof out->types, statement, 3);
    copy(out->reason, sizeof out->reason, statement, 5);
    copy(out->error, sizeof out->error, statement, 9);
}

int webhook_list(struct desk *desk, const char *tenant, webhook_fn *each, void *ctx)
{
    const struct argument argument = TEXT_OR_NULL(tenant);
    sqlite3_stmt *statement =
        desk_begin(desk, WEBHOOK_SQL " WHERE ?1 IS NULL OR tenant = ?1 ORDER BY tenant, created_ms, id", &argument, 1);
    struct webhook hook;
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        read_webhook(statement, &hook);
        each(ctx, &hook);
    }
    return desk_end(desk, statement, code);
}

int webhook_find(struct desk *desk, const char *id, const char *tenant, struct webhook *out)
{
    const struct argument arguments[] = {TEXT(id), TEXT_OR_NULL(tenant)};
    sqlite3_stmt *statement = desk_begin(desk, WEBHOOK_SQL " WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2)", arguments, 2);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW) {
        read_webhook(statement, out);
        memcpy(out->secret, sqlite3_column_blob(statement, 10), WEBHOOK_SECRET_LEN);
    }
    const int err = desk_end(desk, statement, code == SQLITE_ROW ? SQLITE_DONE : code);
    return err || code == SQLITE_ROW ? err : desk_refuse(desk, ERR_NOT_FOUND, "no such webhook");
}

int webhook_change(struct desk *desk, const struct webhook *hook, const char *who)
{
    int err = desk_start(desk);
    if (err == 0)
        err = RUN(desk, "UPDATE webhooks SET url = ?2, types = ?3, enabled = ?4, reason = '' WHERE id = ?1", TEXT(hook->id),
                  TEXT(hook->url), TEXT(hook->types), NUMBER(hook->enabled));
    if (err == 0)
        err = audit(desk, hook, who, "webhook_change");
    return desk_finish(desk, err);
}

int webhook_remove(struct desk *desk, const char *id, const char *tenant, const char *who)
{
    struct webhook hook;
    int err = desk_start(desk);
    if (err == 0)
        err = webhook_find(desk, id, tenant, &hook);
    if (err == 0)
        err = RUN(desk, "DELETE FROM outbox WHERE webhook = ?1", TEXT(id));
    if (err == 0)
        err = RUN(desk, "DELETE FROM webhooks WHERE id = ?1", TEXT(id));
    if (err == 0)
        err = audit(desk, &hook, who, "webhook_remove");
    return desk_finish(desk, err);
}

/* ---- the outbox ---- */

#define WANTS                                                                                                                              \
    " enabled AND CASE WHEN ?3 IS NULL THEN (tenant = '*' OR tenant = ?4 OR ?4 = '*')"                                                     \
    "  AND (types = '' OR instr(',' || types || ',', ',' || ?5 || ',') > 0) ELSE id = ?3 END"

/* make_room: where there is none left, those that nobody took are forgotten. */
static int make_room(struct desk *desk)
{
    return RUN(desk,
               "DELETE FROM outbox WHERE state = 'dead' AND (SELECT count(*) FROM outbox) >= ?1 AND (event, webhook) IN"
               " (SELECT event, webhook FROM outbox WHERE state = 'dead' ORDER BY created_ms LIMIT 64)",
               NUMBER(WEBHOOK_OUTBOX_MAX));
}

static int put_rows(struct desk *desk, const struct webhook_event *event, int64_t *put)
{
    const int err = RUN(desk,
                        "INSERT INTO outbox (event, webhook, body, next_ms, created_ms) SELECT ?1, id, ?2, ?6, ?6 FROM webhooks WHERE" WANTS
                        " AND (SELECT count(*) FROM outbox) < ?7 AND (SELECT count(*) FROM outbox o JOIN webhooks w ON w.id = o.webhook"
                        "  WHERE w.tenant = webhooks.tenant AND o.state = 'waiting') < ?8 ON CONFLICT DO NOTHING",
                        TEXT(event->id), TEXT(event->body), TEXT_OR_NULL(event->webhook), TEXT(event->tenant), TEXT(event->type),
                        NUMBER(event->now_ms), NUMBER(WEBHOOK_OUTBOX_MAX), NUMBER(WEBHOOK_OUTBOX_EACH));
    *put = err ? 0 : sqlite3_changes(desk->db);
    return err;
}

static int count_wanting(struct desk *desk, const struct webhook_event *event, int64_t *out)
{
    const struct argument arguments[] = {TEXT(event->id), TEXT(""), TEXT_OR_NULL(event->webhook), TEXT(event->tenant), TEXT(event->type)};
    static const char sql[] =
        "SELECT count(*) FROM webhooks WHERE" WANTS " AND NOT EXISTS (SELECT 1 FROM outbox WHERE event = ?1 AND webhook = id)";
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 5);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    return desk_end(desk, statement, code == SQLITE_ROW ? SQLITE_DONE : code);
}

int webhook_tell(struct desk *desk, const struct webhook_event *event, int64_t *put, int64_t *lost)
{
    int64_t wanting = 0;
    *put = *lost = 0;
    int err = desk_start(desk);
    if (err == 0)
        err = make_room(desk);
    if (err == 0)
        err = count_wanting(desk, event, &wanting);
    if (err == 0)
        err = put_rows(desk, event, put);
    *lost = wanting - *put;
    return desk_finish(desk, err);
}

/* Some of each webhook and of each tenant, who take turns: one that is slow, or down, leaves room for the others. */
int webhook_due(struct desk *desk, int64_t now_ms, int64_t limit, webhook_row_fn *each, void *ctx)
{
    static const char sql[] =
        "SELECT event, webhook, tenant, body, url, secret, attempts FROM (SELECT *,"
        "  row_number() OVER (PARTITION BY tenant ORDER BY place, next_ms) AS turn FROM (SELECT outbox.*, tenant, url, secret,"
        "   row_number() OVER (PARTITION BY webhook ORDER BY next_ms) AS place FROM outbox JOIN webhooks ON id = webhook"
        "   WHERE state = 'waiting' AND next_ms <= ?1 AND enabled) WHERE place <= ?3) WHERE turn <= ?4 ORDER BY turn, next_ms LIMIT ?2";
    const struct argument arguments[] = {NUMBER(now_ms), NUMBER(limit), NUMBER(WEBHOOK_OUTBOX_DUE_EACH), NUMBER(WEBHOOK_OUTBOX_DUE_TENANT)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 4);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        each(ctx, &(struct webhook_row){.event = database_text(statement, 0),
                                        .webhook = database_text(statement, 1),
                                        .tenant = database_text(statement, 2),
                                        .body = database_text(statement, 3),
                                        .url = database_text(statement, 4),
                                        .secret = sqlite3_column_blob(statement, 5),
                                        .attempts = sqlite3_column_int64(statement, 6)});
    return desk_end(desk, statement, code);
}

int webhook_ahead(struct desk *desk, int64_t *next_ms, int64_t *waiting)
{
    static const char sql[] = "SELECT coalesce(min(next_ms), 9223372036854775807), count(*) FROM outbox JOIN webhooks ON id = webhook "
                              "WHERE state = 'waiting' AND enabled";
    sqlite3_stmt *statement = desk_begin(desk, sql, NULL, 0);
    const int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW) {
        *next_ms = sqlite3_column_int64(statement, 0);
        *waiting = sqlite3_column_int64(statement, 1);
    }
    return desk_end(desk, statement, code == SQLITE_ROW ? SQLITE_DONE : code);
}

/* It has gone for good: what waits for it has nowhere to go. */
static int disable(struct desk *desk, const struct webhook_result *result)
{
    const int err = RUN(desk, "UPDATE webhooks SET enabled = 0, reason = ?2 WHERE id = ?1", TEXT(result->webhook), TEXT(result->error));
    return err ? err : RUN(desk, "DELETE FROM outbox WHERE webhook = ?1", TEXT(result->webhook));
}

static int settle(struct desk *desk, const struct webhook_result *result)
{
    if (result->gone)
        return disable(desk, result);
    if (result->taken)
        return RUN(desk, "DELETE FROM outbox WHERE event = ?1 AND webhook = ?2", TEXT(result->event), TEXT(result->webhook));
    return RUN(desk,
               "UPDATE outbox SET attempts = attempts + 1, error = ?3, next_ms = CASE ?4 WHEN 0 THEN next_ms ELSE ?4 END,"
               " state = CASE ?4 WHEN 0 THEN 'dead' ELSE 'waiting' END WHERE event = ?1 AND webhook = ?2",
               TEXT(result->event), TEXT(result->webhook), TEXT(result->error), NUMBER(result->next_ms));
}

int webhook_settle(struct desk *desk, const struct webhook_result *result)
{
    const int err = desk_start(desk);
    return desk_finish(desk, err ? err : settle(desk, result));
}
