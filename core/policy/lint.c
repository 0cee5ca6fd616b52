/* lint.c: the rules, over the outlines of a script and its modules. */
#include "policy/lint.h"

#include "policy/answer.h"
#include "policy/outline.h"
#include "policy/reference.h"
#include "policy/sandbox.h"
#include "policy/wait.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 32 /* of one script: itself and its modules */
#define PATH_CAP 1024
#define TEXT_CAP 256

struct file {
    char path[PATH_CAP], source[OUTLINE_PATH_MAX + 8]; /* source: as Lua calls it */
    struct outline outline;
};

/* struct note: a finding of the file that is looked at; they are told by line. */
struct note {
    bool is_error;
    int line;
    char text[TEXT_CAP];
};

struct linting {
    struct policy *policy;
    const struct script *script; /* NULL: it did not load */
    struct file files[FILES_MAX];
    size_t file_count;
    const struct file *file;
    struct note *notes;
    size_t note_count;
    bool out_of_memory;
};

/* find: unless the same was found at that line before. */
__attribute__((format(printf, 4, 5))) static void find(struct linting *lint, bool is_error, int line, const char *format, ...)
{
    struct note note = {.is_error = is_error, .line = line};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note.text, sizeof note.text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < lint->note_count; i++)
        if (lint->notes[i].line == line && strcmp(lint->notes[i].text, note.text) == 0)
            return;
    struct note *grown = realloc(lint->notes, (lint->note_count + 1) * sizeof *grown);
    lint->out_of_memory |= !grown;
    if (!grown)
        return;
    lint->notes = grown;
    size_t at = lint->note_count++;
    for (; at > 0 && grown[at - 1].line > line; at--)
        grown[at] = grown[at - 1];
    grown[at] = note;
}

static void tell(struct linting *lint, finding_fn *found, void *ctx)
{
    for (size_t i = 0; i < lint->note_count; i++) {
        const struct note *note = &lint->notes[i];
        found(ctx, &(struct finding){note->is_error, lint->file->path, note->line, note->text});
    }
    lint->note_count = 0;
}

/* ---- files ---- */

static bool is_known(const struct linting *lint, const char *path)
{
    for (size_t i = 0; i < lint->file_count; i++)
        if (strcmp(lint->files[i].path, path) == 0)
            return true;
    return false;
}

/* add_file: one more to look at; a file that cannot be read was told when the policy was loaded. */
static int add_file(struct linting *lint, const char *path, const char *source)
{
    size_t len;
    if (lint->file_count == FILES_MAX || is_known(lint, path))
        return 0;
    char *text = sandbox_read(path, &len);
    if (!text)
        return 0;
    struct file *file = &lint->files[lint->file_count];
    view_copy(view_text(path), file->path, sizeof file->path);
    view_copy(view_text(source), file->source, sizeof file->source);
    const int err = outline_init(&file->outline, view_of(text, len));
    lint->file_count += err == 0;
    free(text);
    return err;
}

/* add_modules: what the files require, and what that requires. */
static int add_modules(struct linting *lint, const char *directory)
{
    char path[PATH_CAP], source[OUTLINE_PATH_MAX + 8];
    int err = 0;
    for (size_t i = 0; i < lint->file_count; i++) {
        const struct outline *outline = &lint->files[i].outline;
        for (size_t at = 0; at < outline->count && !err; at++) {
            const struct mention *mention = &outline->mentions[at];
            if (mention->kind != MENTION_REQUIRE || !sandbox_module(directory, mention->path, path, sizeof path))
                continue;
            snprintf(source, sizeof source, "%s.lua", mention->path);
            err = add_file(lint, path, source);
        }
    }
    return err;
}

/* ---- globals ---- */

static bool is_set(const struct linting *lint, const char *path)
{
    const struct view name = view_of(path, strcspn(path, "."));
    for (size_t i = 0; i < lint->file_count; i++) {
        const struct outline *outline = &lint->files[i].outline;
        for (size_t at = 0; at < outline->count; at++)
            if (outline->mentions[at].kind == MENTION_SET && view_equal(view_text(outline->mentions[at].path), name))
                return true;
    }
    return strcmp(path, "require") == 0 || view_equal(name, view_text("_G")) || view_equal(name, view_text("_ENV"));
}

static int look_up(lua_State *L)
{
    struct linting *lint = lua_touserdata(L, 1);
    const struct outline *outline = &lint->file->outline;
    for (size_t at = 0; at < outline->count; at++, lua_settop(L, 1)) {
        const struct mention *mention = &outline->mentions[at];
        const char *missing = mention->kind == MENTION_GLOBAL && !is_set(lint, mention->path) ? sandbox_missing(L, mention->path) : NULL;
        if (missing)
            find(lint, true, mention->line, "%s", missing);
    }
    return 0;
}

/* ---- hooks ---- */

