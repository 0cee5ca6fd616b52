/* rehearsal.c: a world without clients, network and time of its own. */
#include "server/rehearsal.h"

#include "server/config.h"

#include "base/err.h"
#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_MS 500       /* as a worker */
#define PASS_MS 86400000 /* of a longer time the end passes */

/* ---- the world ---- */

static uint32_t count(void *ctx, const char *kind, const char *tenant, const char *user)
{
    struct rehearsal *rehearsal = ctx;
    (void)kind, (void)tenant, (void)user;
    rehearsal->missed = "it counted allocations";
    return 0;
}

static void audit(void *ctx, const char *type, const char *detail_json)
{
    const struct rehearsal *rehearsal = ctx;
    log_say(rehearsal->world.log, LOG_INFO, "audit", "type=%s detail=%s", type, detail_json);
}

static void answer(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct rehearsal *rehearsal = ctx;
    (void)question;
    if (rehearsal->answer)
        *rehearsal->answer = *verdict;
    rehearsal->answer = NULL;
}

static void wake(void *ctx, msec_t due)
{
    (void)ctx, (void)due; /* who asks turns until nothing waits */
}

/* put_off: it fails when time would pass. */
static int put_off(struct rehearsal *rehearsal, struct policy *policy, struct handle handle, rehearsal_fail_fn *fail)
{
    if (rehearsal->errand_count == REHEARSAL_ERRANDS)
        return ERR_BUSY;
    rehearsal->errands[rehearsal->errand_count++] = (struct rehearsal_errand){policy, handle, fail};
    return 0;
}

static void fail_fetch(const struct rehearsal *rehearsal, const struct rehearsal_errand *errand)
{
    static const struct http_response response = {.error = "connect"};
    policy_fetched(errand->policy, errand->handle, &response, rehearsal->now, rehearsal->unix_ms);
}

static int fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **errand)
{
    struct rehearsal *rehearsal = ctx;
    *errand = NULL;
    rehearsal->missed = "it asked over HTTP";
    log_say(rehearsal->world.log, LOG_WARNING, "not_fetched", "method=%s url=%s", request->method, request->url);
    return put_off(rehearsal, policy, handle, fail_fetch);
}

static void fail_query(const struct rehearsal *rehearsal, const struct rehearsal_errand *errand)
{
    static const struct rows rows = {.error = "failed"};
    policy_queried(errand->policy, errand->handle, &rows, rehearsal->now, rehearsal->unix_ms);
}

static int query(void *ctx, struct policy *policy, struct handle handle, const struct query *query, void **errand)
{
    struct rehearsal *rehearsal = ctx;
    *errand = NULL;
    rehearsal->missed = "it asked the database";
    if (query->is_user)
        return ERR_NOT_FOUND;
    log_say(rehearsal->world.log, LOG_WARNING, "not_queried", "parameters=%zu", query->datum_count);
    return put_off(rehearsal, policy, handle, fail_query);
}

static void fail_lookup(const struct rehearsal *rehearsal, const struct rehearsal_errand *errand)
{
    static const struct dns_answer answer = {.error = "failed"};
    policy_resolved(errand->policy, errand->handle, &answer, rehearsal->now, rehearsal->unix_ms);
}

static int resolve(void *ctx, struct policy *policy, struct handle handle, const struct dns_question *question, void **errand)
{
    struct rehearsal *rehearsal = ctx;
    *errand = NULL;
    rehearsal->missed = "it asked DNS";
    log_say(rehearsal->world.log, LOG_WARNING, "not_resolved", "name=%s", question->name);
    return put_off(rehearsal, policy, handle, fail_lookup);
}

static void cancel(void *ctx, void *errand)
{
    (void)ctx, (void)errand; /* its handle is stale from now on */
}

/* turn: what was to be done outside has failed; else time passes. */
static msec_t turn(void *ctx, msec_t due)
{
    struct rehearsal *rehearsal = ctx;
    if (rehearsal->errand_count) {
        const struct rehearsal_errand errand = rehearsal->errands[--rehearsal->errand_count];
        errand.fail(rehearsal, &errand);
    } else if (due != POLICY_NEVER && due > rehearsal->now) {
        rehearsal->unix_ms += due - rehearsal->now;
        rehearsal->now = due;
    }
    return rehearsal->now;
}

/* ---- what the command line says ---- */

/* split: "a=b" as two texts; false: it is none. */
static bool split(struct rehearsal *rehearsal, const char *text, const char **name, const char **rest)
{
    const char *equals = strchr(text, '=');
    char *kept = equals && equals > text && equals[1] ? strndup(text, (size_t)(equals - text)) : NULL;
    if (!kept)
        return false;
    rehearsal->texts[rehearsal->text_count++] = kept;
    *name = kept;
    *rest = equals + 1;
    return true;
}

static int read_line(struct rehearsal *rehearsal, const struct command_line *line)
{
    struct policy_config *config = &rehearsal->config;
    for (size_t i = 0; i < line->sets.count; i++) {
        struct policy_param *param = &rehearsal->params[config->param_count++];
        param->where = "command line";
        if (!split(rehearsal, line->sets.at[i], &param->name, &param->value))
            return command_fail(line, COMMAND_MISUSED, "--set: POLICY.NAME=VALUE expected, got %s", line->sets.at[i]);
    }
    for (size_t i = 0; i < line->secrets.count; i++) {
        struct policy_secret *secret = &rehearsal->secrets[config->secret_count++];
        if (!split(rehearsal, line->secrets.at[i], &secret->name, &secret->path))
            return command_fail(line, COMMAND_MISUSED, "--secret: NAME=FILE expected, got %s", line->secrets.at[i]);
    }
    config->params = rehearsal->params;
    config->secrets = rehearsal->secrets;
    return 0;
}

