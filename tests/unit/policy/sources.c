/* Files of policies that change while they are in use: relay.data, relay.secret. */
#include "stage.h"

#include "policy/source.h"

#include <malloc.h>
#include <pthread.h>

/* rewrite: as editors do it: a new file takes the place of the old one. */
static void rewrite(const struct stage *stage, const char *name, const char *text)
{
    char path[160], next[176];
    snprintf(path, sizeof path, "%s/%s", stage->directory, name);
    snprintf(next, sizeof next, "%s.new", path);
    FILE *file = fopen(next, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) || rename(next, path))
        test_failed(path, 0, "cannot be written");
}

/* look_twice: a file is read when it is the same at two looks. */
static void look_twice(const struct stage *stage)
{
    policy_shared_look(stage->shared, NULL);
    policy_shared_look(stage->shared, NULL);
}

static void turn(const struct stage *stage)
{
    policy_idle(stage->policy, 61000, 1700000060000);
}

static const char *says(struct stage *stage)
{
    stage->audited[0] = 0;
    if (stage_ask(stage, HOOK_authorize) != VERDICT_SILENT)
        return stage->verdict.reason;
    return stage->audited;
}

static const char *const tenants_script =
    "local D = relay.data('d.json') local T, L, N = D.tenants, D.list, D.tenants.acme.limits\n"
    "local ghost = D.ghost\n"
    "return {authorize = function() local n = 0 for _ in pairs(T) do n = n + 1 end\n"
    " relay.audit{v = table.concat({tostring(D.v), #L, n, tostring(T.acme and T.acme.name), tostring(N.n), tostring(D.ghost)}, ' ')} end}";

static void play_tenants(struct stage *stage)
{
    stage_set(stage);
    stage_file(stage, "d.json", "{\"v\": 1, \"list\": [1, 2], \"tenants\": {\"acme\": {\"name\": \"a\", \"limits\": {\"n\": 5}}}}");
    stage_add(stage, "p.lua", tenants_script);
    if (!stage_load(stage))
        test_failed("p.lua", 0, "%s", stage->error);
}

TEST(data_that_changes_is_seen_from_the_next_turn_on_and_kept_parts_follow)
{
    struct stage stage;
    play_tenants(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"1 2 1 a 5 nil\"}");
    rewrite(&stage, "d.json",
            "{\"v\": 2, \"list\": [7], \"tenants\": {\"acme\": {\"name\": \"b\", \"limits\": {\"n\": 6}}, \"x\": {}}, \"ghost\": 1}");
    policy_shared_look(stage.shared, NULL);
    turn(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"1 2 1 a 5 nil\"}"); /* it may still be written */
    policy_shared_look(stage.shared, NULL);
    CHECK_TEXT(says(&stage), "{\"v\":\"1 2 1 a 5 nil\"}"); /* not before a turn */
    turn(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"2 1 2 b 6 1\"}");
    rewrite(&stage, "d.json", "{\"v\": 3, \"list\": {}, \"tenants\": {}}");
    look_twice(&stage);
    turn(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"3 0 0 nil nil nil\"}"); /* what a kept part stood for is gone */
    stage_clear(&stage);
}

TEST(a_bad_file_changes_nothing_and_a_good_one_heals)
{
    static const char *const bad[] = {"{\"v\": ", "", "5", "{\"v\": 2, \"v\": 3}"};
    struct stage stage;
    play_tenants(&stage);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rewrite(&stage, "d.json", bad[i]);
        look_twice(&stage);
        turn(&stage);
        CHECK_TEXT(says(&stage), "{\"v\":\"1 2 1 a 5 nil\"}");
    }
    unlink(stage.paths[0]);
    look_twice(&stage);
    turn(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"1 2 1 a 5 nil\"}");
    rewrite(&stage, "d.json", "{\"v\": 4, \"list\": [], \"tenants\": {}}");
    look_twice(&stage);
    turn(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"4 0 0 nil nil nil\"}");
    stage_clear(&stage);
}

TEST(a_secret_rotates_without_a_restart)
{
    struct stage stage;
    stage_set(&stage);
    const struct policy_secret secret = {"s", stage_file(&stage, "secret", "Jefe\n")};
    stage.config.secrets = &secret;
    stage.config.secret_count = 1;
    stage_add(&stage, "p.lua",
              "local S = relay.secret('s')\n"
              "return {authorize = function() relay.audit{v = table.concat(S:hmac_b64('sha1', 'what do ya want for nothing?'), ' ')} end}");
    CHECK(stage_load(&stage));
    CHECK_TEXT(says(&stage), "{\"v\":\"7/zfauXrL6LSdBbV8YTfnCWafHk=\"}");
    rewrite(&stage, "secret", "new\nJefe\n");
    look_twice(&stage);
    turn(&stage);
    HAS(says(&stage), " 7/zfauXrL6LSdBbV8YTfnCWafHk=\"}");
    rewrite(&stage, "secret", "\n");
    look_twice(&stage);
    turn(&stage);
    HAS(says(&stage), " 7/zfauXrL6LSdBbV8YTfnCWafHk=\"}");
    stage_clear(&stage);
}

