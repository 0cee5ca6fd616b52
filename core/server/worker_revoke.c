/* worker_revoke.c: a worker's part of server/revoker.h: whoever was shut out comes in no more, and who is there goes. */
#include "server/worker_state.h"

#include "server/revoker.h"

bool worker_is_revoked(void *ctx, const struct bearer *bearer)
{
    const struct worker *worker = ctx;
    return revocations_match(worker->revoked, bearer, loop_now(worker->loop) + worker->unix_offset_ms) != NULL;
}

static struct bearer bearer_of(const struct allocation *allocation)
{
    return (struct bearer){
        .tenant = record_tenant(allocation),
        .user = allocation->user,
        .tags = allocation->tags,
        .username = view_text(allocation->username),
        .is_minted = allocation->is_minted,
        .expires_unix_s = allocation->key_expires_unix_s,
    };
}

/* hang_up: a client that has a connection sees that it is over. */
static void hang_up(struct worker *worker, const struct flow *flow)
{
    if (flow_is_stream(flow))
        stream_close(worker->streams, flow->link);
    else if (flow->transport == TRANSPORT_DTLS)
        dtls_close(worker->dtls, flow);
}

static void end(struct worker *worker, const struct allocation *allocation, const char *reason, msec_t now)
{
    struct verdict closing = {.kind = VERDICT_CLOSE, .by = "core"};
    const struct flow flow = allocation->flow, next = allocation->next ? *allocation->next : flow;
    view_copy(view_text(reason), closing.reason, sizeof closing.reason);
    engine_close(worker->engine, allocation->self, &closing, now);
    hang_up(worker, &flow);
    if (!flow_equal(&flow, &next))
        hang_up(worker, &next);
}

/* walk: true when all have been looked at. */
static bool walk(struct worker *worker, struct revoke_letter *letter, msec_t now)
{
    for (unsigned looked = 0; looked < REVOKE_TURN; looked++, letter->from++) {
        const struct allocation *allocation = engine_allocation_at(worker->engine, letter->from);
        if (!allocation)
            return true;
        letter->from = allocation->self.index;
        const struct bearer bearer = bearer_of(allocation);
        const struct revocation_mark *mark = revocations_match(letter->walk, &bearer, now + worker->unix_offset_ms);
        if (!mark)
            continue;
        letter->ended[mark->order]++;
        end(worker, allocation, mark->reason, now);
    }
    return false;
}

void worker_revoke(struct worker *worker, struct letter *letter)
{
    struct revoke_letter *read = (struct revoke_letter *)letter;
    worker->revoked = read->set;
    if (!read->walk || walk(worker, read, loop_now(worker->loop)))
        mail_post(read->back, letter);
    else
        worker_post(worker, letter); /* what has come meanwhile has its turn */
}