int rehearsal_open(struct rehearsal *rehearsal, const struct command_line *line, const struct rehearsal_plan *plan)
{
    *rehearsal = (struct rehearsal){.now = plan->unix_ms ? plan->unix_ms : clock_monotonic_ms(),
                                    .unix_ms = plan->unix_ms ? plan->unix_ms : clock_unix_ms()};
    config_lua_dir(rehearsal->lua_dir);
    rehearsal->config = (struct policy_config){.files = plan->files,
                                               .file_count = plan->file_count,
                                               .lua_dir = line->lua_dir ? line->lua_dir : rehearsal->lua_dir,
                                               .workers = 1};
    crypto_random(&rehearsal->config.hash_key, sizeof rehearsal->config.hash_key);
    rehearsal->world = (struct policy_world){.ctx = rehearsal,
                                             .log = plan->log,
                                             .crypto = crypto_new(),
                                             .count = count,
                                             .audit = audit,
                                             .answer = answer,
                                             .wake = wake,
                                             .turn = turn,
                                             .fetch = fetch,
                                             .query = query,
                                             .resolve = resolve,
                                             .cancel = cancel};
    const int code = read_line(rehearsal, line);
    if (code)
        return code;
    rehearsal->shared = policy_shared_new(&rehearsal->config);
    if (!rehearsal->world.crypto || !rehearsal->shared)
        return command_fail(line, COMMAND_FAILED, "not enough memory");
    rehearsal->policy = policy_new(&rehearsal->config, rehearsal->shared, &rehearsal->world, 0, rehearsal->now, rehearsal->unix_ms,
                                   rehearsal->error, sizeof rehearsal->error);
    return 0;
}

void rehearsal_close(struct rehearsal *rehearsal)
{
    policy_free(rehearsal->policy);
    policy_shared_free(rehearsal->shared);
    crypto_free(rehearsal->world.crypto);
    for (size_t i = 0; i < rehearsal->text_count; i++)
        free(rehearsal->texts[i]);
}

struct policy *rehearsal_bare(struct rehearsal *rehearsal)
{
    char error[128];
    struct policy_config *bare = &rehearsal->bare;
    *bare = (struct policy_config){.workers = 1};
    return policy_new(bare, rehearsal->shared, &rehearsal->world, 0, rehearsal->now, rehearsal->unix_ms, error, sizeof error);
}

int rehearsal_hook(const struct command_line *line, const char *name, enum hook *hook)
{
    const char *names[HOOK_COUNT];
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        names[i] = policy_hook_name((enum hook)i);
        if (strcmp(names[i], name) != 0)
            continue;
        *hook = (enum hook)i;
        return 0;
    }
    const char *best = nearest(name, names, HOOK_COUNT);
    return command_fail(line, COMMAND_MISUSED, "%s: no such hook%s%s%s", name, best ? ": did you mean " : "", best ? best : "",
                        best ? "?" : "");
}

/* wait_once: something that waits goes on. */
static void wait_once(struct rehearsal *rehearsal)
{
    const msec_t now = turn(rehearsal, policy_due(rehearsal->policy));
    policy_turn(rehearsal->policy, now, rehearsal->unix_ms);
}

static void tell(struct rehearsal *rehearsal, const struct scene *scene, struct verdict *verdict)
{
    const struct policy_counts *counts = policy_counts(rehearsal->policy), before = *counts;
    policy_tell(rehearsal->policy, &scene->event);
    while (policy_waits(rehearsal->policy))
        wait_once(rehearsal);
    const bool failed = counts->errors + counts->killed_instructions + counts->killed_wall + counts->memory + counts->late >
                        before.errors + before.killed_instructions + before.killed_wall + before.memory + before.late;
    *verdict = (struct verdict){.kind = failed ? VERDICT_FAIL : VERDICT_SILENT};
}

void rehearsal_ask(struct rehearsal *rehearsal, const struct scene *scene, struct verdict *verdict)
{
    struct question question = scene->question;
    rehearsal->now = question.now;
    rehearsal->unix_ms = question.unix_ms;
    if (question.hook == HOOK_log) {
        tell(rehearsal, scene, verdict);
        return;
    }
    question.ticket.parked.generation = 1; /* it may wait */
    rehearsal->answer = verdict;
    policy_ask(rehearsal->policy, &question, verdict);
    while (verdict->kind == VERDICT_LATER && policy_waits(rehearsal->policy))
        wait_once(rehearsal);
    rehearsal->answer = NULL;
}

void rehearsal_pass(struct rehearsal *rehearsal, msec_t now)
{
    const int64_t offset = rehearsal->unix_ms - rehearsal->now;
    if (now - rehearsal->now > PASS_MS)
        rehearsal->now = now - PASS_MS;
    while (rehearsal->now < now) {
        rehearsal->now = now - rehearsal->now > IDLE_MS ? rehearsal->now + IDLE_MS : now;
        rehearsal->unix_ms = rehearsal->now + offset;
        policy_turn(rehearsal->policy, rehearsal->now, rehearsal->unix_ms);
        policy_idle(rehearsal->policy, rehearsal->now, rehearsal->unix_ms);
        while (rehearsal->errand_count)
            turn(rehearsal, POLICY_NEVER);
    }
}
