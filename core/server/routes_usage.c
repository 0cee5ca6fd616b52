/* routes_usage.c: GET /v1/usage and /v1/tenants/{tenant}/usage: what was used, as text that is made in pieces.
 *
 *     read_question -> [clerk] a piece of the file is added up -> done -> the next piece ...
 *                   -> [clerk] a piece of text -> done -> feed_open, feed_wake -> the reader takes it -> the next piece ...
 */
#include "server/routes.h"

#include "admin/feed.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/config.h"
#include "server/service.h"
#include "server/usage_text.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_PIECE 65536
#define FILTERS 5
#define EXPORTS_MAX 16     /* at a time: each has a connection to the file, and a table that may be large */
#define EXPORTS_OF_ONE 4   /* of one tenant's keys: the others can always ask */
#define EXPORT_MS 600000   /* who has not taken all by then is cut off: his state of the file is held for him, and the log behind it grows */

const struct field routes_usage_query[] = {
    {.name = "from", .kind = FIELD_TEXT, .min = 1, .max = 40,
     .help = "What began then or later: Unix seconds or ISO 8601; without it what began in this month (UTC)"},
    {.name = "to", .kind = FIELD_TEXT, .min = 1, .max = 40, .help = "What began before: as `from`; without it up to now"},
    {.name = "group_by", .kind = FIELD_TEXTS, .min = 1, .max = SUMMARY_KEYS, .words = USAGE_KEYS, .help = "A row for each; without it one of all"},
    {.name = "format", .kind = FIELD_CHOICE, .words = USAGE_FORMATS, .help = "JSON without it; CSV as RFC 4180; an object a line"},
    {.name = "sort", .kind = FIELD_CHOICE, .words = USAGE_NUMBERS, .help = "The greatest first; without it in the order of `group_by`"},
    {.name = "limit", .kind = FIELD_NUMBER, .min = 1, .max = FIELD_NUMBER_MAX, .help = "At most so many rows; the total is of all"},
    {.name = "room", .kind = FIELD_TEXT, .max = 1024, .help = "Of this room alone"},
    {.name = "tag", .kind = FIELD_TEXT, .max = 1024, .help = "Of this tag alone"},
    {.name = "user", .kind = FIELD_TEXT, .max = 1024, .help = "Of this user alone"},
    {.name = "transport", .kind = FIELD_TEXT, .max = 1024, .help = "Of clients that came so alone"},
    {0},
};

enum phase { PHASE_GATHER, PHASE_WRITE, PHASE_END };

/* struct export: one answer. The clerk's while is_asked, else main's. */
struct export {
    struct clerk_job job;
    struct routes *routes;
    struct export *next; /* of the routes */
    char caller[DOOR_TENANT_MAX + 1];
    msec_t until;
    struct door_request *request; /* NULL: it is being answered: there is a feed */
    struct feed *feed;            /* NULL and no request: the reader has gone */
    struct summary_question question;
    char *filters[FILTERS]; /* of the question */
    enum usage_format format;
    enum phase phase;
    bool is_asked, has_head;
    struct summary *summary;
    size_t rows;
    int err;
    char *text; /* not read yet, from `at` on */
    size_t at, len;
    char reason[CLERK_REASON_MAX];
};

/* ---- all of them ---- */

static void enter(struct export *export)
{
    export->next = export->routes->exports;
    export->routes->exports = export;
}

static void leave(const struct export *export)
{
    struct export **at = &export->routes->exports;
    while (*at != export)
        at = &(*at)->next;
    *at = export->next;
}

/* is_too_many: of all, or of this caller's, unless he is the operator. */
static bool is_too_many(const struct routes *routes, const char *caller)
{
    unsigned all = 0, of_one = 0;
    for (const struct export *each = routes->exports; each; each = each->next, all++)
        of_one += strcmp(each->caller, caller) == 0;
    return all >= EXPORTS_MAX || (of_one >= EXPORTS_OF_ONE && strcmp(caller, "*") != 0);
}

