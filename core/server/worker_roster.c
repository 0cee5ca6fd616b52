/* worker_roster.c: a worker's answer to server/roster.h: copies of the next allocations of its pool, or the end of one. */
#include "server/worker_state.h"

#include "server/roster.h"
#include "turn/label.h"

#include <string.h>

/* has_tag: "k=v,k=v" has `tag`: "k=v", or "k". */
static bool has_tag(const char *tags, const char *tag)
{
    const size_t len = strlen(tag);
    for (const char *at = tags; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, tag, len) == 0 && (at[len] == '=' || at[len] == ',' || !at[len]))
            return true;
    return false;
}

static bool is_meant(const struct roster_asker *asker, const struct allocation *allocation)
{
    return (!asker->id || asker->id == allocation->id) && (!asker->user || strcmp(asker->user, allocation->user) == 0) &&
           (!asker->tenant || strcmp(asker->tenant, record_tenant(allocation)) == 0) &&
           (!asker->tag || has_tag(allocation->tags, asker->tag) ||
            view_equal(label_tag(allocation->tags, allocation->user), view_text(asker->tag))) &&
           (!asker->credential || strcmp(asker->credential, allocation->username) == 0 ||
            view_equal(label_find(allocation->tags, "credential"), view_text(asker->credential)));
}

static void copy(const struct worker *worker, const struct allocation *allocation, struct roster_row *row)
{
    *row = (struct roster_row){
        .id = allocation->id,
        .worker = worker->index,
        .transport = record_transport(allocation),
        .client = allocation->flow.client,
        .relayed = allocation->relayed_shown,
        .created_unix_ms = allocation->created_unix_ms,
        .expires_unix_ms = allocation->expires + worker->unix_offset_ms,
        .usage = allocation->usage,
        .permissions = allocation->permissions,
        .channels = allocation->channels,
        .is_active = allocation->is_active,
    };
    if (allocation->rare)
        row->other = allocation->rare->other.shown;
    if (allocation->pace)
        memcpy(row->dropped, allocation->pace->dropped, sizeof row->dropped);
    view_copy(view_text(record_tenant(allocation)), row->tenant, sizeof row->tenant);
    view_copy(view_text(allocation->user), row->user, sizeof row->user);
    view_copy(view_text(allocation->realm), row->realm, sizeof row->realm);
    view_copy(view_text(allocation->tags), row->labels.tags, sizeof row->labels.tags);
    view_copy(view_text(allocation->group_name), row->labels.group, sizeof row->labels.group);
}

static void find(struct worker *worker, struct roster_letter *letter, msec_t now)
{
    static const struct verdict kicked = {.kind = VERDICT_CLOSE, .reason = "kicked", .by = "core"};
    const struct roster_asker *asker = letter->asker;
    for (unsigned looked = 0; looked < ROSTER_TURN; looked++, letter->from++) {
        const struct allocation *allocation = engine_allocation_at(worker->engine, letter->from);
        letter->is_end = !allocation;
        if (!allocation)
            return;
        letter->from = allocation->self.index;
        if (allocation->expires <= now || !is_meant(asker, allocation))
            continue;
        letter->is_full = letter->count == letter->most;
        if (letter->is_full)
            return;
        copy(worker, allocation, &letter->rows[letter->count++]);
        if (asker->ends)
            engine_close(worker->engine, allocation->self, &kicked, now);
    }
}

void worker_roster(struct worker *worker, struct letter *letter)
{
    struct roster_letter *read = (struct roster_letter *)letter;
    find(worker, read, loop_now(worker->loop));
    mail_post(read->back, letter);
}
