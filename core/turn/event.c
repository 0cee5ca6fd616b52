/* event.c: events, their names, and the one about the end of an allocation. */
#include "turn/event.h"

const char *event_name(enum event_type type)
{
    static const char *const names[] = {
        [EVENT_ALLOCATED] = "allocated",
        [EVENT_DENIED] = "denied",
        [EVENT_REFRESHED] = "refreshed",
        [EVENT_PERMISSION] = "permission",
        [EVENT_CLOSED] = "closed",
        [EVENT_AUTH_FAILED] = "auth_failed",
        [EVENT_POLICY_ERROR] = "policy_error",
    };
    return names[type];
}

struct usage usage_since(const struct usage *now, const struct usage *then)
{
    return (struct usage){
        .bytes_in = now->bytes_in - then->bytes_in,
        .bytes_out = now->bytes_out - then->bytes_out,
        .packets_in = now->packets_in - then->packets_in,
        .packets_out = now->packets_out - then->packets_out,
    };
}

void event_closed(struct engine *engine, const struct allocation *allocation, const char *reason, const char *by, msec_t now)
{
    const struct event event = {
        .type = EVENT_CLOSED,
        .decision = engine->ending ? engine->ending : engine_id(engine, now),
        .hook = HOOK_COUNT,
        .is_proven = true,
        .reason = reason,
        .by = by,
        .flow = &allocation->flow,
        .tenant = allocation->tenant,
        .realm = allocation->realm,
        .user = allocation->user,
        .username = view_text(allocation->username),
        .allocation = allocation,
        .delta = usage_since(&allocation->usage, &allocation->reported),
        .now = now,
        .unix_ms = engine_unix_ms(engine, now),
    };
    engine->host->tell(engine->host->ctx, &event);
}
