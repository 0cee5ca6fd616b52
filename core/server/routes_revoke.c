/* routes_revoke.c: DELETE of credentials: by their id, their player, their key, their user, or all of a tenant; and what stands of that. */
#include "server/routes.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/revoker.h"

#include <stdlib.h>
#include <string.h>

const struct field routes_revoke_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Whose it is; without it whoever's; a tenant's key revokes its own"},
    {0},
};
const struct field routes_revocations_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Of this tenant; a tenant's key sees no other"},
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_NUMBER, .min = 0, .max = REVOCATIONS_MAX, .help = "Go on from here: what `next` of the last answer said"},
    {0},
};
const struct door_said routes_revoke_said[] = {
    {HTTP_OK, "Allocations have ended on all workers, how many is said, and what it names is refused"},
    {HTTP_NOT_FOUND, "It is another tenant's"}, {0}};
const struct door_said routes_revocation_lift_said[] = {{HTTP_OK, "It stands no more"}, {HTTP_NOT_FOUND, "There is no such revocation"}, {0}};

struct revoke_wait {
    struct revoke_order order; /* first */
    struct door_request *request;
};

static json_t *seconds_of(int64_t ms)
{
    return ms == REVOCATION_FOREVER ? json_null() : json_integer(ms / 1000);
}

static void on_revoked(struct revoke_order *order, const char *failure)
{
    struct door_request *request = ((struct revoke_wait *)order)->request;
    json_t *body = NULL;
    if (!failure)
        body = json_pack("{s:o, s:s, s:s, s:s, s:I, s:o, s:b}", "id",
                         order->is_stored ? json_integer(order->id) : json_null(), "kind", revocation_name(order->kind), "tenant", order->tenant, "name", order->name,
                         "ended", (json_int_t)order->ended, "until", seconds_of(order->until_ms), "stored", order->is_stored);
    if (body && !order->is_stored)
        json_object_set_new(body, "reason", json_string(order->job.reason));
    if (failure)
        door_refuse(request, HTTP_UNAVAILABLE, failure);
    else
        door_answer(request, HTTP_OK, body);
    free(order);
}

static void revoke(const struct routes *routes, struct door_request *request, const struct revoke_order *wanted)
{
    struct revoke_wait *wait = calloc(1, sizeof *wait);
    if (!wait) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    wait->order = *wanted;
    wait->order.told = on_revoked;
    wait->request = request;
    routes_who(request, wait->order.who);
    revoker_ask(routes->service->revoker, &wait->order);
}

/* revoke_any: of a tenant that is said, or the caller's, or of the operator's any. */
static void revoke_any(const struct routes *routes, struct door_request *request, enum revocation_kind kind)
{
    struct revoke_order order = {.kind = kind};
    const char *tenant;
    if (!routes_tenant(request, &tenant))
        return;
    view_copy(view_text(tenant ? tenant : REVOCATION_ANY), order.tenant, sizeof order.tenant);
    view_copy(view_text(door_part(request, 0)), order.name, sizeof order.name);
    revoke(routes, request, &order);
}

/* revoke_of: of the tenant that the path names. */
static void revoke_of(const struct routes *routes, struct door_request *request, enum revocation_kind kind, const char *name)
{
    struct revoke_order order = {.kind = kind};
    const char *tenant = door_part(request, 0);
    if (!door_may_see(request, tenant)) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
        return;
    }
    view_copy(view_text(tenant), order.tenant, sizeof order.tenant);
    view_copy(view_text(name), order.name, sizeof order.name);
    revoke(routes, request, &order);
}

void routes_revoke_credential(void *ctx, struct door_request *request)
{
    revoke_any(ctx, request, REVOKE_CREDENTIAL);
}

void routes_revoke_key(void *ctx, struct door_request *request)
{
    revoke_any(ctx, request, REVOKE_KEY);
}

void routes_revoke_tag(void *ctx, struct door_request *request)
{
    revoke_of(ctx, request, REVOKE_TAG, door_part(request, 1));
}

void routes_revoke_user(void *ctx, struct door_request *request)
{
    revoke_of(ctx, request, REVOKE_USER, door_part(request, 1));
}

void routes_revoke_tenant(void *ctx, struct door_request *request)
{
    revoke_of(ctx, request, REVOKE_TENANT, "");
}

/* ---- what stands ---- */

static json_t *row_of(const struct revoke_row *row)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:I, s:o, s:b}", "id", row->id ? json_integer(row->id) : json_null(), "kind",
                     revocation_name(row->kind), "tenant", row->tenant, "name", row->name, "at", (json_int_t)(row->at_ms / 1000), "until",
                     seconds_of(row->until_ms), "stored", row->who == NULL);
}

void routes_revocations(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    const struct revoke_list *list = &routes->service->revoker->list;
    const size_t limit = routes_limit(request);
    const struct field_value *after = door_parameter(request, "after");
    size_t at = after ? (size_t)after->number : 0;
    const char *tenant;
    if (!routes_tenant(request, &tenant))
        return;
    json_t *found = json_array();
    for (; at < list->count && json_array_size(found) < limit; at++)
        if (!tenant || strcmp(list->rows[at].tenant, tenant) == 0)
            json_array_append_new(found, row_of(&list->rows[at]));
    door_answer(request, HTTP_OK, json_pack("{s:o, s:o}", "revocations", found, "next", at < list->count ? json_integer((json_int_t)at) : json_null()));
}

struct lift_job {
    struct routes_job job; /* first */
    int64_t id;
    const char *tenant;
};

static int lift(struct desk *desk, struct clerk_job *of)
{
    struct lift_job *job = (struct lift_job *)of;
    const int err = desk_revocation_lift(desk, job->id, job->tenant, job->job.who);
    if (!err)
        job->job.body = json_pack("{s:I}", "id", (json_int_t)job->id);
    return err;
}

/* Within a second the look at the table tells the workers. */
void routes_revocation_lift(void *ctx, struct door_request *request)
{
    const char *tenant, *text = door_part(request, 0);
    char *end;
    if (!routes_tenant(request, &tenant))
        return;
    struct lift_job *job = routes_job(request, sizeof *job, lift);
    if (!job)
        return;
    job->id = strtoll(text, &end, 10); /* what is none is 0, which no row has */
    job->id = *end ? 0 : job->id;
    job->tenant = tenant;
    routes_job_ask(ctx, job);
}
