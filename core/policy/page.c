/* page.c: Markdown. */
#include "policy/page.h"

#include "policy/answer.h"
#include "policy/reference.h"
#include "policy/signature.h"

#include <string.h>

static void put_hook(FILE *out, const struct hook_rule *rule)
{
    fprintf(out, "| `%s(", rule->name);
    for (const char *letter = rule->arguments; *letter; letter++)
        fprintf(out, "%s%s", letter > rule->arguments ? ", " : "", reference_hook_argument(*letter)->name);
    fputs(")` |", out);
    for (int kind = 0; kind < VERDICT_LATER; kind++)
        if (rule->kinds & 1u << kind)
            fprintf(out, " `%s`", decision_kind(&(struct decision){.kind = (enum verdict_kind)kind}));
    fputs(" |", out);
    for (size_t i = 0; i < sizeof rule->codes / sizeof *rule->codes && rule->codes[i]; i++)
        fprintf(out, " %d", rule->codes[i]);
    fprintf(out, " | %s |\n", rule->about);
}

static void put_hooks(FILE *out)
{
    fputs("\n### Hooks\n\n| `hook` | may return | codes of `relay.deny` | |\n|---|---|---|---|\n| `name` | | | not a hook: a string, for "
          "the reader |\n",
          out);
    for (size_t hook = 0; hook < HOOK_COUNT; hook++)
        put_hook(out, &hook_rules[hook]);
}

/* put_type: in backticks, where a bar would end the cell. */
static void put_type(FILE *out, struct view type)
{
    fputc('`', out);
    for (size_t i = 0; i < type.len; i++)
        fprintf(out, "%s%c", type.at[i] == '|' ? "\\" : "", type.at[i]);
    fputc('`', out);
}

/* put_call: `shared:set(key, value, ttl)`; a parameter that may be left out has a question mark. */
static void put_call(FILE *out, const struct shown *shown, const struct member *member, const struct signature *signature)
{
    const bool colon = shown->role != ROLE_LIBRARY || member->marks & MARK_METHOD;
    fprintf(out, "| `%s%c%s(", shown->name, colon ? ':' : '.', member->name);
    for (size_t i = 0; i < signature->parameter_count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        fprintf(out, "%s%.*s%s", i ? ", " : "", (int)parameter->name.len, (const char *)parameter->name.at, parameter->optional ? "?" : "");
    }
    fputs(")` |", out);
    for (size_t i = 0; i < signature->result_count; i++) {
        fputs(i ? ", " : " ", out);
        put_type(out, signature->results[i]);
    }
    fputs(" | ", out);
    fputs(member->marks & MARK_LOADS ? "*load*. " : "", out);
    fputs(member->marks & MARK_WAITS ? "*waits*. " : "", out);
}

static void put_members(FILE *out, const struct shown *shown)
{
    struct signature signature;
    for (size_t i = 0; i < shown->count; i++) {
        const struct member *member = &shown->members[i];
        if (signature_init(&signature, member->type)) {
            put_call(out, shown, member, &signature);
        } else {
            fprintf(out, "| `%s` | ", member->name);
            put_type(out, view_text(member->type));
            fputs(" | ", out);
        }
        fprintf(out, "%s |\n", member->about);
    }
}

static void put_shown(FILE *out, const struct shown *shown)
{
    if (*shown->about)
        fprintf(out, "\n%s\n", shown->about);
    if (shown->count == 0)
        return;
    const bool is_library = shown->role == ROLE_LIBRARY || shown->role == ROLE_OBJECT;
    fprintf(out, "\n| `%s`%s | %s | |\n|---|---|---|\n", shown->name, shown->role == ROLE_GIVEN ? " takes" : "",
            is_library ? "returns" : "type");
    put_members(out, shown);
}

void page_print(FILE *out)
{
    static const char *const heads[] = {[ROLE_ARGUMENT] = "What hooks are shown",
                                        [ROLE_LIBRARY] = "The table `relay`",
                                        [ROLE_OBJECT] = "Objects",
                                        [ROLE_GIVEN] = NULL,
                                        [ROLE_RETURNED] = NULL};
    size_t count;
    const struct shown *const *all = reference_all(&count);
    const char *head = "";
    put_hooks(out);
    for (size_t i = 0; i < count; i++) {
        const char *own = heads[all[i]->role];
        if (own && own != head)
            fprintf(out, "\n### %s\n", head = own);
        put_shown(out, all[i]);
    }
    fputc('\n', out);
}
