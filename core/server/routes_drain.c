/* routes_drain.c: /v1/drain, and /readyz, which tells what keeps clients out. */
#include "server/routes.h"

#include "server/drain.h"

#include <stdio.h>

#define DEADLINE_MAX_S 604800

const struct field routes_drain_query[] = {
    {.name = "deadline", .kind = FIELD_NUMBER, .min = 1, .max = DEADLINE_MAX_S,
     .help = "For so many seconds at most; without it as drain-deadline says, or until the last allocation is gone"},
    {0},
};
const struct door_said routes_drain_said[] = {{HTTP_OK, "Whether it drains now, and until when"}, {0}};
const struct door_said routes_ready_said[] = {
    {HTTP_OK, "It takes clients"}, {HTTP_UNAVAILABLE, "It drains, or total-quota is reached: `reason` says which"}, {0}};

static json_t *state_of(const struct drain *drain)
{
    const bool is_on = drain_is_on(drain->service);
    return json_pack("{s:b, s:o, s:I}", "draining", is_on, "deadline",
                     is_on && drain->until_unix_ms ? json_integer(drain->until_unix_ms / 1000) : json_null(), "allocations",
                     (json_int_t)drain_held(drain));
}

void routes_drain(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    door_answer(request, HTTP_OK, state_of(routes->service->drain));
}

void routes_drain_begin(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    const struct field_value *deadline = door_parameter(request, "deadline");
    char who[ROUTES_WHO_MAX];
    drain_begin(routes->service->drain, deadline ? (uint32_t)deadline->number : routes->config->drain_deadline_s, routes_who(request, who));
    door_answer(request, HTTP_OK, state_of(routes->service->drain));
}

void routes_drain_cancel(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    char who[ROUTES_WHO_MAX];
    drain_cancel(routes->service->drain, routes_who(request, who));
    door_answer(request, HTTP_OK, state_of(routes->service->drain));
}

/* Sockets are open and workers run before the door answers. */
void routes_ready(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    const uint32_t held = drain_held(routes->service->drain), most = routes->config->total_quota;
    char reason[64] = "";
    if (drain_is_on(routes->service))
        snprintf(reason, sizeof reason, "draining");
    else if (most && held >= most)
        snprintf(reason, sizeof reason, "full: total-quota %u/%u", held, most);
    if (*reason)
        door_answer(request, HTTP_UNAVAILABLE, json_pack("{s:b, s:s}", "ready", 0, "reason", reason));
    else
        door_answer(request, HTTP_OK, json_pack("{s:b}", "ready", 1));
}
