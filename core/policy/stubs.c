/* stubs.c: one class after another. */
#include "policy/stubs.h"

#include "policy/answer.h"
#include "policy/reference.h"
#include "policy/signature.h"

#include <ctype.h>
#include <string.h>

static void put(FILE *out, struct view text)
{
    fwrite(text.at, 1, text.len, out);
}

#define CLASS_MAX 64

/* class_name: relay.Name of "name", relay.HttpGet of "relay.http.get"; with `more` at its end. Returns out. */
static char *class_name(const char *name, const char *more, char out[CLASS_MAX])
{
    struct slab text = slab_over(out, CLASS_MAX - 1);
    bool begins = true;
    slab_put_text(&text, "relay.");
    for (name += strncmp(name, "relay.", strlen("relay.")) == 0 ? strlen("relay.") : 0; *name; name++) {
        if (*name != '.')
            slab_put_u8(&text, (uint8_t)(begins ? toupper((unsigned char)*name) : *name));
        begins = *name == '.';
    }
    slab_put_text(&text, more);
    out[text.len] = 0;
    return out;
}

/* class_of: relay.Request, relay.Shared, relay.AllowFields. */
static char *class_of(const struct shown *shown, char out[CLASS_MAX])
{
    if (strcmp(shown->name, "relay") == 0)
        return class_name("library", "", out);
    return class_name(shown->role == ROLE_ARGUMENT ? shown->label : shown->name, shown->role == ROLE_GIVEN ? "Fields" : "", out);
}

/* put_word: a name of the rows, of a decision, or what Lua itself has. */
static void put_word(FILE *out, struct view word)
{
    char class[CLASS_MAX];
    size_t count;
    const struct shown *const *all = reference_all(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->role != ROLE_LIBRARY && view_equal(word, view_text(all[i]->name))) {
            fputs(class_of(all[i], class), out);
            return;
        }
    for (size_t i = 0; i < decisions_shown.count; i++)
        if (view_equal(word, view_text(decisions_shown.members[i].name))) {
            fputs(class_name(decisions_shown.members[i].name, "", class), out);
            return;
        }
    if (view_equal(word, view_text("code")))
        fputs("relay.Code", out);
    else
        put(out, word);
}

static void put_type(FILE *out, struct view type)
{
    struct view before, word;
    while (signature_word(&type, &before, &word)) {
        put(out, before);
        put_word(out, word);
    }
    put(out, before);
}

static void put_about(FILE *out, const char *about)
{
    if (*about)
        fprintf(out, "---%s\n", about);
}

/* put_function: `owner` is "relay.http" or, of methods, the local name of the class. */
static void put_function(FILE *out, const char *owner, char sign, const struct member *member)
{
    struct signature signature;
    signature_init(&signature, member->type);
    fputc('\n', out);
    put_about(out, member->about);
    if (member->marks & MARK_LOADS)
        put_about(out, "Only while the policy loads.");
    if (member->marks & MARK_WAITS)
        put_about(out, "It waits: only in authenticate, authorize, usage, log, init and timers.");
    for (size_t i = 0; i < signature.parameter_count; i++) {
        const struct parameter *parameter = &signature.parameters[i];
        fprintf(out, "---@param %.*s%s ", (int)parameter->name.len, (const char *)parameter->name.at, parameter->optional ? "?" : "");
        put_type(out, parameter->type);
        fputc('\n', out);
    }
    for (size_t i = 0; i < signature.result_count; i++) {
        fputs("---@return ", out);
        put_type(out, signature.results[i]);
        fputc('\n', out);
    }
    fprintf(out, "function %s%c%s(", owner, sign, member->name);
    for (size_t i = 0; i < signature.parameter_count; i++)
        fprintf(out, "%s%.*s", i ? ", " : "", (int)signature.parameters[i].name.len, (const char *)signature.parameters[i].name.at);
    fputs(") end\n", out);
}

static bool is_function(const struct member *member)
{
    struct signature signature;
    return signature_init(&signature, member->type);
}

/* put_fields: the members that are values. */
static void put_fields(FILE *out, const struct shown *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        const struct member *member = &shown->members[i];
        const size_t len = strlen(member->type);
        const bool optional = member->type[len - 1] == '?' && *member->name != '[';
        if (is_function(member))
            continue;
        fprintf(out, "---@field %s%s ", member->name, optional ? "?" : "");
        put_type(out, view_of(member->type, len - optional));
        fprintf(out, " %s\n", member->about);
    }
}

