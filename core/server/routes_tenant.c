/* routes_tenant.c: /v1/tenants: tenants and what is set of them. */
#include "server/routes.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/revoker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_FIELD {.name = "name", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = STORE_REALM_MAX, .help = "Of the tenant"}
#define REALM_FIELD {.name = "realm", .kind = FIELD_TEXT, .max = STORE_REALM_MAX, .help = "With which its clients are challenged; empty: the relay's"}
#define WORDS(one, two, ...) one "|" two __VA_OPT__("|" __VA_ARGS__)
#define MOST(most) ((most) < FIELD_NUMBER_MAX ? (int64_t)(most) : FIELD_NUMBER_MAX)
#define CHOICE(field, ...) {.name = #field, .kind = FIELD_CHOICE, .words = WORDS(__VA_ARGS__), .help = "See db/README.md"},
#define LIMIT(field, most) {.name = #field, .kind = FIELD_NUMBER, .max = MOST(most), .help = "See db/README.md; 0: none"},
#define TENANT_FIELDS REALM_FIELD, STORE_TENANT_CHOICES(CHOICE) STORE_TENANT_LIMITS(LIMIT) {0}

const struct field routes_tenant_new[] = {NAME_FIELD, TENANT_FIELDS};
const struct field routes_tenant_body[] = {TENANT_FIELDS};
const struct field routes_tenants_query[] = {
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Go on behind this name: what `next` of the last answer said"},
    {0},
};
const struct field routes_tenant_patch_query[] = {{.name = "create", .kind = FIELD_FLAG, .help = "Make it, if it is not there"}, {0}};
const struct field routes_tenant_remove_query[] = {
    {.name = "force", .kind = FIELD_FLAG, .help = "Also one that has users, secrets, keys or live allocations: they go with it, what it used stays"}, {0}};
const struct door_said routes_tenant_add_said[] = {
    {HTTP_CREATED, "It is made"}, {HTTP_CONFLICT, "There is one of this name"}, {0}};
const struct door_said routes_tenant_remove_said[] = {{HTTP_OK, "It is removed; this is what it was"},
                                                      {HTTP_NOT_FOUND, "There is no such tenant"},
                                                      {HTTP_CONFLICT, "It has users, secrets, keys or live allocations, and how many"},
                                                      {0}};

struct tenant_job {
    struct routes_job job;
    struct desk_tenant tenant;
    enum desk_put how;
    struct desk_page page;
    size_t count;
    json_t *found;
};

static json_t *json_of(const struct store_tenant *tenant)
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    json_t *object = json_pack("{s:o, s:I}", "name", routes_text(tenant->name), "created", (json_int_t)(tenant->created_ms / 1000));
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, fields[i].name,
                            fields[i].most ? json_integer(desk_tenant_number(tenant, &fields[i])) : routes_text(desk_tenant_text(tenant, &fields[i])));
    return object;
}

/* ---- reading ---- */

/* on_tenant: one more than is told says that there are more. */
static void on_tenant(void *ctx, const struct store_tenant *tenant)
{
    struct tenant_job *job = ctx;
    if (++job->count < job->page.limit)
        json_array_append_new(job->found, json_of(tenant));
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct tenant_job *job = (struct tenant_job *)of;
    job->found = json_array();
    const int err = desk_tenants(desk, &job->page, on_tenant, job);
    job->job.body = json_pack("{s:o, s:o}", "tenants", job->found, "next", routes_next(job->found, job->count == job->page.limit, "name"));
    return err;
}

/* A tenant's own key is shown that tenant. */
void routes_tenants(void *ctx, struct door_request *request)
{
    struct tenant_job *job = routes_job(request, sizeof *job, list);
    if (!job)
        return;
    job->page = (struct desk_page){.after = door_query(request, "after"),
                                   .name = door_is_operator(request) ? NULL : door_caller(request)->tenant,
                                   .limit = routes_limit(request) + 1};
    routes_job_ask(ctx, job);
}

static void on_one(void *ctx, const struct store_tenant *tenant)
{
    struct routes_job *job = ctx;
    job->body = json_of(tenant);
}

