/* command_probe.c: relay test turn:...: a TURN server from the outside, and what our own says of what it refused. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/clock.h"
#include "client/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAME_S 5
#define BULK_S 3
#define SECONDS_MAX 60
#define OF_SPECS (COMMAND_FLAG(LIVE) | COMMAND_FLAG(FILTER) | COMMAND_FLAG(COVERAGE) | COMMAND_FLAG(COVERAGE_MIN) | COMMAND_FLAG(JUNIT) | COMMAND_FLAG(FORMAT) | COMMAND_FLAG(LUA_DIR))

struct probing {
    const struct command_line *line;
    struct probe_config config;
    bool json;
    json_t *results;
};

static const char *const marks[] = {[PROBE_WORKS] = "works", [PROBE_FAILS] = "FAILS", [PROBE_DOUBTFUL] = "doubtful"};

/* ---- for people ---- */

static void print_step(void *ctx, const struct probe_step *step)
{
    const struct probing *probing = ctx;
    if (probing->json)
        return;
    printf("  %-11s %-8s  %s", step->name, marks[step->state], step->what);
    if (step->ms >= 0)
        printf(" (%.1f ms)", step->ms);
    printf("\n");
    if (*step->advice)
        printf("  %-11s %-8s  -> %s\n", "", "", step->advice);
    fflush(stdout);
}

/* ---- for programs ---- */

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static json_t *step_of(const struct probe_step *step)
{
    static const char *const states[] = {"works", "fails", "doubtful"};
    json_t *out = json_pack("{s:s, s:s, s:o, s:o}", "step", step->name, "state", states[step->state], "what", json_string(step->what), "advice",
                            text_or_null(step->advice));
    if (step->code)
        json_object_set_new(out, "code", json_integer(step->code));
    if (step->ms >= 0)
        json_object_set_new(out, "ms", json_real(step->ms));
    return out;
}

static json_t *game_of(const struct probe_game *game)
{
    if (!game->sent)
        return json_null();
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "sent", (int)game->sent, "came", (int)game->came, "p50_ms", game->p50_ms, "p95_ms",
                     game->p95_ms, "p99_ms", game->p99_ms, "jitter_ms", game->jitter_ms);
}

static json_t *result_of(const char *url, const struct probe_report *report)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(steps, step_of(&report->steps[i]));
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "url", url, "works", report->works, "server", text_or_null(report->server),
                     "local", text_or_null(report->local), "mapped", text_or_null(report->mapped), "relayed", text_or_null(report->relayed), "realm",
                     text_or_null(report->realm), "game", game_of(&report->game), "mbit_s",
                     report->mbit_s > 0 ? json_real(report->mbit_s) : json_null(), "steps", steps);
}

/* ---- what the relay says ---- */

/* refused: the step that was; NULL: none. */
static const struct probe_step *refused(const struct probe_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->steps[i].code)
            return &report->steps[i];
    return NULL;
}

/* ip_of: the address as the server sees it; of its two ports here, either may have been refused. */
static const char *ip_of(const struct probe_report *report, char out[ADDR_TEXT_MAX])
{
    struct addr seen;
    if (addr_parse(view_text(*report->mapped ? report->mapped : report->local), &seen) != 0)
        return NULL;
    return addr_format_ip(&seen, out);
}

/* record_of: the newest refusal that the relay has of this client; NULL: none, or nobody to ask. */
static json_t *record_of(const struct probing *probing, const struct probe_report *report)
{
    const struct command_line *line = probing->line;
    char path[ASK_PATH_MAX], ip[ADDR_TEXT_MAX];
    const char *client = ip_of(report, ip);
    json_t *body = NULL;
    struct slab out = slab_over(path, sizeof path - 1);
    if (!(line->given & (COMMAND_FLAG(ADMIN_SOCKET) | COMMAND_FLAG(CONFIG))) || !client || !refused(report))
        return NULL;
    slab_put_text(&out, "/v1/explain");
    ask_put(&out, "client", client);
    ask_put(&out, "limit", "1");
    path[out.len] = 0;
    if (command_ask(line, "GET", path, &body) != 0)
        return NULL;
    json_t *row = json_incref(json_array_get(json_object_get(body, "refusals"), 0));
    json_decref(body);
    return row;
}

