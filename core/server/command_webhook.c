/* command_webhook.c: relay webhook: whom a relay that runs tells its events. */
#include "server/command_line.h"

#include <stdio.h>
#include <string.h>

static const struct column columns[] = {{"id", COLUMN_TEXT, 19},    {"tenant", COLUMN_TEXT, 16},  {"url", COLUMN_TEXT, 40},
                                        {"types", COLUMN_TEXT, 24}, {"state", COLUMN_TEXT, 8},    {"waiting", COLUMN_NUMBER, 7},
                                        {"dead", COLUMN_NUMBER, 5}, {"created", COLUMN_TIME, 20}, {"error", COLUMN_TEXT, 0}};
#define COLUMNS (sizeof columns / sizeof *columns)

/* split: "a,b" as a list. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    for (const char *at = text; *at; at += strcspn(at, ","), at += *at == ',')
        json_array_append_new(list, json_stringn(at, strcspn(at, ",")));
    return list;
}

int command_webhook_add(const struct command_line *line)
{
    json_t *answer, *body = json_pack("{s:s}", "url", line->words[0]);
    if (line->tenant)
        json_object_set_new(body, "tenant", json_string(line->tenant));
    if (line->type)
        json_object_set_new(body, "types", split(line->type));
    const struct command_question question = {.method = "POST", .path = {"v1", "webhooks"}, .body = body};
    const int code = command_send(line, &question, &answer);
    if (code)
        return code;
    printf("%s %s\n", command_text(answer, "id"), command_text(answer, "secret"));
    return command_answered(line, answer);
}

static void join(const json_t *types, char *out, size_t cap)
{
    size_t i;
    json_t *type;
    struct slab slab = slab_over(out, cap - 1);
    json_array_foreach(types, i, type)
    {
        slab_put_text(&slab, i ? "," : "");
        slab_put_text(&slab, json_string_value(type));
    }
    slab_put_text(&slab, slab.len ? "" : "all");
    out[slab.len] = 0;
}

static void print_row(void *ctx, const json_t *row)
{
    char types[512];
    const char *error = command_text(row, "error"), *reason = command_text(row, "reason");
    join(json_object_get(row, "types"), types, sizeof types);
    list_row(ctx, (const struct cell[COLUMNS]){{.text = command_text(row, "id")},
                                               {.text = command_text(row, "tenant")},
                                               {.text = command_text(row, "url")},
                                               {.text = types},
                                               {.text = json_is_true(json_object_get(row, "enabled")) ? "enabled" : "disabled"},
                                               {.number = json_integer_value(json_object_get(row, "waiting"))},
                                               {.number = json_integer_value(json_object_get(row, "dead"))},
                                               {.number = command_time_ms(row, "created")},
                                               {.text = *error    ? error
                                                        : *reason ? reason
                                                                  : "-"}});
}

int command_webhook_list(const struct command_line *line)
{
    const struct command_question question = {.method = "GET", .path = {"v1", "webhooks"}, .query = {{"tenant", line->tenant}}};
    struct list list;
    json_t *answer;
    const int code = command_send(line, &question, &answer);
    if (code)
        return code;
    json_t *rows = json_incref(json_object_get(answer, "webhooks"));
    json_decref(answer);
    list_begin(&list, columns, COLUMNS, line->given & COMMAND_FLAG(JSON));
    return command_list(line, &list, rows, print_row);
}

int command_webhook_remove(const struct command_line *line)
{
    const struct command_question question = {.method = "DELETE", .path = {"v1", "webhooks", line->words[0]}};
    json_t *answer = NULL;
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_webhook_test(const struct command_line *line)
{
    const struct command_question question = {.method = "POST", .path = {"v1", "webhooks", line->words[0], "test"}};
    json_t *answer;
    const int code = command_send(line, &question, &answer);
    if (code)
        return code;
    puts(command_text(answer, "event"));
    return command_answered(line, answer);
}
