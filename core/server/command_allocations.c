/* command_allocations.c: relay allocations and relay kick: who is there, and who goes. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000

static const struct column columns[] = {
    {"id", COLUMN_TEXT, 18},         {"tenant", COLUMN_TEXT, 16},      {"user", COLUMN_TEXT, 16},          {"transport", COLUMN_TEXT, 9},
    {"src", COLUMN_TEXT, 21},        {"relay", COLUMN_TEXT, 21},       {"seconds", COLUMN_NUMBER, 8},      {"left", COLUMN_NUMBER, 6},
    {"bytes_in", COLUMN_NUMBER, 13}, {"bytes_out", COLUMN_NUMBER, 13}, {"permissions", COLUMN_NUMBER, 11}, {"channels", COLUMN_NUMBER, 8},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_row(struct list *list, const json_t *row, int64_t now_s)
{
    const int64_t age = now_s - number_of(row, "created"), left = number_of(row, "expires") - now_s;
    list_row(list, (const struct cell[COLUMNS]){{.text = command_shown(row, "id")},
                                                {.text = command_shown(row, "tenant")},
                                                {.text = command_shown(row, "user")},
                                                {.text = command_shown(row, "transport")},
                                                {.text = command_shown(row, "src")},
                                                {.text = command_shown(row, "relay")},
                                                {.number = age > 0 ? age : 0},
                                                {.number = left > 0 ? left : 0},
                                                {.number = number_of(row, "bytes_in")},
                                                {.number = number_of(row, "bytes_out")},
                                                {.number = number_of(row, "permissions")},
                                                {.number = number_of(row, "channels")}});
}

/* ask_page: the next of the lists, from `after` on (NULL: the first). */
static int ask_page(const struct command_line *line, const char *after, size_t left, json_t **body)
{
    char path[ASK_PATH_MAX], limit[16];
    struct slab out = slab_over(path, sizeof path - 1);
    snprintf(limit, sizeof limit, "%zu", left < PAGE ? left : PAGE);
    slab_put_text(&out, "/v1/allocations");
    ask_put(&out, "tenant", line->tenant);
    ask_put(&out, "user", line->user);
    ask_put(&out, "tag", line->tag);
    ask_put(&out, "limit", limit);
    ask_put(&out, "after", after);
    if (out.overflow)
        return command_fail(line, COMMAND_MISUSED, "what is asked for is too long");
    path[out.len] = 0;
    return command_ask(line, "GET", path, body);
}

/* gather: page by page, until there are no more, or as many as are wanted: 0 and all rows, and whether there would be more; or the exit
 * code. */
static int gather(const struct command_line *line, size_t most, json_t **rows, bool *truncated)
{
    char after[32] = "";
    *rows = json_array();
    do {
        json_t *body = NULL;
        const int code = ask_page(line, *after ? after : NULL, most - json_array_size(*rows), &body);
        if (code) {
            json_decref(*rows);
            return code;
        }
        json_array_extend(*rows, json_object_get(body, "allocations"));
        const char *next = json_string_value(json_object_get(body, "next"));
        *truncated = next != NULL;
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(body);
    } while (*truncated && json_array_size(*rows) < most);
    return 0;
}

static bool limit_of(const struct command_line *line, size_t *out)
{
    char *end;
    *out = SIZE_MAX;
    if (!line->limit)
        return true;
    *out = strtoul(line->limit, &end, 10);
    return strspn(line->limit, "0123456789") == strlen(line->limit) && *out > 0;
}

int command_allocations(const struct command_line *line)
{
    size_t most, i;
    bool truncated;
    json_t *rows, *row;
    struct list list;
    if (!limit_of(line, &most))
        return command_fail(line, COMMAND_MISUSED, "--limit: a number above 0 expected");
    const int code = gather(line, most, &rows, &truncated);
    if (code)
        return code;
    if (line->given & COMMAND_FLAG(JSON)) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        puts("");
        return command_answered(line, rows);
    }
    list_begin(&list, columns, COLUMNS, false);
    json_array_foreach(rows, i, row) print_row(&list, row, clock_unix_ms() / 1000);
    list_end(&list);
    if (truncated)
        fprintf(stderr, "relay allocations: there are more than %zu\n", most);
    return command_answered(line, rows);
}

static int kick_one(const struct command_line *line)
{
    char path[ASK_PATH_MAX];
    struct slab out = slab_over(path, sizeof path - 1);
    json_t *body;
    slab_put_text(&out, "/v1/allocations/");
    ask_put_part(&out, line->words[0]);
    if (out.overflow)
        return command_fail(line, COMMAND_MISUSED, "%.40s...: no id", line->words[0]);
    path[out.len] = 0;
    const int code = command_ask(line, "DELETE", path, &body);
    if (code)
        return code;
    printf("ended: %s of %s, %s, relayed %s\n", command_shown(body, "id"), command_shown(body, "user"), command_shown(body, "src"), command_shown(body, "relay"));
    return command_answered(line, body);
}

static int kick_all(const struct command_line *line)
{
    char path[ASK_PATH_MAX];
    struct slab out = slab_over(path, sizeof path);
    json_t *body;
    slab_put_text(&out, "/v1/allocations");
    ask_put(&out, "tenant", line->tenant);
    ask_put(&out, "user", line->user);
    ask_put(&out, "tag", line->tag);
    ask_put(&out, "credential", line->credential);
    slab_put_u8(&out, 0);
    if (out.overflow)
        return command_fail(line, COMMAND_MISUSED, "what is asked for is too long");
    const int code = command_ask(line, "DELETE", path, &body);
    if (code)
        return code;
    printf("ended: %lld\n", (long long)number_of(body, "ended"));
    return command_answered(line, body);
}

int command_kick(const struct command_line *line)
{
    const bool is_asked = line->tenant || line->user || line->tag || line->credential;
    if (is_asked == (line->word_count == 1))
        return command_fail(line, COMMAND_MISUSED, is_asked ? "an id, or whose they are: not both" : "who? say an id, --tenant, --user, --tag or --credential");
    return is_asked ? kick_all(line) : kick_one(line);
}
