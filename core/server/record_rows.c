/* record_rows.c: rows for the database: sessions, what they relayed and how long they lived, what was refused. */
#include "server/worker_state.h"

#include "turn/label.h"

#define MINUTE_MS 60000
#define LIVES_TURNS 120 /* of half a second: so many go round all allocations, in a minute */
#define LIVES_LEAST 64  /* allocations in a turn */
#define LIVES_MS 5000   /* from the beginning of one round to that of the next, at least: few are told of together, not each in a commit of his own */

/* struct who: whom an allocation counts for, with the names that this needs. */
struct who {
    struct store_who who;
    struct label_names names;
};

static const struct store_who *who_of(const struct allocation *allocation, struct who *out)
{
    label_names(allocation, &out->names);
    out->who = (struct store_who){
        .tenant = record_tenant(allocation),
        .room = out->names.room,
        .tag = out->names.tag,
        .user = allocation->user,
        .transport = record_transport(allocation),
    };
    return &out->who;
}

/* usage_row: what the database does not know yet. Without a mark it is not told of the time yet; at the end that is all of it. */
static struct store_usage usage_row(const struct worker *worker, const struct allocation *allocation, const struct usage *delta,
                                    const struct usage_mark *mark, msec_t now)
{
    const int64_t at_ms = now + worker->unix_offset_ms;
    const bool carries = delta->packets_in || delta->packets_out;
    return (struct store_usage){
        .id = (int64_t)allocation->id,
        .at_ms = at_ms,
        .bytes_in = delta->bytes_in,
        .bytes_out = delta->bytes_out,
        .packets_in = delta->packets_in,
        .packets_out = delta->packets_out,
        .lived_ms = mark ? now - allocation->created - mark->lived : 0,
        .is_active = carries && mark && mark->active_minute != at_ms / MINUTE_MS,
    };
}

void record_usage(struct worker *worker, const struct allocation *allocation, const struct usage *delta, msec_t now)
{
    struct who who;
    struct usage_mark *mark = record_mark(worker, allocation);
    struct store_usage row = usage_row(worker, allocation, delta, mark, now);
    row.who = *who_of(allocation, &who);
    if (!store_usage(worker->service->store, &row) || !mark)
        return;
    mark->lived = now - allocation->created;
    if (row.is_active)
        mark->active_minute = row.at_ms / MINUTE_MS;
}

/* A part of the pool at each turn: nobody waits for the time of a hundred thousand. */
void record_lives(struct worker *worker, msec_t now)
{
    static const struct usage nothing = {0};
    const uint32_t from = worker->lives_from, share = (uint32_t)(worker->marks.count / LIVES_TURNS) + LIVES_LEAST;
    uint32_t at = from;
    if (from == 0 && now < worker->lives_at)
        return;
    if (from == 0)
        worker->lives_at = now + LIVES_MS;
    for (const struct allocation *each; (each = engine_allocation_at(worker->engine, at)) && each->self.index < from + share; at++) {
        at = each->self.index;
        const struct usage_mark *mark = record_mark(worker, each);
        if (mark && now - each->created - mark->lived >= LIVES_MS / 2) /* others relay, and are told of anyway */
            record_usage(worker, each, &nothing, now);
    }
    worker->lives_from = from + share < worker->marks.count ? from + share : 0;
}

static void put_opened(struct worker *worker, const struct allocation *allocation)
{
    char client[ADDR_TEXT_MAX], relayed[ADDR_TEXT_MAX];
    struct who who;
    const struct store_session row = {
        .id = (int64_t)allocation->id,
        .opened_ms = allocation->created_unix_ms,
        .who = *who_of(allocation, &who),
        .realm = allocation->realm,
        .username = allocation->username,
        .client = addr_format(&allocation->flow.client, client),
        .relayed = addr_format(&allocation->relayed_shown, relayed),
        .tags = allocation->tags,
    };
    record_mark(worker, allocation);
    store_session_opened(worker->service->store, &row);
}

static void put_closed(struct worker *worker, const struct event *event)
{
    static const struct usage_mark unknown = {0};
    struct who who;
    const struct allocation *allocation = event->allocation;
    const struct usage_mark *mark = record_mark(worker, allocation);
    struct store_closing row = {usage_row(worker, allocation, &event->delta, mark ? mark : &unknown, event->now), event->reason};
    row.last.who = *who_of(allocation, &who);
    store_session_closed(worker->service->store, &row);
}

static void put_refused(struct worker *worker, const struct event *event)
{
    const bool is_known = event->type == EVENT_DENIED;
    const struct store_refusal row = {
        .at_ms = event->unix_ms,
        .tenant = record_tenant_of(event->tenant, event->realm),
        .reason = is_known ? metric_refusal_name(metric_refusal(event->reason, event->by)) : "auth_failed",
    };
    store_refusal(worker->service->store, &row);
}

void record_rows(struct worker *worker, const struct event *event)
{
    switch (event->type) {
        case EVENT_ALLOCATED:
            put_opened(worker, event->allocation);
            break;
        case EVENT_CLOSED:
            put_closed(worker, event);
            break;
        case EVENT_DENIED:
        case EVENT_AUTH_FAILED:
            put_refused(worker, event);
            break;
        default:
            break;
    }
}
