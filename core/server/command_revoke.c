/* command_revoke.c: relay revoke and relay revocation: who is shut out; at a relay that runs, or in the file of one. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/clock.h"
#include "server/revocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* struct subject: who is to be shut out. The tenant's row is the last one: --tenant goes with the others. */
struct subject {
    enum revocation_kind kind;
    uint64_t flag;
    const char *flag_name;
    bool of_any; /* without --tenant it is whichever tenant's */
};

static const struct subject subjects[] = {
    {REVOKE_CREDENTIAL, COMMAND_FLAG(CREDENTIAL), "--credential", true},
    {REVOKE_TAG, COMMAND_FLAG(TAG), "--tag", false},
    {REVOKE_KEY, COMMAND_FLAG(KEY), "--key", true},
    {REVOKE_USER, COMMAND_FLAG(USER), "--user", false},
    {REVOKE_TENANT, COMMAND_FLAG(TENANT), "--tenant", false},
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)

static const char *name_of(const struct command_line *line, enum revocation_kind kind)
{
    const char *const names[REVOKE_KINDS] = {[REVOKE_CREDENTIAL] = line->credential,
                                             [REVOKE_TAG] = line->tag,
                                             [REVOKE_KEY] = line->key,
                                             [REVOKE_USER] = line->user,
                                             [REVOKE_TENANT] = ""};
    return names[kind];
}

/* subject_of: 0, or the exit code. */
static int subject_of(const struct command_line *line, const struct subject **out)
{
    *out = NULL;
    for (size_t i = 0; i < SUBJECTS - 1; i++) {
        if (!(line->given & subjects[i].flag))
            continue;
        if (*out)
            return command_fail(line, COMMAND_MISUSED, "%s or %s, not both", (*out)->flag_name, subjects[i].flag_name);
        *out = &subjects[i];
    }
    if (!*out && line->tenant)
        *out = &subjects[SUBJECTS - 1];
    if (!*out)
        return command_fail(line, COMMAND_MISUSED, "who? say --credential, --tag, --key, --user or --tenant");
    if (!line->tenant && !(*out)->of_any)
        return command_fail(line, COMMAND_MISUSED, "%s needs --tenant", (*out)->flag_name);
    if (strlen(name_of(line, (*out)->kind)) > REVOCATION_NAME_MAX)
        return command_fail(line, COMMAND_MISUSED, "%s is too long", (*out)->flag_name);
    return 0;
}

static const char *tenant_of(const struct command_line *line)
{
    return line->tenant ? line->tenant : REVOCATION_ANY;
}

static void put_parts(struct slab *path, const char *const *parts)
{
    for (; *parts; parts++) {
        slab_put_u8(path, '/');
        ask_put_part(path, *parts);
    }
}

static void put_path(const struct command_line *line, const struct subject *subject, struct slab *path)
{
    const char *name = name_of(line, subject->kind);
    const char *const paths[REVOKE_KINDS][7] = {
        [REVOKE_CREDENTIAL] = {"v1", "credentials", name},
        [REVOKE_TAG] = {"v1", "tenants", tenant_of(line), "tags", name},
        [REVOKE_KEY] = {"v1", "keys", name, "credentials"},
        [REVOKE_USER] = {"v1", "tenants", tenant_of(line), "users", name, "credentials"},
        [REVOKE_TENANT] = {"v1", "tenants", tenant_of(line), "credentials"},
    };
    put_parts(path, paths[subject->kind]);
    if (subject->of_any)
        ask_put(path, "tenant", line->tenant);
    slab_put_u8(path, 0);
}

static void say(const struct command_line *line, const struct subject *subject)
{
    const char *name = name_of(line, subject->kind);
    printf("revoked: %s %s%sof %s", revocation_name(subject->kind), name, *name ? " " : "", tenant_of(line));
}

static int revoke_remote(const struct command_line *line, const struct subject *subject)
{
    char text[ASK_PATH_MAX];
    struct slab path = slab_over(text, sizeof text);
    json_t *body;
    put_path(line, subject, &path);
    if (path.overflow)
        return command_fail(line, COMMAND_MISUSED, "what is asked for is too long");
    const int code = command_ask(line, "DELETE", text, &body);
    if (code)
        return code;
    const long long ended = json_integer_value(json_object_get(body, "ended"));
    say(line, subject);
    printf("; %lld allocation%s ended\n", ended, ended == 1 ? "" : "s");
    if (!json_is_true(json_object_get(body, "stored")))
        fprintf(stderr, "relay revoke: it stands in memory alone so far: %s\n", json_string_value(json_object_get(body, "reason")));
    return command_answered(line, body);
}

