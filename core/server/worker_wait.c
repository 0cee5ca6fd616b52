/* worker_wait.c: hooks that wait: for time, and what becomes of their answers. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static void on_due(void *owner)
{
    struct tenure *tenure = owner;
    const msec_t now = loop_now(tenure->loop);
    if (tenure->policy)
        policy_turn(tenure->policy, now, now + tenure->worker->unix_offset_ms);
}

static void wake(void *ctx, msec_t due)
{
    struct tenure *tenure = ctx;
    const msec_t now = loop_now(tenure->loop);
    watch_after(&tenure->due, tenure->loop, due > now ? due - now : 0, on_due, tenure);
}

static msec_t turn(void *ctx, msec_t due)
{
    struct tenure *tenure = ctx;
    wake(tenure, due);
    loop_turn(tenure->loop);
    return loop_now(tenure->loop);
}

/* The answer to a question whose hook has waited: as one that was given at once, from here on. */
static void answer(void *ctx, const struct question *question, struct verdict *verdict)
{
    const struct tenure *tenure = ctx;
    struct worker *worker = tenure->worker;
    const msec_t now = loop_now(worker->loop);
    worker_settle(worker, tenure->policy, question, verdict);
    if (question->hook == HOOK_usage) {
        worker_take_usage_verdict(worker, question, verdict, now);
        return;
    }
    const struct send send = engine_resume(worker->engine, question->ticket, verdict, now);
    worker_deliver(worker, &send, false);
}

/* A request is one policy's; to the others the ticket is unknown. */
void worker_forget(void *ctx, struct ticket ticket)
{
    const struct worker *worker = ctx;
    if (worker->policy)
        policy_forget(worker->policy, ticket);
    for (const struct tenure *each = worker->retired; each; each = each->next)
        policy_forget(each->policy, ticket);
}

uint32_t worker_count(void *ctx, const char *kind, const char *tenant, const char *user)
{
    const struct worker *worker = ((struct tenure *)ctx)->worker;
    const struct quota *quota = worker->service->ledger.quota;
    switch (kind[0]) {
        case 'u':
            return quota_user(quota, view_text(tenant), view_text(user));
        case 'r':
            return quota_realm(quota, view_text(tenant));
        default:
            return quota_total(quota);
    }
}

/* use_loop: what the policy waits for, it waits for on this one from now on. */
static int use_loop(struct tenure *tenure, struct loop *loop)
{
    watch_stop(&tenure->due);
    return errands_open(tenure, loop);
}

/* make: in a loop that turns while `init` waits, or else the worker's. */
static int make(struct tenure *tenure, struct policy_birth *birth, struct loop *early, char *reason, size_t reason_cap)
{
    struct worker *worker = tenure->worker;
    const struct policy_world world = {
        .ctx = tenure,
        .log = worker->service->log,
        .crypto = worker->crypto,
        .count = worker_count,
        .audit = worker_audit,
        .answer = answer,
        .wake = wake,
        .turn = early ? turn : NULL,
        .fetch = errand_fetch,
        .query = errand_query,
        .resolve = errand_resolve,
        .recall = errand_recall,
        .cancel = errand_cancel,
    };
    birth->world = &world;
    if (use_loop(tenure, early ? early : worker->loop) != 0)
        return ERR_MEMORY;
    tenure->policy = policy_make(birth, reason, reason_cap);
    if (!tenure->policy)
        return ERR_BAD;
    return early ? use_loop(tenure, worker->loop) : 0;
}

struct tenure *tenure_new(struct worker *worker, struct policy_birth *birth, bool early, char *reason, size_t reason_cap)
{
    struct tenure *tenure = calloc(1, sizeof *tenure);
    struct loop *loop = early ? loop_new() : NULL;
    snprintf(reason, reason_cap, "out of memory");
    if (tenure)
        tenure->worker = worker;
    const bool made = tenure && (loop || !early) && make(tenure, birth, loop, reason, reason_cap) == 0;
    if (!made) {
        tenure_free(tenure);
        tenure = NULL;
    }
    if (loop)
        loop_free(loop);
    return tenure;
}

void tenure_free(struct tenure *tenure)
{
    if (!tenure)
        return;
    policy_free(tenure->policy);
    watch_stop(&tenure->due);
    errands_close(tenure);
    free(tenure);
}
