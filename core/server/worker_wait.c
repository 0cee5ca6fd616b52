/* worker_wait.c: what hooks wait for: time, and what they fetch; and what becomes of their answers. */
#include "server/worker_state.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

/* struct fetch: an exchange, and which policy it is for. */
struct fetch {
    struct worker *worker;
    struct policy *policy;
    struct handle handle;
    struct http_exchange *exchange;
};

/* While policies load, the worker's own loop does not turn: what init waits for has another. */
static struct loop *loop_of(const struct worker *worker)
{
    return worker->early ? worker->early : worker->loop;
}

static void on_due(void *owner)
{
    struct worker *worker = owner;
    const msec_t now = loop_now(worker->loop);
    if (worker->policy)
        policy_turn(worker->policy, now, now + worker->unix_offset_ms);
}

static void wake(void *ctx, msec_t due)
{
    struct worker *worker = ctx;
    struct loop *loop = loop_of(worker);
    const msec_t now = loop_now(loop);
    watch_after(&worker->due, loop, due > now ? due - now : 0, on_due, worker);
}

static msec_t turn(void *ctx, msec_t due)
{
    struct worker *worker = ctx;
    wake(worker, due);
    loop_turn(worker->early);
    return loop_now(worker->early);
}

static void on_fetched(void *owner, const struct http_response *response)
{
    struct fetch *fetch = owner;
    const struct worker *worker = fetch->worker;
    const msec_t now = loop_now(loop_of(worker));
    policy_fetched(fetch->policy, fetch->handle, response, now, now + worker->unix_offset_ms);
    free(fetch);
}

static int start_fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **transfer)
{
    struct worker *worker = ctx;
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return ERR_MEMORY;
    *fetch = (struct fetch){.worker = worker, .policy = policy, .handle = handle};
    const struct http_ending ending = {on_fetched, fetch};
    const int err = http_start(worker->http, request, &ending, &fetch->exchange);
    *transfer = fetch;
    if (err)
        free(fetch);
    return err;
}

static void cancel_fetch(void *ctx, void *transfer)
{
    struct fetch *fetch = transfer;
    (void)ctx;
    http_cancel(fetch->exchange);
    free(fetch);
}

/* The answer to a question whose hook has waited: as one that was given at once, from here on. */
static void answer(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct worker *worker = ctx;
    const msec_t now = loop_now(worker->loop);
    if (question->hook == HOOK_usage) {
        worker_take_usage_verdict(worker, question, verdict, now);
        return;
    }
    worker_default(worker, question, verdict);
    const struct send send = engine_resume(worker->engine, question->ticket, verdict, now);
    worker_deliver(worker, &send, false);
}

void worker_forget(void *ctx, struct ticket ticket)
{
    const struct worker *worker = ctx;
    if (worker->policy)
        policy_forget(worker->policy, ticket);
}

static struct http *new_http(const struct worker *worker, struct loop *loop)
{
    const struct config *config = worker->service->config;
    return http_new(loop, config->policy_http, config->policy_http_count);
}

int worker_load_policy(struct worker *worker, struct policy_world *world, char *reason, size_t reason_cap)
{
    const struct service *service = worker->service;
    snprintf(reason, reason_cap, "out of memory");
    world->answer = answer;
    world->wake = wake;
    world->turn = turn;
    world->fetch = start_fetch;
    world->cancel = cancel_fetch;
    worker->early = loop_new();
    worker->http = worker->early ? new_http(worker, worker->early) : NULL;
    if (worker->http)
        worker->policy = policy_new(&service->policy, service->policy_shared, world, worker->index, clock_monotonic_ms(), clock_unix_ms(),
                                    reason, reason_cap);
    watch_stop(&worker->due);
    http_free(worker->http);
    if (worker->early)
        loop_free(worker->early);
    worker->early = NULL;
    worker->http = worker->policy ? new_http(worker, worker->loop) : NULL;
    return worker->http ? 0 : ERR_BAD;
}
