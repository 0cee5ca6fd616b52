/* recorded.c: the members of a line, and its result beside a new one. */
#include "policy/recorded.h"

#include "policy/account.h"
#include "policy/answer.h"
#include "policy/said.h"

#include "base/err.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define ANSWER_MAX 4096
#define TIME_MAX 1e11 /* seconds: as milliseconds they fit by far */

static const char veiled[] = "hmac:", token[] = "eyJ"; /* what such names begin with: account.h */

/* ---- reading ---- */

static int refuse(char *error, size_t error_cap, const char *why)
{
    snprintf(error, error_cap, "%s", why);
    return ERR_BAD;
}

static bool find_hook(const char *phase, enum hook *hook)
{
    for (size_t i = 0; i < HOOK_COUNT; i++)
        if (strcmp(hook_rules[i].name, phase) == 0 && hook_rules[i].composition != COMPOSE_TELL) {
            *hook = (enum hook)i;
            return true;
        }
    *hook = HOOK_log;
    return strcmp(phase, "core") == 0;
}

/* read_head: all but the input. */
static int read_head(struct recorded *recorded, char *error, size_t error_cap)
{
    const json_t *time = json_object_get(recorded->json, "time");
    const double seconds = json_number_value(time);
    recorded->id = json_string_value(json_object_get(recorded->json, "decision_id"));
    recorded->phase = json_string_value(json_object_get(recorded->json, "phase"));
    recorded->by = json_string_value(json_object_get(recorded->json, "by"));
    recorded->result = json_object_get(recorded->json, "result");
    if (!recorded->id)
        return refuse(error, error_cap, "decision_id: a string expected");
    if (!recorded->phase || !find_hook(recorded->phase, &recorded->hook))
        return refuse(error, error_cap, "phase: a hook that decides, or \"core\" expected");
    if (!json_is_number(time) || !(seconds >= 0 && seconds < TIME_MAX))
        return refuse(error, error_cap, "time: unix seconds expected");
    if (!recorded->by)
        return refuse(error, error_cap, "by: a string expected");
    if (!json_is_string(json_object_get(recorded->result, "decision")))
        return refuse(error, error_cap, "result: an object with a decision expected");
    recorded->unix_ms = llround(seconds * 1000);
    return 0;
}

/* listener_of: the places where route is remembered are those of the server's addresses. */
static uint16_t listener_of(const struct addr *server)
{
    static const struct hash_key any;
    char text[ADDR_TEXT_MAX];
    return (uint16_t)table_hash(&any, view_text(addr_format(server, text)));
}

int recorded_open(struct recorded *recorded, const char *line, size_t len, msec_t earliest, char *error, size_t error_cap)
{
    char why[256];
    *recorded = (struct recorded){0};
    int err = said_parse(line, len, &recorded->json, error, error_cap);
    if (!err)
        err = read_head(recorded, error, error_cap);
    if (err)
        return err;
    const struct scene_plan plan = {.hook = recorded->hook,
                                    .now = recorded->unix_ms > earliest ? recorded->unix_ms : earliest,
                                    .unix_ms = recorded->unix_ms,
                                    .bare = true};
    json_t *input = json_object_get(recorded->json, "input");
    err = input ? scene_open(&recorded->scene, &plan, input, why, sizeof why) : refuse(why, sizeof why, "an object expected");
    if (err)
        snprintf(error, error_cap, "input: %s", why);
    recorded->scene.flow.listener = listener_of(&recorded->scene.flow.server);
    return err;
}

void recorded_close(struct recorded *recorded)
{
    json_decref(recorded->json);
}

/* ---- comparing ---- */

void recorded_put_verdict_json(struct slab *out, const struct verdict *verdict)
{
    static const struct veil none = {0};
    account_put_answer(out, verdict, &none);
}

static json_t *answer_of(const struct verdict *verdict)
{
    char text[ANSWER_MAX];
    struct slab out = slab_over(text, sizeof text);
    recorded_put_verdict_json(&out, verdict);
    return out.overflow ? NULL : json_loadb(text, out.len, 0, NULL);
}

static bool is_failure(const json_t *answer)
{
    return strcmp(json_string_value(json_object_get(answer, "decision")), "fail") == 0;
}

static bool begins(const json_t *text, const char *with)
{
    const char *at = json_string_value(text);
    return at && strncmp(at, with, strlen(with)) == 0;
}

/* is_lasting: a member that another policy would have to answer as well to decide the same. */
static bool is_lasting(const json_t *answer, const char *name)
{
    static const char *const others[] = {"by", "ns", "instructions"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return strcmp(name, "reason") != 0 || !is_failure(answer);
}

/* has_all: what lasts of `some` is in `all` too. */
static bool has_all(json_t *some, const json_t *all)
{
    const char *name;
    json_t *value;
    json_object_foreach(some, name, value)
    {
        const json_t *other = json_object_get(all, name);
        const bool is_hidden = begins(value, veiled) || begins(other, veiled);
        if (is_lasting(some, name) && !is_hidden && !json_equal(value, other))
            return false;
    }
    return true;
}

bool recorded_is(const struct recorded *recorded, const struct verdict *verdict)
{
    if (verdict->kind == VERDICT_SILENT && strcmp(recorded->by, "core") == 0)
        return true;
    json_t *answer = answer_of(verdict);
    const bool same = answer && has_all(recorded->result, answer) && has_all(answer, recorded->result);
    json_decref(answer);
    return same;
}

/* is_cut: of a signed token the signature behind the last point is not in the log. */
static bool is_cut(const json_t *name)
{
    const char *text = json_string_value(name);
    return begins(name, token) && text[strlen(text) - 1] == '.';
}

const char *recorded_lacks(const struct recorded *recorded)
{
    static const char *const names[] = {"username", "user", "userhash"};
    const json_t *input = json_object_get(recorded->json, "input");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *name = json_object_get(input, names[i]);
        if (begins(name, veiled))
            return "the record has its name veiled";
        if (is_cut(name))
            return "the record has its token without the signature";
    }
    return NULL;
}

/* ---- showing ---- */

static void put_value(struct slab *out, json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        slab_put_text(out, text);
    free(text);
}

static void put_words(struct slab *out, json_t *answer)
{
    const char *name;
    json_t *value;
    slab_put_text(out, json_string_value(json_object_get(answer, "decision")));
    json_object_foreach(answer, name, value)
    {
        if (strcmp(name, "decision") == 0 || strcmp(name, "by") == 0)
            continue;
        slab_put_u8(out, ' ');
        slab_put_text(out, name);
        slab_put_u8(out, '=');
        put_value(out, value);
    }
}

void recorded_put_answer(struct slab *out, const struct recorded *recorded)
{
    put_words(out, recorded->result);
}

void recorded_put_verdict(struct slab *out, const struct verdict *verdict)
{
    json_t *answer = answer_of(verdict);
    if (answer)
        put_words(out, answer);
    json_decref(answer);
}

void recorded_put_json(struct slab *out, const struct recorded *recorded)
{
    put_value(out, recorded->result);
}
