/* routes_tenant.c: /v1/tenants: tenants and what is set of them. */
#include "server/routes.h"

#include <string.h>

const struct field routes_tenants_query[] = {
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Go on behind this name: what `next` of the last answer said"},
    {0},
};

struct tenant_job {
    struct routes_job job;
    struct desk_page page;
    size_t count;
    json_t *found;
};

static json_t *value_of(const struct desk_field *field, const struct store_tenant *tenant)
{
    const char *at = (const char *)tenant + field->at;
    int64_t number;
    if (!field->most)
        return json_string(at);
    memcpy(&number, at, sizeof number);
    return json_integer(number);
}

static json_t *json_of(const struct store_tenant *tenant)
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    json_t *object = json_pack("{s:s, s:I}", "name", tenant->name, "created", (json_int_t)(tenant->created_ms / 1000));
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, fields[i].name, value_of(&fields[i], tenant));
    return object;
}

/* on_tenant: one more than is told says that there are more. */
static void on_tenant(void *ctx, const struct store_tenant *tenant)
{
    struct tenant_job *job = ctx;
    if (++job->count < job->page.limit)
        json_array_append_new(job->found, json_of(tenant));
}

static json_t *next_of(const json_t *found, bool more)
{
    const json_t *last = json_array_get(found, json_array_size(found) - 1);
    return more ? json_copy(json_object_get(last, "name")) : json_null();
}

static int list(struct desk *desk, struct clerk_job *of)
{
    struct tenant_job *job = (struct tenant_job *)of;
    job->found = json_array();
    const int err = desk_tenants(desk, &job->page, on_tenant, job);
    job->job.body = json_pack("{s:o, s:o}", "tenants", job->found, "next", next_of(job->found, job->count == job->page.limit));
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