static void free_export(struct export *export)
{
    leave(export);
    for (size_t i = 0; i < FILTERS; i++)
        free(export->filters[i]);
    summary_close(export->summary);
    free(export->text);
    free(export);
}

/* ---- in the clerk's thread ---- */

static int gather(struct export *export)
{
    if (!export->summary) {
        const int err = summary_open(export->routes->config->userdb, &export->question, &export->summary, export->reason, sizeof export->reason);
        if (err)
            return err;
    }
    const int more = summary_gather(export->summary);
    if (more < 0)
        snprintf(export->reason, sizeof export->reason, "%s", summary_error(export->summary));
    if (more == 0)
        export->phase = PHASE_WRITE;
    return more < 0 ? more : 0;
}

static int write_rows(struct export *export, FILE *out)
{
    struct summary_row row;
    int more = 1;
    if (!export->has_head)
        usage_head(out, export->format, &export->question);
    export->has_head = true;
    while (ftell(out) < TEXT_PIECE && (more = summary_next(export->summary, &row)) > 0)
        usage_row(out, export->format, &export->question, &row, export->rows++);
    if (more < 0)
        snprintf(export->reason, sizeof export->reason, "%s", summary_error(export->summary));
    if (more != 0)
        return more < 0 ? more : 0;
    usage_foot(out, export->format, export->summary);
    summary_close(export->summary);
    export->summary = NULL;
    export->phase = PHASE_END;
    return 0;
}

static int write_piece(struct export *export)
{
    export->at = 0;
    FILE *out = open_memstream(&export->text, &export->len);
    if (!out)
        return ERR_MEMORY;
    const int err = write_rows(export, out);
    return fclose(out) == 0 ? err : ERR_MEMORY;
}

static int work(struct desk *desk, struct clerk_job *job)
{
    struct export *export = (struct export *)job;
    (void)desk;
    export->err = export->phase == PHASE_GATHER ? gather(export) : write_piece(export);
    return 0;
}

/* ---- at main ---- */

static void ask(struct export *export)
{
    export->is_asked = true;
    clerk_ask(export->routes->service->clerk, &export->job);
}

/* read: the next piece is asked for when the last byte of one is taken; then there is none until feed_wake. */
static ssize_t read_text(void *owner, char *out, size_t cap)
{
    struct export *export = owner;
    const size_t left = export->len - export->at, len = left < cap ? left : cap;
    if (export->err || clock_monotonic_ms() > export->until)
        return FEED_CUT;
    if (export->is_asked)
        return FEED_LATER;
    if (len > 0) {
        memcpy(out, export->text + export->at, len);
        export->at += len;
        return (ssize_t)len;
    }
    free(export->text);
    export->text = NULL;
    export->len = export->at = 0;
    if (export->phase == PHASE_END)
        return FEED_END;
    ask(export);
    return export->is_asked ? FEED_LATER : FEED_CUT; /* what is not taken is refused at once */
}

static void on_close(void *owner)
{
    struct export *export = owner;
    export->feed = NULL;
    if (!export->is_asked)
        free_export(export);
}

static void open_feed(struct export *export)
{
    const struct feed_source source = {read_text, on_close, export};
    struct door_request *request = export->request;
    export->request = NULL;
    export->feed = feed_open(request, HTTP_OK, usage_media(export->format), &source);
    if (!export->feed)
        free_export(export);
}

/* refuse: nothing was answered yet. */
static void refuse_export(struct export *export)
{
    door_refuse(export->request, export->err == ERR_MEMORY ? HTTP_INTERNAL : HTTP_UNAVAILABLE, *export->reason ? export->reason : err_text(export->err));
    free_export(export);
}

static void done(struct clerk_job *job, int err)
{
    struct export *export = (struct export *)job;
    export->is_asked = false;
    if (err) {
        export->err = err;
        snprintf(export->reason, sizeof export->reason, "%s", job->reason);
    }
    if (!export->request && !export->feed)
        free_export(export);
    else if (export->feed)
        feed_wake(export->feed);
    else if (export->err)
        refuse_export(export);
    else if (export->text)
        open_feed(export);
    else
        ask(export);
}