/* A relay that runs with the file looks there every second. */
static int revoke_in_file(const struct command_line *line, const struct subject *subject)
{
    const int64_t at_ms = clock_unix_ms(), until_ms = revocation_until(subject->kind, name_of(line, subject->kind), at_ms);
    const struct desk_revocation row = {.kind = revocation_name(subject->kind),
                                        .tenant = tenant_of(line),
                                        .name = name_of(line, subject->kind),
                                        .at_ms = at_ms,
                                        .until_ms = until_ms == REVOCATION_FOREVER ? 0 : until_ms};
    char who[COMMAND_WHO_MAX];
    int64_t id;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    const int err = desk_revoke(desk, &row, command_who(who), &id);
    if (!err) {
        say(line, subject);
        puts("");
    }
    return command_end(line, desk, err);
}

int command_revoke(const struct command_line *line)
{
    const struct subject *subject;
    int code = command_check_file(line);
    if (!code)
        code = subject_of(line, &subject);
    if (code)
        return code;
    return command_is_remote(line) ? revoke_remote(line, subject) : revoke_in_file(line, subject);
}

/* ---- what stands ---- */

static const struct column columns[] = {
    {"id", COLUMN_NUMBER, 6},   {"kind", COLUMN_TEXT, 10},  {"tenant", COLUMN_TEXT, 16},
    {"name", COLUMN_TEXT, 32},  {"at", COLUMN_TIME, 20},    {"until", COLUMN_TIME, 20},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static void print_row(void *ctx, const struct desk_revocation *row)
{
    list_row(ctx, (const struct cell[COLUMNS]){{.number = row->id},
                                               {.text = row->kind},
                                               {.text = row->tenant},
                                               {.text = row->name},
                                               {.number = row->at_ms},
                                               {.number = row->until_ms}});
}

static int64_t number_of(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

static void print_page(struct list *list, const json_t *rows)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        const struct desk_revocation shown = {.id = number_of(row, "id"),
                                              .kind = command_text(row, "kind"),
                                              .tenant = command_text(row, "tenant"),
                                              .name = command_text(row, "name"),
                                              .at_ms = number_of(row, "at") * 1000,
                                              .until_ms = number_of(row, "until") * 1000};
        print_row(list, &shown);
    }
}

static int list_remote(const struct command_line *line, struct list *list)
{
    json_int_t after = 0;
    const json_t *next;
    do {
        char path[ASK_PATH_MAX], from[24];
        struct slab out = slab_over(path, sizeof path);
        json_t *body = NULL;
        snprintf(from, sizeof from, "%lld", (long long)after);
        slab_put_text(&out, "/v1/revocations?limit=1000");
        ask_put(&out, "tenant", line->tenant);
        ask_put(&out, "after", from);
        slab_put_u8(&out, 0);
        const int code = out.overflow ? command_fail(line, COMMAND_MISUSED, "what is asked for is too long") : command_ask(line, "GET", path, &body);
        if (code)
            return code;
        print_page(list, json_object_get(body, "revocations"));
        next = json_object_get(body, "next");
        after = json_is_integer(next) ? json_integer_value(next) : 0;
        json_decref(body);
    } while (after);
    return 0;
}

int command_revocation_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_is_remote(line) ? NULL : command_desk(line, false);
    if (!desk && !command_is_remote(line))
        return COMMAND_FAILED;
    list_begin(&list, columns, COLUMNS, line->given & COMMAND_FLAG(JSON));
    const int code = desk ? desk_revocations(desk, line->tenant, print_row, &list) : list_remote(line, &list);
    if (!code)
        list_end(&list);
    return desk ? command_end(line, desk, code) : code ? code : command_answered(line, NULL);
}

int command_revocation_lift(const struct command_line *line)
{
    char path[ASK_PATH_MAX], who[COMMAND_WHO_MAX];
    struct slab out = slab_over(path, sizeof path);
    json_t *body;
    const char *id = line->words[0];
    if (strspn(id, "0123456789") != strlen(id) || strlen(id) > 18)
        return command_fail(line, COMMAND_MISUSED, "%.40s: no id: relay revocation list shows them", id);
    if (command_is_remote(line)) {
        put_parts(&out, (const char *const[]){"v1", "revocations", id, NULL});
        slab_put_u8(&out, 0);
        const int code = command_ask(line, "DELETE", path, &body);
        return code ? code : command_answered(line, body);
    }
    struct desk *desk = command_desk(line, false);
    return desk ? command_end(line, desk, desk_revocation_lift(desk, strtoll(id, NULL, 10), NULL, command_who(who))) : COMMAND_FAILED;
}
