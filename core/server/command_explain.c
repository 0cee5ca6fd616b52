/* command_explain.c: relay explain: why clients of a relay that runs were refused, and what to do. */
#include "server/command_line.h"

#include "admin/ask.h"

#include <stdio.h>
#include <string.h>

static const struct column columns[] = {
    {"time", COLUMN_TIME, 20},   {"client", COLUMN_TEXT, 21},   {"user", COLUMN_TEXT, 12},
    {"method", COLUMN_TEXT, 17}, {"code", COLUMN_NUMBER, 4},    {"rule", COLUMN_TEXT, 16},
    {"by", COLUMN_TEXT, 16},     {"decision", COLUMN_TEXT, 19}, {"why", COLUMN_TEXT, 0},
};

static int64_t code_of(const json_t *row)
{
    return json_integer_value(json_object_get(row, "code"));
}

static const char *user_of(const json_t *row)
{
    const char *user = command_shown(row, "user");
    return *user ? user : command_shown(row, "username");
}

static void print_row(struct list *list, const json_t *row)
{
    list_row(list, (const struct cell[]){{.number = (int64_t)(json_real_value(json_object_get(row, "time")) * 1000)},
                                         {.text = command_shown(row, "client")},
                                         {.text = user_of(row)},
                                         {.text = command_shown(row, "method")},
                                         {.number = code_of(row)},
                                         {.text = command_shown(row, "rule")},
                                         {.text = command_shown(row, "by")},
                                         {.text = command_shown(row, "decision")},
                                         {.text = command_shown(row, "why")}});
}

/* is_said: an earlier row has the same advice. */
static bool is_said(const json_t *rows, size_t at)
{
    const json_t *row = json_array_get(rows, at);
    for (size_t i = 0; i < at; i++) {
        const json_t *other = json_array_get(rows, i);
        if (code_of(other) == code_of(row) && strcmp(command_shown(other, "advice"), command_shown(row, "advice")) == 0)
            return true;
    }
    return false;
}

static void print_advice(const json_t *rows)
{
    size_t i;
    json_t *row;
    puts("");
    json_array_foreach(rows, i, row) if (!is_said(rows, i))
        printf("%lld %s: %s\n", (long long)code_of(row), command_shown(row, "rule"), command_shown(row, "advice"));
}

static int ask(const struct command_line *line, json_t **body)
{
    char path[ASK_PATH_MAX];
    struct slab out = slab_over(path, sizeof path - 1);
    slab_put_text(&out, "/v1/explain");
    ask_put(&out, "user", line->user);
    ask_put(&out, "client", line->client);
    ask_put(&out, "decision", line->decision);
    ask_put(&out, "tenant", line->tenant);
    ask_put(&out, "limit", line->limit);
    if (out.overflow)
        return command_fail(line, COMMAND_MISUSED, "what is asked for is too long");
    path[out.len] = 0;
    return command_ask(line, "GET", path, body);
}

int command_explain(const struct command_line *line)
{
    struct list list;
    json_t *body = NULL, *row;
    size_t i;
    const int code = ask(line, &body);
    if (code)
        return code;
    json_t *rows = json_object_get(body, "refusals");
    if (line->given & COMMAND_FLAG(JSON)) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        puts("");
        return command_answered(line, body);
    }
    if (json_array_size(rows) == 0) {
        puts("nothing was refused, as far as is remembered");
        return command_answered(line, body);
    }
    list_begin(&list, columns, sizeof columns / sizeof *columns, false);
    json_array_foreach(rows, i, row) print_row(&list, row);
    list_end(&list);
    print_advice(rows);
    return command_answered(line, body);
}
