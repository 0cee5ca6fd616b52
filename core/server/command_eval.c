/* command_eval.c: relay eval: one hook is asked, and what it decides is shown. */
#include "server/rehearsal.h"

#include "base/err.h"

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

static void print_limits(struct printer *printer, const struct limits *limits)
{
    print_number(printer, "total_quota", limits->total_quota);
    print_number(printer, "realm_quota", limits->realm_quota);
    print_number(printer, "user_quota", limits->user_quota);
    print_number(printer, "max_lifetime", limits->max_lifetime_s);
    print_number(printer, "max_bps", limits->max_bps);
    print_number(printer, "max_permissions", limits->max_permissions);
    print_number(printer, "max_channels", limits->max_channels);
    print_text(printer, "permission_acl", limits->acl ? "set" : "");
    print_text(printer, "tags", limits->tags);
}

static void print_servers(struct printer *printer, const struct alternate *alternate)
{
    static const char *const names[] = {"server", "other_server"};
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        print_text(printer, names[i], alternate->servers[i].family ? addr_format(&alternate->servers[i], text) : "");
    print_text(printer, "domain", alternate->domain);
}

/* Keys are never shown: how many they are. */
static void print_verdict(struct printer *printer, const struct verdict *verdict, const struct cost *cost)
{
    const bool is_key = verdict->kind == VERDICT_KEY;
    print_text(printer, "decision", policy_answer_name(verdict->kind));
    print_number(printer, "code", verdict->code > 0 ? (uint64_t)verdict->code : 0);
    print_text(printer, "reason", verdict->reason);
    print_text(printer, "by", verdict->by);
    print_text(printer, "tenant", verdict->tenant);
    print_text(printer, "user", verdict->user);
    print_text(printer, "realm", verdict->realm);
    print_number(printer, "keys", is_key ? verdict->key_count : 0);
    print_number(printer, "expires", verdict->expires_unix_s > 0 ? (uint64_t)verdict->expires_unix_s : 0);
    print_text(printer, "on_expiry", verdict->reauth_on_expiry ? "reauth" : "");
    print_servers(printer, &verdict->alternate);
    print_limits(printer, &verdict->limits);
    print_number(printer, "ns", (uint64_t)cost->ns);
    print_number(printer, "instructions", cost->instructions);
    fputs(printer->json ? "}\n" : "", stdout);
}

/* ask: in a rehearsal of its own: 0, or the exit code, told. `counting` takes time: then *cost has the instructions, else the time. */
static int ask(const struct command_line *line, const struct scene *scene, bool counting, struct verdict *verdict, struct cost *cost)
{
    struct rehearsal rehearsal;
    struct log *log = counting ? NULL : log_new("stderr", LOG_DEBUG);
    int code = rehearsal_open(&rehearsal, line, line->word_count - 2, log);
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
    struct printer printer = {.json = line->given & COMMAND_FLAG_JSON};
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
    enum hook hook;
    struct scene scene;
    const char *name = line->words[line->word_count - 2], *json = line->words[line->word_count - 1];
    int code = rehearsal_hook(line, name, &hook);
    if (code)
        return code;
    switch (scene_open(&scene, hook, clock_monotonic_ms(), clock_unix_ms(), json, error, sizeof error)) {
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