/* function_of: the index of the function of a hook in this file, -1 if it is elsewhere or nobody can tell. Allocates nothing. */
static int function_of(const struct linting *lint, enum hook hook)
{
    lua_Debug function;
    const struct outline *outline = &lint->file->outline;
    int found = -1, count = 0;
    if (!lint->script || lint->script->hooks[hook] == LUA_NOREF)
        return -1;
    lua_rawgeti(lint->policy->lua, LUA_REGISTRYINDEX, lint->script->hooks[hook]);
    lua_getinfo(lint->policy->lua, ">S", &function);
    if (*function.source != '@' || strcmp(function.source + 1, lint->file->source) != 0)
        return -1;
    for (size_t i = 1; i < outline->function_count; i++) {
        if (outline->functions[i].line != function.linedefined)
            continue;
        if (strcmp(outline->functions[i].name, hook_rules[hook].name) == 0)
            return (int)i;
        found = (int)i;
        count++;
    }
    return count == 1 ? found : -1;
}

/* check_member: the first of the members of `path`; and of an address the second. */
static void check_member(struct linting *lint, const struct shown *shown, const char *path, int line)
{
    char name[OUTLINE_PATH_MAX];
    const size_t len = strcspn(path, ".");
    view_copy(view_of(path, len), name, sizeof name);
    const struct member *member = reference_find(shown, name);
    if (member && path[len] && strncmp(member->type, "address", strlen("address")) == 0)
        check_member(lint, &address_shown, path + len + 1, line);
    if (member)
        return;
    const char *best = reference_nearest(shown, name);
    find(lint, true, line, "%s%s has no field '%s'%s%s%s", shown == &address_shown ? "an " : "", shown->label, name,
         best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
}

static void check_arguments(struct linting *lint, enum hook hook, int function)
{
    const struct outline *outline = &lint->file->outline;
    const char *letters = hook_rules[hook].arguments;
    for (size_t at = 0; at < outline->count; at++) {
        const struct mention *mention = &outline->mentions[at];
        if (mention->kind != MENTION_ARGUMENT || mention->function != function || mention->argument >= (int)strlen(letters))
            continue;
        const struct shown *shown = reference_argument(letters[mention->argument]);
        if (shown)
            check_member(lint, shown, mention->path, mention->line);
    }
}

static bool waits(const char *path)
{
    const struct member *member = reference_member(path);
    return member && member->marks & MARK_WAITS;
}

/* follow: marks what `function` names, and all that this names. Every function is marked once: it ends. */
static void follow(const struct outline *outline, int function, bool *reached)
{
    reached[function] = true;
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t at = 0; at < outline->count; at++) {
            const struct mention *mention = &outline->mentions[at];
            if (mention->kind != MENTION_FUNCTION || !reached[mention->inside] || reached[mention->function])
                continue;
            grew = reached[mention->function] = true;
        }
    }
}

static int check_waits(struct linting *lint, enum hook hook, int function)
{
    const struct outline *outline = &lint->file->outline;
    bool *reached = calloc(outline->function_count, sizeof *reached);
    if (!reached)
        return ERR_MEMORY;
    follow(outline, function, reached);
    for (size_t at = 0; at < outline->count; at++) {
        const struct mention *mention = &outline->mentions[at];
        if (mention->kind == MENTION_GLOBAL && reached[mention->inside] && waits(mention->path))
            find(lint, false, mention->line, "%s waits, and %s may not: it raises there", mention->path, hook_rules[hook].name);
    }
    free(reached);
    return 0;
}

static int check_hooks(struct linting *lint)
{
    int err = 0;
    for (size_t hook = 0; hook < HOOK_COUNT && !err; hook++) {
        const int function = function_of(lint, (enum hook)hook);
        if (function < 0)
            continue;
        check_arguments(lint, (enum hook)hook, function);
        if (!wait_is_allowed((enum hook)hook))
            err = check_waits(lint, (enum hook)hook, function);
    }
    return err;
}

/* ---- a script ---- */

static int check_files(struct linting *lint, finding_fn *found, void *ctx)
{
    char error[128];
    int err = 0;
    for (size_t i = 0; i < lint->file_count && !err; i++) {
        lint->file = &lint->files[i];
        err = state_protected(lint->policy, look_up, lint, error, sizeof error) ? ERR_MEMORY : check_hooks(lint);
        tell(lint, found, ctx);
    }
    return lint->out_of_memory ? ERR_MEMORY : err;
}

static int check_script(struct linting *lint, const char *path, finding_fn *found, void *ctx)
{
    char directory[PATH_CAP];
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    view_copy(view_of(path, len), directory, sizeof directory);
    int err = add_file(lint, path, path + len);
    if (!err)
        err = add_modules(lint, directory);
    if (!err)
        err = check_files(lint, found, ctx);
    for (size_t i = 0; i < lint->file_count; i++)
        outline_close(&lint->files[i].outline);
    lint->file_count = 0;
    return err;
}

int lint(const struct policy_config *config, struct policy *policy, finding_fn *found, void *ctx)
{
    struct linting *lint = calloc(1, sizeof *lint);
    int err = lint ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < config->file_count && !err; i++) {
        lint->policy = policy;
        lint->script = i < policy->script_count ? &policy->scripts[i] : NULL;
        err = check_script(lint, config->files[i], found, ctx);
    }
    if (lint)
        free(lint->notes);
    free(lint);
    return err;
}
