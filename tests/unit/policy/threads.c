/* Two workers at once: shared tables, rate limits, meters and counters lose nothing. */
#include "stage.h"

#include <pthread.h>

#define WORKERS 2
#define ROUNDS 3000

struct worker {
    struct stage *stage;
    struct policy *policy;
    struct crypto *crypto;
    int granted, wrong;
    char error[256];
};

static const char *const script =
    "local S = relay.shared('s', {max_entries = 5000}) local L = relay.shared('l', {max_entries = 64, evict = 'lru'})\n"
    "local R = relay.ratelimit('r', {rate = 1, burst = 1000}) local M = relay.meter('m', {period = 'day'}) local C = "
    "relay.metric.counter('c')\n"
    "local G = relay.gate('g', {max = 1})\n"
    "local D = relay.data('d.json') local YES, n = relay.allow{user_quota = 1}, 0\n"
    "return {authorize = function(req)\n"
    "  n = n + 1 S:incr('total', 1, {ttl = false}) M:add('k', 2) C:add()\n"
    "  S:set('k' .. n % 100, 'value ' .. n, 5) L:set('k' .. n % 200, n, 5) S:get('k' .. (n + 7) % 100) L:get('k' .. n % 90)\n"
    "  local old = S:get('cas') or 0 if old == 0 then S:add('cas', 1, false) else S:cas('cas', old, old + 1, false) end\n"
    "  local place <close>, why = G:hold('k') assert(place or why == 'busy')\n"
    "  assert(D.tenants[1].name == 'acme')\n"
    "  if R:take('everybody') then return YES end\n"
    "end,\n"
    "channel = function() local place <close> = assert(G:hold('k')) relay.audit{total = S:get('total'), meter = M:get('k')} end}";

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    struct question question = stage_question(worker->stage, HOOK_authorize);
    for (int i = 0; i < ROUNDS; i++) {
        struct verdict verdict = {0};
        policy_ask(worker->policy, &question, &verdict);
        worker->granted += verdict.kind == VERDICT_ALLOW;
        worker->wrong += verdict.kind == VERDICT_FAIL;
        if (i % 50 == 0)
            policy_idle(worker->policy, question.now, question.unix_ms);
    }
    return NULL;
}

static void keep_count(void *ctx, const char *name, uint64_t value)
{
    (void)name;
    *(uint64_t *)ctx = value;
}

TEST(workers_share_and_lose_nothing)
{
    struct stage stage;
    struct worker workers[WORKERS] = {0};
    pthread_t threads[WORKERS];
    uint64_t counted = 0;
    stage_set(&stage);
    stage_file(&stage, "d.json", "{\"tenants\": [{\"name\": \"acme\"}]}");
    stage_add(&stage, "p.lua", script);
    CHECK(stage_load(&stage));
    for (unsigned i = 0; i < WORKERS; i++) {
        struct policy_world world = stage.world;
        workers[i] = (struct worker){.stage = &stage, .crypto = world.crypto = crypto_new()};
        workers[i].policy =
            policy_new(&stage.config, stage.shared, &world, i, 2000, 1700000001000, workers[i].error, sizeof workers[i].error);
        CHECK(workers[i].policy);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    int granted = 0, wrong = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        granted += workers[i].granted;
        wrong += workers[i].wrong;
        policy_free(workers[i].policy);
        crypto_free(workers[i].crypto);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(granted, 1000); /* of one burst, not one more */
    stage_ask(&stage, HOOK_channel);
    CHECK_TEXT(stage.audited, "{\"meter\":12000,\"total\":6000}");
    policy_metrics(stage.shared, keep_count, &counted);
    CHECK_INT(counted, WORKERS * ROUNDS);
    stage_clear(&stage);
}

static void *load_one(void *ctx)
{
    struct worker *worker = ctx;
    struct policy_world world = worker->stage->world;
    world.crypto = worker->crypto = crypto_new();
    worker->policy =
        policy_new(&worker->stage->config, worker->stage->shared, &world, 0, 2000, 1700000001000, worker->error, sizeof worker->error);
    return NULL;
}

TEST(workers_may_load_at_the_same_time)
{
    struct stage stage;
    struct worker workers[WORKERS] = {0};
    pthread_t threads[WORKERS];
    stage_set(&stage);
    stage_file(&stage, "d.json", "{\"tenants\": [{\"name\": \"acme\"}]}");
    stage_add(&stage, "p.lua", script);
    stage.shared = policy_shared_new(&stage.config);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].stage = &stage;
        CHECK(pthread_create(&threads[i], NULL, load_one, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        if (!workers[i].policy)
            test_failed("p.lua", 0, "%s", workers[i].error);
        policy_free(workers[i].policy);
        crypto_free(workers[i].crypto);
    }
    stage_clear(&stage);
}

TEST_LIST(RUN(workers_share_and_lose_nothing) RUN(workers_may_load_at_the_same_time))