static void put_functions(FILE *out, const struct shown *shown, const char *owner, char sign)
{
    for (size_t i = 0; i < shown->count; i++)
        if (is_function(&shown->members[i]))
            put_function(out, owner, shown->members[i].marks & MARK_METHOD ? ':' : sign, &shown->members[i]);
}

static void put_head(FILE *out, const struct shown *shown)
{
    char class[CLASS_MAX];
    fputc('\n', out);
    put_about(out, shown->about);
    fprintf(out, "---@class %s\n", class_of(shown, class));
}

/* put_library: the second of a table adds to it. */
static void put_library(FILE *out, const struct shown *shown, bool is_new)
{
    if (is_new) {
        put_head(out, shown);
        fprintf(out, "%s = {}\n", shown->name);
    }
    put_functions(out, shown, shown->name, '.');
}

static void put_object(FILE *out, const struct shown *shown)
{
    bool has_functions = false;
    for (size_t i = 0; i < shown->count; i++)
        has_functions |= is_function(&shown->members[i]);
    put_head(out, shown);
    put_fields(out, shown);
    if (!has_functions)
        return;
    char class[CLASS_MAX];
    const char *local = class_of(shown, class) + strlen("relay.");
    fprintf(out, "local %s = {}\n", local);
    put_functions(out, shown, local, ':');
}

static void put_decisions(FILE *out)
{
    char class[CLASS_MAX];
    fputs("\n---What a hook may answer; a script can only return it.\n---@class relay.Decision\n", out);
    for (size_t i = 0; i < decisions_shown.count; i++)
        fprintf(out, "---@class %s: relay.Decision\n", class_name(decisions_shown.members[i].name, "", class));
    fputs("\n---@alias relay.Code", out);
    for (int code = 300, count = 0; code < 700; code++)
        if (answer_has_code(code))
            fprintf(out, "%s%d", count++ ? "|" : " ", code);
    fputc('\n', out);
}

/* put_answers: what a hook may return. */
static void put_answers(FILE *out, const struct hook_rule *rule)
{
    char class[CLASS_MAX];
    if (rule->composition == COMPOSE_TELL)
        return;
    fprintf(out, ": %srelay.Fail", rule->codes[0] ? "relay.Deny|" : "");
    for (int kind = 0; kind < VERDICT_LATER; kind++)
        if (rule->kinds & 1u << kind)
            fprintf(out, "|%s", class_name(decision_kind(&(struct decision){.kind = (enum verdict_kind)kind}), "", class));
    fputs("|nil", out);
}

static void put_policy(FILE *out)
{
    fputs("\n---What a policy returns.\n---@class relay.Policy\n---@field name? string for the reader\n", out);
    for (size_t hook = 0; hook < HOOK_COUNT; hook++) {
        const struct hook_rule *rule = &hook_rules[hook];
        fprintf(out, "---@field %s? fun(", rule->name);
        for (const char *letter = rule->arguments; *letter; letter++) {
            const struct hook_argument *argument = reference_hook_argument(*letter);
            fprintf(out, "%s%s: ", letter > rule->arguments ? ", " : "", argument->name);
            put_type(out, view_text(argument->type));
        }
        fputc(')', out);
        if (hook == HOOK_save)
            fputs(": any", out);
        else
            put_answers(out, rule);
        fprintf(out, " %s\n", rule->about);
    }
}

void stubs_print(FILE *out)
{
    size_t count;
    const struct shown *const *all = reference_all(&count);
    bool has_relay = false;
    fputs("---@meta relay\n\n-- Printed by `relay stubs`: what a policy may use, for lua-language-server. lua/README.md says more.\n", out);
    put_policy(out);
    put_decisions(out);
    for (size_t i = 0; i < count; i++) {
        if (all[i]->role != ROLE_LIBRARY) {
            put_object(out, all[i]);
            continue;
        }
        const bool is_relay = strcmp(all[i]->name, "relay") == 0;
        put_library(out, all[i], !is_relay || !has_relay);
        has_relay |= is_relay;
    }
}