static int find(struct desk *desk, struct routes_job *job, const char *name)
{
    const int err = desk_tenants(desk, &(struct desk_page){.name = name}, on_one, job);
    return err == 0 && !job->body ? routes_job_refuse(job, ERR_NOT_FOUND, NULL, "no such tenant") : err;
}

static int show(struct desk *desk, struct clerk_job *of)
{
    struct routes_job *job = (struct routes_job *)of;
    return find(desk, job, door_part(job->request, 0));
}

void routes_tenant_show(void *ctx, struct door_request *request)
{
    struct routes_job *job = routes_owner(request) ? routes_job(request, sizeof *job, show) : NULL;
    if (job)
        routes_job_ask(ctx, job);
}

/* ---- changing ---- */

/* take_fields: false: one of them has no such value, and it is refused. */
static bool take_fields(struct door_request *request, struct desk_tenant *tenant)
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    char number[24], wants[DESK_WANTS_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct field_value *value = door_value(request, fields[i].name);
        if (!value)
            continue;
        snprintf(number, sizeof number, "%lld", (long long)value->number);
        if (desk_tenant_take(tenant, &fields[i], fields[i].most ? number : value->text) == 0)
            continue;
        door_refuse_field(request, fields[i].name, desk_field_wants(&fields[i], wants));
        return false;
    }
    return true;
}

static void look_at_status(void *ctx, const struct store_tenant *tenant)
{
    bool *is_disabled = ctx;
    *is_disabled = strcmp(tenant->status, "disabled") == 0;
}

static bool is_disabled(struct desk *desk, const char *name)
{
    bool is = false;
    desk_tenants(desk, &(struct desk_page){.name = name}, look_at_status, &is);
    return is;
}

static int put(struct desk *desk, struct clerk_job *of)
{
    struct tenant_job *job = (struct tenant_job *)of;
    const char *name = job->tenant.row.name;
    const bool was_disabled = is_disabled(desk, name);
    const int err = desk_tenant_put(desk, &job->tenant, job->how, job->job.who);
    job->job.status = job->how == DESK_ADD ? HTTP_CREATED : HTTP_OK;
    if (!err && !was_disabled && is_disabled(desk, name))
        news_tell(job->job.routes->service->news, NEWS_TENANT_DISABLED, name, NEWS(NEWS_TEXT(job->job.who)));
    return err ? err : find(desk, &job->job, name);
}

static void ask_put(const struct routes *routes, struct door_request *request, const char *name, enum desk_put how)
{
    struct desk_tenant tenant;
    if (desk_tenant_begin(&tenant, name) != 0) {
        door_refuse_field(request, "name", "a name that may be a realm expected, and not *");
        return;
    }
    struct tenant_job *job = take_fields(request, &tenant) ? routes_job(request, sizeof *job, put) : NULL;
    if (!job)
        return;
    job->tenant = tenant;
    job->how = how;
    routes_job_ask(routes, job);
}

void routes_tenant_add(void *ctx, struct door_request *request)
{
    ask_put(ctx, request, door_text(request, "name"), DESK_ADD);
}

void routes_tenant_change(void *ctx, struct door_request *request)
{
    const struct field_value *create = door_parameter(request, "create");
    ask_put(ctx, request, door_part(request, 0), create && create->number ? DESK_PUT : DESK_CHANGE);
}

/* ---- its end ---- */

static int end(struct desk *desk, struct clerk_job *of)
{
    struct routes_job *job = (struct routes_job *)of;
    const struct field_value *force = door_parameter(job->request, "force");
    const struct desk_tenant_end how = {.force = force && force->number, .shut_out_until_ms = clock_unix_ms() + REVOCATION_MS};
    const char *name = door_part(job->request, 0);
    const int err = find(desk, job, name);
    return err ? err : desk_tenant_remove(desk, name, &how, job->who);
}

/* What lives goes at once. */
static void on_removed(struct clerk_job *of, int err)
{
    const struct routes_job *job = (const struct routes_job *)of;
    if (!err)
        revoker_second(job->routes->service->revoker);
    routes_job_done(of, err);
}

void routes_tenant_remove(void *ctx, struct door_request *request)
{
    struct routes_job *job = routes_job(request, sizeof *job, end);
    if (!job)
        return;
    job->job.done = on_removed;
    routes_job_ask(ctx, job);
}
