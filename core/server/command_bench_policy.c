/* command_bench_policy.c: relay bench-policy: what asking costs, hook by hook. */
#include "server/rehearsal.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_CALLS 2000
#define CALLS 20000
#define NAME_LEN 32
#define TURN_CALLS 16 /* between two steps of the collector, as in a worker */

/* struct measure: of one hook. */
struct measure {
    int64_t ns[CALLS], garbage[CALLS];
    uint64_t instructions;
    struct verdict verdict;
    char name[NAME_LEN]; /* of the client */
};

/* vary: another client of another listener, whose name was never seen: nothing is remembered of it. */
static void vary(struct scene *scene, unsigned n, char name[NAME_LEN])
{
    snprintf(name, NAME_LEN, "user%u", n);
    scene->flow.listener = (uint16_t)n;
    scene->request.user = *scene->request.user ? name : "";
    if (scene->request.username.at)
        scene->request.username = view_text(name);
    scene->event.user = scene->allocation.user = name;
}

/* call: one asking, kept as the n-th; its garbage is what the heap has grown by: the collector stands while hooks run. */
static void call(struct rehearsal *rehearsal, const struct scene *scene, struct measure *measure, unsigned n)
{
    const size_t before = policy_heap_bytes(rehearsal->policy);
    const int64_t start = clock_monotonic_ns();
    rehearsal_ask(rehearsal, scene, &measure->verdict);
    measure->ns[n] = clock_monotonic_ns() - start;
    const size_t after = policy_heap_bytes(rehearsal->policy);
    measure->garbage[n] = after > before ? (int64_t)(after - before) : 0;
}

/* The calls that warm up are kept where the others will be. */
static void call_often(struct rehearsal *rehearsal, struct scene *scene, struct measure *measure)
{
    for (unsigned i = 0; i < WARM_CALLS + CALLS; i++) {
        vary(scene, i, measure->name);
        call(rehearsal, scene, measure, i < WARM_CALLS ? i : i - WARM_CALLS);
        if (i % TURN_CALLS == 0)
            policy_idle(rehearsal->policy, rehearsal->now, rehearsal->unix_ms);
    }
}

static void count_instructions(struct rehearsal *rehearsal, struct scene *scene, struct measure *measure)
{
    struct verdict ignored = {.kind = VERDICT_SILENT};
    vary(scene, WARM_CALLS + CALLS, measure->name);
    policy_count_instructions(rehearsal->policy, true);
    const uint64_t before = policy_instructions(rehearsal->policy);
    rehearsal_ask(rehearsal, scene, &ignored);
    measure->instructions = policy_instructions(rehearsal->policy) - before;
    policy_count_instructions(rehearsal->policy, false);
    crypto_wipe(ignored.keys, sizeof ignored.keys);
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static const struct column columns[] = {
    {"hook", COLUMN_TEXT, 12},           {"p50_ns", COLUMN_NUMBER, 8},         {"p99_ns", COLUMN_NUMBER, 8},
    {"instructions", COLUMN_NUMBER, 12}, {"garbage_bytes", COLUMN_NUMBER, 13}, {"heap_bytes", COLUMN_NUMBER, 10},
    {"answer", COLUMN_TEXT, 12},
};

static int measure_hook(struct rehearsal *rehearsal, enum hook hook, const char *name, struct list *list)
{
    struct scene scene;
    char error[128];
    struct measure *measure = calloc(1, sizeof *measure);
    const struct scene_plan plan = {.hook = hook, .now = rehearsal->now, .unix_ms = rehearsal->unix_ms};
    int err = measure ? scene_open(&scene, &plan, NULL, error, sizeof error) : ERR_MEMORY;
    if (!err) {
        call_often(rehearsal, &scene, measure);
        count_instructions(rehearsal, &scene, measure);
        qsort(measure->ns, CALLS, sizeof *measure->ns, compare);
        qsort(measure->garbage, CALLS, sizeof *measure->garbage, compare);
        list_row(list, (const struct cell[]){{.text = name},
                                             {.number = measure->ns[CALLS / 2]},
                                             {.number = measure->ns[CALLS * 99 / 100]},
                                             {.number = (int64_t)measure->instructions},
                                             {.number = measure->garbage[CALLS / 2]},
                                             {.number = (int64_t)policy_heap_bytes(rehearsal->policy)},
                                             {.text = policy_answer_name(measure->verdict.kind)}});
        crypto_wipe(measure->verdict.keys, sizeof measure->verdict.keys);
    }
    if (measure)
        scene_close(&scene);
    free(measure);
    return err == ERR_NOT_FOUND ? 0 : err;
}

static int measure_all(const struct command_line *line, struct rehearsal *rehearsal, uint32_t wanted)
{
    struct list list;
    int err = 0;
    const uint32_t hooks = policy_hooks(rehearsal->policy) & wanted;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    for (size_t i = 0; i < HOOK_COUNT && !err; i++)
        if (hooks & HOOK_BIT(i))
            err = measure_hook(rehearsal, (enum hook)i, policy_hook_name((enum hook)i), &list);
    list_end(&list);
    if (err)
        return command_fail(line, COMMAND_FAILED, "%s", err_text(err));
    return hooks ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "no policy has %s", wanted == UINT32_MAX ? "hooks" : "that hook");
}

/* is_file: the last word may be a hook. */
static bool is_file(const char *word)
{
    return strchr(word, '.') || strchr(word, '/');
}

int command_bench_policy(const struct command_line *line)
{
    struct rehearsal rehearsal;
    enum hook hook = HOOK_COUNT;
    const char *last = line->words[line->word_count - 1];
    const bool has_hook = line->word_count > 1 && !is_file(last);
    int code = has_hook ? rehearsal_hook(line, last, &hook) : 0;
    if (code)
        return code;
    const struct rehearsal_plan plan = {.files = (const char *const *)line->words, .file_count = line->word_count - has_hook};
    code = rehearsal_open(&rehearsal, line, &plan);
    if (!code && !rehearsal.policy)
        code = command_fail(line, COMMAND_FAILED, "%s", rehearsal.error);
    if (!code)
        code = measure_all(line, &rehearsal, has_hook ? HOOK_BIT(hook) : UINT32_MAX);
    rehearsal_close(&rehearsal);
    return code;
}