static size_t heap_used(void)
{
    return mallinfo2().uordblks;
}

TEST(a_hundred_swaps_leave_memory_as_it_was)
{
    struct stage stage;
    char text[160];
    size_t before = 0;
    play_tenants(&stage);
    for (int i = 0; i < 120; i++) {
        snprintf(text, sizeof text, "{\"v\": %d, \"list\": [%d, 2], \"tenants\": {\"acme\": {\"name\": \"a\", \"limits\": {\"n\": 5}}}}", 100 + i,
                 i);
        rewrite(&stage, "d.json", text);
        look_twice(&stage);
        turn(&stage);
        CHECK(says(&stage)[0] == '{');
        if (i == 19)
            before = heap_used();
    }
    turn(&stage);
    policy_shared_look(stage.shared, NULL);
    const size_t after = heap_used();
    if (after > before + 4096) /* a leak of one content each would be 60 kB */
        test_failed(__FILE__, __LINE__, "%zu bytes more", after - before);
    stage_clear(&stage);
}

/* ---- the mechanism alone ---- */

#define READERS 2
#define SWAPS 2000

struct number {
    uint64_t value, check;
};

static _Atomic uint64_t next_number, numbers_alive;

static void *read_number(const char *path, char *error, size_t error_cap)
{
    struct number *number = malloc(sizeof *number);
    (void)path;
    (void)error;
    (void)error_cap;
    number->value = ++next_number;
    number->check = ~number->value;
    numbers_alive++;
    return number;
}

static void free_number(void *content)
{
    memset(content, 0, sizeof(struct number));
    free(content);
    numbers_alive--;
}

static const struct source_kind number_kind = {read_number, free_number};

struct reading {
    struct sources *sources;
    struct source *source;
    _Atomic bool *done;
    uint64_t turns, wrong;
};

static void *keep_reading(void *ctx)
{
    struct reading *reading = ctx;
    struct source_reader reader = {0};
    source_join(reading->sources, &reader);
    while (!*reading->done) {
        const struct number *first = source_content(reading->source, &reader, NULL);
        for (int i = 0; i < 100; i++) { /* a hook looks at one content, however long it takes */
            const struct number *again = source_content(reading->source, &reader, NULL);
            reading->wrong += again != first || again->check != ~again->value;
        }
        source_turn(reading->sources, &reader);
        reading->turns++;
    }
    source_leave(reading->sources, &reader);
    return NULL;
}

TEST(readers_of_a_file_that_is_swapped_all_the_time_see_one_whole_content_between_turns)
{
    struct stage stage;
    char error[64], text[32];
    _Atomic bool done = false;
    stage_set(&stage);
    const char *path = stage_file(&stage, "n", "0");
    struct sources *sources = sources_new();
    struct source *source = source_open(sources, &number_kind, path, error, sizeof error);
    struct reading readings[READERS];
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        readings[i] = (struct reading){.sources = sources, .source = source, .done = &done};
        CHECK(pthread_create(&threads[i], NULL, keep_reading, &readings[i]) == 0);
    }
    for (int i = 0; i < SWAPS; i++) {
        snprintf(text, sizeof text, "%*d", i % 20 + 1, i);
        rewrite(&stage, "n", text);
        sources_look(sources, NULL);
        sources_look(sources, NULL);
    }
    done = true;
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(readings[i].wrong, 0);
        CHECK(readings[i].turns > 0);
    }
    CHECK_INT(next_number, SWAPS + 1);
    sources_look(sources, NULL);
    CHECK_INT(numbers_alive, 1);
    sources_free(sources);
    CHECK_INT(numbers_alive, 0);
    stage_clear(&stage);
}

TEST_LIST(RUN(data_that_changes_is_seen_from_the_next_turn_on_and_kept_parts_follow) RUN(a_bad_file_changes_nothing_and_a_good_one_heals)
              RUN(a_secret_rotates_without_a_restart) RUN(a_hundred_swaps_leave_memory_as_it_was)
                  RUN(readers_of_a_file_that_is_swapped_all_the_time_see_one_whole_content_between_turns))
