/* event.c: events, their names, and the one about the end of an allocation. */
#include "turn/event.h"

#define SLOWED_MS 5000 /* how often it is told at most that an allocation loses packets */

const char *event_name(enum event_type type)
{
    static const char *const names[] = {
        [EVENT_ALLOCATED] = "allocated",       [EVENT_DENIED] = "denied", [EVENT_REFRESHED] = "refreshed",
        [EVENT_PERMISSION] = "permission",     [EVENT_CLOSED] = "closed", [EVENT_AUTH_FAILED] = "auth_failed",
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

/* event_of: what an event of the core says of an allocation. */
static struct event event_of(const struct engine *engine, const struct allocation *allocation, enum event_type type, msec_t now)
{
    return (struct event){
        .type = type,
        .hook = HOOK_COUNT,
        .is_proven = true,
        .by = "core",
        .flow = &allocation->flow,
        .tenant = allocation->tenant,
        .realm = allocation->realm,
        .user = allocation->user,
        .username = view_text(allocation->username),
        .allocation = allocation,
        .now = now,
        .unix_ms = engine_unix_ms(engine, now),
    };
}

static void event_slowed_by(struct engine *engine, struct allocation *allocation, enum pace_limit limit, msec_t now)
{
    struct event event = event_of(engine, allocation, EVENT_DENIED, now);
    event.decision = engine_id(engine, now);
    event.reason = pace_name(limit);
    struct pace *pace = allocation->pace;
    event.measure = (struct gauge){(int64_t)(pace->dropped[limit] - pace->told_dropped[limit]), (int64_t)pace_most(pace, limit)};
    pace->told_dropped[limit] = pace->dropped[limit];
    pace->told = now;
    engine->host->remark(engine->host->ctx, &event);
}

void event_slowed(struct engine *engine, struct allocation *allocation, msec_t now)
{
    const struct pace *pace = allocation->pace;
    if (!pace || !engine->host->remark || (pace->told && now - pace->told < SLOWED_MS))
        return;
    for (unsigned limit = 0; limit < PACE_LIMITS; limit++)
        if (pace->dropped[limit] != pace->told_dropped[limit])
            event_slowed_by(engine, allocation, limit, now);
}

void event_closed(struct engine *engine, const struct allocation *allocation, const char *reason, const char *by, msec_t now)
{
    struct event event = event_of(engine, allocation, EVENT_CLOSED, now);
    event.decision = engine->ending ? engine->ending : engine_id(engine, now);
    event.reason = reason;
    event.by = by;
    event.delta = usage_since(&allocation->usage, &allocation->reported);
    engine->host->tell(engine->host->ctx, &event);
}