/* ---- the question ---- */

static bool read_time(struct door_request *request, const char *name, int64_t otherwise, int64_t *out)
{
    const char *text = door_query(request, name);
    *out = otherwise;
    if (!text || clock_parse(text, out))
        return true;
    door_refuse_field(request, name, "Unix seconds, a date, or a date and time as 2026-01-31T12:00:00Z expected");
    return false;
}

static bool read_times(struct door_request *request, struct summary_question *question)
{
    const int64_t now = clock_unix_ms();
    if (!read_time(request, "to", now, &question->to_ms) ||
        !read_time(request, "from", usage_month(question->to_ms < now ? question->to_ms - 1 : now), &question->from_ms))
        return false;
    if (question->from_ms < question->to_ms)
        return true;
    door_refuse_field(request, door_query(request, "from") ? "from" : "to", "`from` is not before `to`");
    return false;
}

static bool read_keys(struct door_request *request, struct summary_question *question)
{
    const struct field_value *names = door_parameter(request, "group_by");
    for (size_t i = 0; names && i < json_array_size(names->list); i++) {
        const char *why = usage_add_key(question, json_string_value(json_array_get(names->list, i)));
        if (why) {
            door_refuse_field(request, "group_by", why);
            return false;
        }
    }
    return true;
}

static bool read_order(struct door_request *request, struct summary_question *question)
{
    const char *sort = door_query(request, "sort");
    const struct field_value *limit = door_parameter(request, "limit");
    question->limit = limit ? limit->number : 0;
    if (!sort)
        return true;
    question->is_sorted = true;
    question->sort = usage_number(sort);
    if (summary_numbers(question) & SUMMARY_BIT(question->sort))
        return true;
    door_refuse_field(request, "sort", "rows of this `group_by` have no such number");
    return false;
}

/* keep: a filter outlives the request. */
static bool keep(struct export *export, size_t i, const char *text, const char **out)
{
    export->filters[i] = text ? strdup(text) : NULL;
    *out = export->filters[i];
    return !text || *out;
}

static bool read_filters(struct export *export, struct door_request *request, const char *tenant)
{
    struct summary_question *question = &export->question;
    if (keep(export, 0, tenant, &question->tenant) && keep(export, 1, door_query(request, "room"), &question->room) &&
        keep(export, 2, door_query(request, "tag"), &question->tag) && keep(export, 3, door_query(request, "user"), &question->user) &&
        keep(export, 4, door_query(request, "transport"), &question->transport))
        return true;
    door_refuse(request, HTTP_INTERNAL, "out of memory");
    return false;
}

/* read_question: false: it was refused. */
static bool read_question(struct export *export, struct door_request *request, const char *tenant)
{
    const char *format = door_query(request, "format");
    if (format)
        usage_format_find(format, &export->format);
    return read_filters(export, request, tenant) && read_times(request, &export->question) && read_keys(request, &export->question) &&
           read_order(request, &export->question);
}

static void serve(struct routes *routes, struct door_request *request, const char *tenant)
{
    struct export *export = NULL;
    const char *caller = door_caller(request)->tenant;
    if (is_too_many(routes, caller)) {
        door_refuse(request, HTTP_UNAVAILABLE, "too many ask for usage at a time: try again");
        return;
    }
    if (!(export = calloc(1, sizeof *export))) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    *export = (struct export){
        .job = {.work = work, .done = done}, .routes = routes, .request = request, .until = clock_monotonic_ms() + EXPORT_MS};
    view_copy(view_text(caller), export->caller, sizeof export->caller);
    enter(export);
    if (read_question(export, request, tenant))
        ask(export);
    else
        free_export(export);
}

void routes_usage(void *ctx, struct door_request *request)
{
    serve(ctx, request, door_is_operator(request) ? NULL : door_caller(request)->tenant);
}

void routes_tenant_usage(void *ctx, struct door_request *request)
{
    const char *tenant = door_part(request, 0);
    if (door_may_see(request, tenant))
        serve(ctx, request, tenant);
    else
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
}
