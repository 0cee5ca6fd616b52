/* routes_audit.c: GET /v1/audit: who changed what. */
#include "server/routes.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_S INT64_C(253402300799) /* the year 9999 */
#define PLACE_MAX 48

const struct field routes_audit_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Of this tenant alone"},
    {.name = "from", .kind = FIELD_NUMBER, .max = LAST_S, .help = "Unix seconds: not before"},
    {.name = "to", .kind = FIELD_NUMBER, .max = LAST_S, .help = "Unix seconds: before"},
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = PLACE_MAX, .help = "Go on behind this one: what `next` of the last answer said"},
    {0},
};

struct audit_job {
    struct routes_job job;
    struct desk_audit_page page;
    size_t count;
    json_t *found, *next;
};

/* json_of: what is written as JSON; what is none, as text. */
static json_t *json_of(const char *text)
{
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_null();
    return value ? value : routes_text(text);
}

static void on_row(void *ctx, const struct desk_audit *row)
{
    struct audit_job *job = ctx;
    if (++job->count == job->page.limit)
        return;
    json_decref(job->next);
    job->next = json_sprintf("%lld.%lld", (long long)row->at_ms, (long long)row->id);
    json_array_append_new(job->found, json_pack("{s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_sprintf("%lld", (long long)row->id), "time",
                                                (double)row->at_ms / 1000, "who", routes_text(row->who), "action", routes_text(row->type), "tenant",
                                                routes_text(row->tenant), "detail", json_of(row->detail), "before", json_of(row->before), "after",
                                                json_of(row->after)));
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct audit_job *job = (struct audit_job *)of;
    job->found = json_array();
    const int err = desk_audits(desk, &job->page, on_row, job);
    if (job->count < job->page.limit) {
        json_decref(job->next);
        job->next = json_null();
    }
    job->job.body = json_pack("{s:o, s:o}", "audit", job->found, "next", job->next);
    return err;
}

/* place_of: "milliseconds.id". */
static bool place_of(const char *text, struct desk_audit_page *page)
{
    char *dot, *end_of;
    page->after_at_ms = strtoll(text, &dot, 10);
    if (*dot != '.' || page->after_at_ms <= 0)
        return false;
    page->after_id = strtoll(dot + 1, &end_of, 10);
    return !*end_of && page->after_id > 0;
}

void routes_audit(void *ctx, struct door_request *request)
{
    const struct field_value *from = door_parameter(request, "from"), *to = door_parameter(request, "to");
    struct desk_audit_page page = {
        .from_ms = from ? from->number * 1000 : 0, .to_ms = to ? to->number * 1000 : INT64_MAX, .limit = routes_limit(request) + 1};
    const char *after = door_query(request, "after");
    if (!routes_tenant(request, &page.tenant))
        return;
    if (after && !place_of(after, &page)) {
        door_refuse_field(request, "after", "what `next` said expected");
        return;
    }
    struct audit_job *job = routes_job(request, sizeof *job, list);
    if (!job)
        return;
    job->page = page;
    routes_job_ask(ctx, job);
}