static void print_record(const json_t *row)
{
    const char *why = json_string_value(json_object_get(row, "why")), *advice = json_string_value(json_object_get(row, "advice"));
    printf("  %-11s %-8s  %lld: %s (%s)\n", "the relay", "says", (long long)json_integer_value(json_object_get(row, "code")), why ? why : "?",
           json_string_value(json_object_get(row, "rule")));
    if (advice)
        printf("  %-11s %-8s  -> %s\n", "", "", advice);
}

/* ---- one URL ---- */

static bool try_url(struct probing *probing, const char *text)
{
    struct probe_url url;
    struct probe_report report;
    probe_parse(text, &url);
    probing->config.url = &url;
    probing->config.unix_s = clock_unix_ms() / 1000;
    if (!probing->json)
        printf("%s\n", text);
    probe_run(&probing->config, &report);
    json_t *record = record_of(probing, &report);
    if (probing->json) {
        json_t *result = result_of(text, &report);
        json_object_set_new(result, "record", record ? json_incref(record) : json_null());
        json_array_append_new(probing->results, result);
    } else {
        if (record)
            print_record(record);
        printf("  %s\n", report.works ? "it works" : "it does not work");
    }
    json_decref(record);
    return report.works;
}

static int read_seconds(const struct command_line *line, unsigned *game_s, unsigned *bulk_s)
{
    char *end = NULL;
    *game_s = GAME_S;
    *bulk_s = BULK_S;
    if (!line->seconds)
        return 0;
    const long seconds = strtol(line->seconds, &end, 10);
    if (end == line->seconds || *end || seconds < 0 || seconds > SECONDS_MAX)
        return command_fail(line, COMMAND_MISUSED, "--seconds: 0 to %d, not %s", SECONDS_MAX, line->seconds);
    *game_s = (unsigned)seconds;
    *bulk_s = seconds < BULK_S ? (unsigned)seconds : BULK_S;
    return 0;
}

static int check_words(const struct command_line *line)
{
    struct probe_url url;
    if (line->given & OF_SPECS)
        return command_fail(line, COMMAND_MISUSED, "--live and the like are for specs of policies, not for %s", line->words[0]);
    for (size_t i = 0; i < line->word_count; i++)
        if (probe_parse(line->words[i], &url) != 0)
            return command_fail(line, COMMAND_MISUSED, "%s: a URL expected, as turn:HOST[:PORT][?transport=udp|tcp], turns:, stun: or stuns:", line->words[i]);
    return 0;
}

static int try_all(struct probing *probing)
{
    const struct command_line *line = probing->line;
    size_t works = 0;
    for (size_t i = 0; i < line->word_count; i++)
        works += try_url(probing, line->words[i]);
    if (probing->json) {
        json_dumpf(probing->results, stdout, JSON_INDENT(2));
        puts("");
    }
    if (fflush(stdout) != 0)
        return command_fail(line, COMMAND_FAILED, "standard output cannot be written");
    return works == line->word_count ? COMMAND_DONE : COMMAND_FAILED;
}

int command_probe(const struct command_line *line)
{
    char password[COMMAND_PASSWORD_CAP] = "";
    struct probing probing = {.line = line, .json = line->given & COMMAND_FLAG(JSON)};
    struct probe_config *config = &probing.config;
    int code = check_words(line);
    if (!code)
        code = command_password(line, password, &config->password);
    if (!code)
        code = read_seconds(line, &config->game_s, &config->bulk_s);
    if (code)
        return code;
    config->user = line->user;
    config->trusts_everybody = line->given & COMMAND_FLAG(INSECURE);
    config->told = print_step;
    config->ctx = &probing;
    config->crypto = crypto_new();
    probing.results = json_array();
    code = config->crypto ? try_all(&probing) : command_fail(line, COMMAND_FAILED, "out of memory");
    json_decref(probing.results);
    crypto_free(config->crypto);
    crypto_wipe(password, sizeof password);
    return code;
}
