/* shadow.c: a chain whose answers are compared and dropped. */
#include "server/shadow.h"

#include "base/err.h"
#include "policy/recorded.h"
#include "server/worker_state.h"

#include <stdlib.h>

#define LINES 100 /* of the log, a second */
#define REST_MS 1000
#define WORDS_MAX 1024

/* ---- what all share ---- */

/* take_params: what is said for the policies counts here too, where there is such a parameter; what is said for the shadow counts more. */
static int take_params(struct shadow_kit *kit, const struct config *config)
{
    const size_t count = config->param_count + config->shadow_param_count;
    kit->params = calloc(count + 1, sizeof *kit->params);
    if (!kit->params)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        kit->params[i] = i < config->param_count ? config->params[i] : config->shadow_params[i - config->param_count];
    kit->config.params_optional = config->param_count;
    kit->config.params = kit->params;
    kit->config.param_count = count;
    return 0;
}

int shadow_kit_open(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    struct shadow_kit *kit = &service->shadow;
    char reason[REFUSAL_MAX];
    if (!config->shadow_count)
        return 0;
    kit->config = service->policy;
    kit->config.files = config->shadows;
    kit->config.file_count = config->shadow_count;
    kit->config.measures = false;
    if (take_params(kit, config) != 0)
        return ERR_MEMORY;
    kit->edition = policy_edition_new(&kit->config, reason, sizeof reason);
    if (!kit->edition)
        return refuse(refusal, config, "shadow", "%s", reason);
    kit->shared = policy_shared_new(&kit->config);
    return kit->shared ? 0 : ERR_MEMORY;
}

void shadow_kit_close(struct shadow_kit *kit)
{
    policy_edition_free(kit->edition);
    policy_shared_free(kit->shared);
    free(kit->params);
}

/* ---- a worker's ---- */

static void audit(void *ctx, const char *type, const char *detail_json)
{
    (void)ctx, (void)type, (void)detail_json;
}

/* make: it can wait for nothing, and log nowhere. */
static struct tenure *make(struct worker *worker, struct policy_edition *edition, struct policy *old, char *reason, size_t reason_cap)
{
    const struct shadow_kit *kit = &worker->service->shadow;
    struct tenure *tenure = calloc(1, sizeof *tenure);
    view_copy(view_text("out of memory"), reason, reason_cap);
    if (!tenure)
        return NULL;
    tenure->worker = worker;
    const struct policy_world world = {.ctx = tenure, .crypto = worker->crypto, .count = worker_count, .audit = audit};
    const struct policy_birth birth = {.config = &kit->config,
                                       .shared = kit->shared,
                                       .edition = edition,
                                       .world = &world,
                                       .old = old,
                                       .worker = worker->index,
                                       .now = clock_monotonic_ms(),
                                       .unix_ms = clock_unix_ms()};
    tenure->policy = policy_make(&birth, reason, reason_cap);
    if (tenure->policy)
        return tenure;
    tenure_free(tenure);
    return NULL;
}

struct shadow *shadow_new(struct worker *worker, char *reason, size_t reason_cap)
{
    struct shadow *shadow = calloc(1, sizeof *shadow);
    view_copy(view_text("out of memory"), reason, reason_cap);
    if (!shadow)
        return NULL;
    shadow->log = worker->service->log;
    shadow->tenure = make(worker, worker->service->shadow.edition, NULL, reason, reason_cap);
    if (shadow->tenure)
        return shadow;
    free(shadow);
    return NULL;
}

void shadow_free(struct shadow *shadow)
{
    if (!shadow)
        return;
    shadow_abort(shadow);
    tenure_free(shadow->tenure);
    crypto_wipe(shadow->verdict.keys, sizeof shadow->verdict.keys);
    free(shadow);
}

int shadow_prepare(struct worker *worker, struct policy_edition *edition, char *reason, size_t reason_cap)
{
    struct shadow *shadow = worker->shadow;
    shadow->prepared = make(worker, edition, shadow->tenure->policy, reason, reason_cap);
    return shadow->prepared ? 0 : ERR_BAD;
}

void shadow_commit(struct shadow *shadow)
{
    tenure_free(shadow->tenure);
    shadow->tenure = shadow->prepared;
    shadow->prepared = NULL;
    shadow->rests_until = 0;
}

void shadow_abort(struct shadow *shadow)
{
    tenure_free(shadow->prepared);
    shadow->prepared = NULL;
}

uint32_t shadow_hooks(const struct shadow *shadow)
{
    return policy_hooks(shadow->tenure->policy);
}

/* ---- asking ---- */

static uint64_t stops(const struct shadow *shadow)
{
    const struct policy_counts *counts = policy_counts(shadow->tenure->policy);
    return counts->killed_instructions + counts->killed_wall + counts->memory;
}

static void put_words(const struct verdict *verdict, char out[WORDS_MAX])
{
    char text[WORDS_MAX / 2];
    struct slab words = slab_over(text, sizeof text);
    recorded_put_verdict(&words, verdict);
    for (size_t i = 0; i < words.len; i++)
        if (text[i] == '"')
            text[i] = '\''; /* others are escaped */
    log_quote(slab_view(&words), out, WORDS_MAX);
}

/* say: counted are all. */
static void say(struct shadow *shadow, const struct question *question, const struct verdict *said)
{
    char decided[WORDS_MAX], other[WORDS_MAX];
    if (!bucket_take(&shadow->lines, UINT64_C(8) * LINES, 1, question->now))
        return;
    put_words(said, decided);
    put_words(&shadow->verdict, other);
    log_say(shadow->log, LOG_INFO, "shadow_differs", "decision=%llu hook=%s decided=%s by=%s shadow=%s shadow_by=%s",
            (unsigned long long)question->decision, policy_hook_name(question->hook), decided, *said->by ? said->by : "core", other,
            *shadow->verdict.by ? shadow->verdict.by : "nobody");
}

/* ask: unless it rests. */
static void ask(struct shadow *shadow, const struct question *question)
{
    const uint64_t before = stops(shadow);
    struct question asked = *question;
    asked.ticket = (struct ticket){0};
    shadow->verdict = (struct verdict){.kind = VERDICT_LATER};
    if (question->now < shadow->rests_until)
        return;
    policy_ask(shadow->tenure->policy, &asked, &shadow->verdict);
    if (stops(shadow) != before)
        shadow->rests_until = question->now + REST_MS;
}

const struct verdict *shadow_ask(struct shadow *shadow, const struct question *question, const struct verdict *said)
{
    ask(shadow, question);
    const enum shadow_result result = shadow->verdict.kind == VERDICT_LATER        ? SHADOW_UNDECIDED
                                      : policy_answer_same(said, &shadow->verdict) ? SHADOW_SAME
                                                                                   : SHADOW_DIFFERS;
    shadow->counts[question->hook][result]++;
    if (result == SHADOW_DIFFERS)
        say(shadow, question, said);
    return result == SHADOW_SAME ? NULL : &shadow->verdict;
}

void shadow_tell(struct shadow *shadow, const struct event *event)
{
    const uint64_t before = stops(shadow);
    if (event->now < shadow->rests_until)
        return;
    policy_tell(shadow->tenure->policy, event);
    if (stops(shadow) != before)
        shadow->rests_until = event->now + REST_MS;
}

void shadow_idle(struct shadow *shadow, msec_t now, int64_t unix_ms)
{
    policy_idle(shadow->tenure->policy, now, unix_ms);
}
