/* worker_policy.c: a worker's policies: loaded at the start, exchanged while it runs. */
#include "server/worker_state.h"

#include "base/err.h"

#define RETIRED_MS 10000

static struct tenure *make(struct worker *worker, struct policy_edition *edition, char *reason, size_t reason_cap)
{
    const struct service *service = worker->service;
    struct policy_birth birth = {.config = &service->policy,
                                 .shared = service->policy_shared,
                                 .edition = edition,
                                 .old = worker->policy,
                                 .tallies = worker->tally ? worker->tally->hooks : NULL,
                                 .worker = worker->index,
                                 .now = clock_monotonic_ms(),
                                 .unix_ms = clock_unix_ms()};
    return tenure_new(worker, &birth, !worker->policy, reason, reason_cap);
}

int worker_policy_open(struct worker *worker, struct refusal *refusal)
{
    char reason[REFUSAL_MAX];
    if (!worker->service->policy_shared)
        return 0;
    worker->tenure = make(worker, worker->service->edition, reason, sizeof reason);
    if (!worker->tenure)
        return refuse(refusal, worker->service->config, "policy", "%s", reason);
    worker->policy = worker->tenure->policy;
    if (!worker->service->shadow.shared)
        return 0;
    worker->shadow = shadow_new(worker, reason, sizeof reason);
    return worker->shadow ? 0 : refuse(refusal, worker->service->config, "shadow", "%s", reason);
}

void worker_policy_close(struct worker *worker)
{
    for (struct tenure *each = worker->retired, *next; each; each = next) {
        next = each->next;
        tenure_free(each);
    }
    tenure_free(worker->prepared);
    tenure_free(worker->tenure);
    shadow_free(worker->shadow);
}

void worker_policy_state(const struct worker *worker, struct policy_letter *letter)
{
    letter->hooks = worker->policy ? policy_hooks(worker->policy) : 0;
    view_copy(view_text(worker->policy ? policy_revision(worker->policy) : ""), letter->revision, sizeof letter->revision);
}

static void answer(const struct worker *worker, struct policy_letter *letter)
{
    worker_policy_state(worker, letter);
    mail_post(letter->back, &letter->letter);
}

/* conclude: `init` of the new policy has run, or failed. */
static void conclude(struct worker *worker)
{
    struct policy_letter *letter = worker->preparing;
    const int status = worker->prepared ? policy_begun(worker->prepared->policy, letter->reason, sizeof letter->reason) : ERR_BAD;
    if (status == ERR_BUSY)
        return;
    letter->failed = status != 0;
    worker->preparing = NULL;
    answer(worker, letter);
}

void worker_policy_prepare(struct worker *worker, struct letter *letter)
{
    worker->preparing = (struct policy_letter *)letter;
    struct policy_letter *preparing = worker->preparing;
    if (!worker->shadow || shadow_prepare(worker, preparing->shadow, preparing->reason, sizeof preparing->reason) == 0)
        worker->prepared = make(worker, preparing->edition, preparing->reason, sizeof preparing->reason);
    conclude(worker);
}

/* retire: what the old policy began goes on in it: requests that wait for its hooks have their answer from it. */
static void retire(struct worker *worker, struct policy_letter *letter)
{
    struct tenure *old = worker->tenure;
    atomic_fetch_add_explicit(letter->retired, 1, memory_order_relaxed);
    worker->retirements = letter->retired;
    old->ends = loop_now(worker->loop) + RETIRED_MS;
    old->next = worker->retired;
    worker->retired = old;
}

/* Between two events: nothing of the old policy is on the stack. */
void worker_policy_commit(struct worker *worker, struct letter *letter)
{
    retire(worker, (struct policy_letter *)letter);
    worker->tenure = worker->prepared;
    worker->prepared = NULL;
    worker->policy = worker->tenure->policy;
    if (worker->shadow)
        shadow_commit(worker->shadow);
    engine_hooks(worker->engine, worker_hooks(worker));
    worker_policy_tick(worker, loop_now(worker->loop));
    answer(worker, (struct policy_letter *)letter);
}

void worker_policy_abort(struct worker *worker, struct letter *letter)
{
    tenure_free(worker->prepared);
    worker->prepared = NULL;
    if (worker->shadow)
        shadow_abort(worker->shadow);
    answer(worker, (struct policy_letter *)letter);
}

static void end_retired(struct worker *worker, msec_t now)
{
    for (struct tenure **at = &worker->retired, *each; (each = *at);) {
        if (policy_waits(each->policy) && now < each->ends) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        if (worker->tally)
            metric_part(worker, each->policy);
        tenure_free(each);
        atomic_fetch_sub_explicit(worker->retirements, 1, memory_order_release);
    }
}

void worker_policy_tick(struct worker *worker, msec_t now)
{
    if (worker->preparing)
        conclude(worker);
    if (worker->retired)
        end_retired(worker, now);
}
