/* command_check.c: relay check: what is wrong with policies, without a server. */
#include "server/rehearsal.h"

#include "policy/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct command_line *line;
    const char *refusal; /* why the chain did not load, "" */
    bool github, refusal_told;
    size_t errors, warnings;
};

/* print_text: GitHub reads what is behind a line's end as another command. */
static void print_text(const struct check *check, const char *text)
{
    for (; *text; text++)
        if (check->github && strchr("%\r\n", *text))
            printf("%%%02X", (unsigned char)*text);
        else
            putchar(*text);
    putchar('\n');
}

/* tell: one line: `path:line: reason`, or what GitHub makes a remark in the margin of. */
static void tell(struct check *check, const struct finding *finding)
{
    char place[32] = "";
    check->errors += finding->is_error;
    check->warnings += !finding->is_error;
    if (finding->line)
        snprintf(place, sizeof place, check->github ? ",line=%d" : ":%d", finding->line);
    if (check->github)
        printf("::%s%s%s%s::", finding->is_error ? "error" : "warning", *finding->path ? " file=" : "", finding->path, place);
    else
        printf("%s%s%s%s", finding->path, place, *finding->path ? ": " : "", finding->is_error ? "" : "warning: ");
    print_text(check, finding->text);
}

/* is_refusal: the finding is what ended the load. */
static bool is_refusal(const struct check *check, const struct finding *finding)
{
    char text[512];
    const char *slash = strrchr(finding->path, '/');
    snprintf(text, sizeof text, "%s:%d: %s", slash ? slash + 1 : finding->path, finding->line, finding->text);
    return strcmp(text, check->refusal) == 0;
}

static void on_finding(void *ctx, const struct finding *finding)
{
    struct check *check = ctx;
    check->refusal_told |= is_refusal(check, finding);
    tell(check, finding);
}

/* tell_refusal: `quota.lua:12: reason`, with the path that was given. */
static void tell_refusal(struct check *check)
{
    const struct command_line *line = check->line;
    struct finding finding = {.is_error = true, .path = "", .text = check->refusal};
    for (size_t i = 0; i < line->word_count; i++) {
        const char *path = line->words[i], *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        const size_t whole = strlen(path), base = strlen(name);
        const size_t len = strncmp(check->refusal, path, whole) == 0 ? whole : strncmp(check->refusal, name, base) == 0 ? base : 0;
        char *end;
        if (!len || check->refusal[len] != ':')
            continue;
        const long number = strtol(check->refusal + len + 1, &end, 10);
        if (strncmp(end, ": ", 2) == 0)
            finding = (struct finding){.is_error = true, .path = path, .line = (int)number, .text = end + 2};
    }
    tell(check, &finding);
}

static void print_hooks(const struct policy *policy)
{
    const uint32_t hooks = policy_hooks(policy);
    printf("hooks:");
    for (size_t i = 0; i < HOOK_COUNT; i++)
        if (hooks & HOOK_BIT(i))
            printf(" %s", policy_hook_name((enum hook)i));
    puts(hooks ? "" : " none");
}

static void print_param(void *ctx, const char *name, const char *about)
{
    (void)ctx;
    printf("--set %s: %s\n", name, about);
}

static void print_chain(const struct check *check, const struct policy *policy)
{
    print_hooks(policy);
    policy_params(policy, print_param, NULL);
    if (check->errors + check->warnings == 0)
        puts("nothing found");
}

static int check_chain(struct check *check, struct rehearsal *rehearsal)
{
    struct policy *bare = rehearsal->policy ? NULL : rehearsal_bare(rehearsal), *policy = bare ? bare : rehearsal->policy;
    check->refusal = rehearsal->policy ? "" : rehearsal->error;
    const int err = policy ? lint(&rehearsal->config, policy, on_finding, check) : -1;
    policy_free(bare);
    if (err)
        return command_fail(check->line, COMMAND_FAILED, "not enough memory");
    if (*check->refusal && !check->refusal_told)
        tell_refusal(check);
    if (rehearsal->policy && !check->github)
        print_chain(check, rehearsal->policy);
    return check->errors ? COMMAND_FAILED : COMMAND_DONE;
}

int command_check(const struct command_line *line)
{
    struct rehearsal rehearsal;
    struct check check = {.line = line, .github = line->format && strcmp(line->format, "github") == 0};
    if (line->format && !check.github && strcmp(line->format, "human") != 0)
        return command_fail(line, COMMAND_MISUSED, "--format: human or github, not %s", line->format);
    const struct rehearsal_plan plan = {.files = (const char *const *)line->words, .file_count = line->word_count};
    int code = rehearsal_open(&rehearsal, line, &plan);
    if (!code)
        code = check_chain(&check, &rehearsal);
    rehearsal_close(&rehearsal);
    return code;
}
