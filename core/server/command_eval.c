/* command_eval.c: relay eval: one hook is asked, and what it decides is shown. */
#include "server/rehearsal.h"

#include "base/err.h"
#include "policy/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* struct cost: of one asking. */
struct cost {
    int64_t ns;
    uint64_t instructions;
};

/* struct printer: `name  value` in lines, or an object of JSON. */
struct printer {
    bool json, begun;
};

static void print_name(struct printer *printer, const char *name)
{
    if (printer->json)
        printf("%s\"%s\": ", printer->begun ? ", " : "{", name);
    else
        printf("%-16s ", name);
    printer->begun = true;
}

static void print_text(struct printer *printer, const char *name, const char *text)
{
    if (!*text)
        return;
    print_name(printer, name);
    if (printer->json)
        list_json_text(text);
    else
        puts(text);
}

static void print_number(struct printer *printer, const char *name, uint64_t number)
{
    if (!number)
        return;
    print_name(printer, name);
    printf("%" PRIu64 "%s", number, printer->json ? "" : "\n");
}

static void print_verdict(struct printer *printer, const struct verdict *verdict, const struct cost *cost)
{
    char text[ADDR_TEXT_MAX];
    struct fact fact;
    const char *name;
    for (size_t i = 0; (name = account_answer(verdict, i, &fact)) != NULL; i++)
        if (fact.kind == FACT_INTEGER)
            print_number(printer, name, (uint64_t)fact.integer);
        else if (fact.kind != FACT_NIL)
            print_text(printer, name, fact.kind == FACT_ADDRESS ? addr_format(fact.address, text) : (const char *)fact.text.at);
    print_number(printer, "ns", (uint64_t)cost->ns);
    print_number(printer, "instructions", cost->instructions);
    fputs(printer->json ? "}\n" : "", stdout);
}

/* ask: in a rehearsal of its own: 0, or the exit code, told. `counting` takes time: then *cost has the instructions, else the time. */
static int ask(const struct command_line *line, const struct scene *scene, bool counting, struct verdict *verdict, struct cost *cost)
{
    struct rehearsal rehearsal;
    struct log *log = counting ? NULL : log_new("stderr", LOG_DEBUG);
    const struct rehearsal_plan plan = {.files = (const char *const *)line->words, .file_count = line->word_count - 2, .log = log};
    int code = rehearsal_open(&rehearsal, line, &plan);
    if (!code && !rehearsal.policy)
        code = command_fail(line, COMMAND_FAILED, "%s", rehearsal.error);
    if (!code) {
        policy_count_instructions(rehearsal.policy, counting);
        const uint64_t before = policy_instructions(rehearsal.policy);
        const int64_t start = clock_monotonic_ns();
        rehearsal_ask(&rehearsal, scene, verdict);
        if (counting)
            cost->instructions = policy_instructions(rehearsal.policy) - before;
        else
            cost->ns = clock_monotonic_ns() - start;
    }
    rehearsal_close(&rehearsal);
    log_free(log);
    return code;
}

static int evaluate(const struct command_line *line, const struct scene *scene)
{
    struct printer printer = {.json = line->given & COMMAND_FLAG(JSON)};
    struct verdict verdict = {.kind = VERDICT_SILENT};
    struct cost cost = {0};
    int code = ask(line, scene, false, &verdict, &cost);
    struct verdict again = {.kind = VERDICT_SILENT};
    if (!code)
        code = ask(line, scene, true, &again, &cost);
    if (!code)
        print_verdict(&printer, &verdict, &cost);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
    crypto_wipe(again.keys, sizeof again.keys);
    return code ? code : verdict.kind == VERDICT_FAIL ? COMMAND_FAILED : COMMAND_DONE;
}

int command_eval(const struct command_line *line)
{
    char error[256];
    struct scene_plan plan = {.now = clock_monotonic_ms(), .unix_ms = clock_unix_ms()};
    struct scene scene;
    const char *name = line->words[line->word_count - 2], *json = line->words[line->word_count - 1];
    int code = rehearsal_hook(line, name, &plan.hook);
    if (code)
        return code;
    switch (scene_open_text(&scene, &plan, json, error, sizeof error)) {
        case 0:
            code = evaluate(line, &scene);
            break;
        case ERR_BAD:
            code = command_fail(line, COMMAND_MISUSED, "%s", error);
            break;
        default:
            code = command_fail(line, COMMAND_MISUSED, "%s is not asked about anything; relay check runs init", name);
    }
    scene_close(&scene);
    return code;
}
