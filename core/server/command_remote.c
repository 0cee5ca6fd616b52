/* command_remote.c: verbs that work on the database file, or on that of a relay that runs: how they ask it. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/crypto.h"
#include "turn/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE "1000"

enum { HTTP_OK = 200, HTTP_CREATED = 201, HTTP_ACCEPTED = 202 };

bool command_is_remote(const struct command_line *line)
{
    return line->admin_socket || line->config;
}

const char *command_owner(const struct command_line *line)
{
    return line->tenant ? line->tenant : line->realm ? line->realm : "*";
}

int command_check_file(const struct command_line *line)
{
    if (command_is_remote(line) && line->given & COMMAND_FLAG(USERDB))
        return command_fail(line, COMMAND_MISUSED, "--userdb is the file where no relay runs, --admin-socket or -c names one that does: not both");
    return 0;
}

int command_check_owner(const struct command_line *line, bool needed)
{
    if (line->tenant && line->realm)
        return command_fail(line, COMMAND_MISUSED, "--tenant or --realm, not both");
    if (needed && !line->tenant && !line->realm)
        return command_fail(line, COMMAND_MISUSED, "--tenant or --realm is missing");
    return command_check_file(line);
}

int command_realm(const struct command_line *line, struct desk *desk, char out[OPAQUE_MAX_LEN + 1])
{
    bool shared;
    out[0] = 0;
    if (line->realm)
        return *line->realm ? command_prepare(line, "--realm", line->realm, REALM_MAX_LEN, out) : 0;
    if (line->tenant && desk_realm(desk, line->tenant, "", out, &shared) != 0)
        return command_fail(line, COMMAND_FAILED, "%s: %s", line->tenant, desk_error(desk));
    return 0;
}

/* ---- one question ---- */

static int put_path(const struct command_line *line, const struct command_question *question, struct slab *path)
{
    for (size_t i = 0; i < COMMAND_PARTS && question->path[i]; i++) {
        slab_put_u8(path, '/');
        ask_put_part(path, question->path[i]);
    }
    for (size_t i = 0; i < COMMAND_PARAMETERS; i++)
        ask_put(path, question->query[i].name, question->query[i].value);
    slab_put_u8(path, 0);
    return path->overflow ? command_fail(line, COMMAND_MISUSED, "what is asked for is too long") : 0;
}

static int transact(const struct command_line *line, const struct command_question *question, long *status, json_t **answer)
{
    char socket[COMMAND_SOCKET_MAX], text[ASK_PATH_MAX], error[512];
    struct slab path = slab_over(text, sizeof text);
    int code = put_path(line, question, &path);
    if (code == 0)
        code = command_door(line, socket, sizeof socket);
    if (code)
        return code;
    char *body = question->body ? json_dumps(question->body, JSON_COMPACT) : NULL;
    const int err = ask_door_with(socket, question->method, text, body, status, answer, error, sizeof error);
    if (body)
        crypto_wipe(body, strlen(body)); /* it may have a password */
    free(body);
    return err ? command_fail(line, COMMAND_FAILED, "%s", error) : 0;
}

int command_send(const struct command_line *line, const struct command_question *question, json_t **answer)
{
    long status = 0;
    const int code = transact(line, question, &status, answer);
    json_decref(question->body);
    if (code || status == HTTP_OK || status == HTTP_CREATED || status == HTTP_ACCEPTED)
        return code;
    const char *why = json_string_value(json_object_get(*answer, "error"));
    command_fail(line, COMMAND_FAILED, "%s", why ? why : "refused");
    json_decref(*answer);
    return COMMAND_FAILED;
}

/* ---- lists, page by page ---- */

/* take_page: its rows, and where the next begins; after[0] 0: there is none. */
static void take_page(json_t *body, const char *name, json_t *rows, char after[COMMAND_AFTER_MAX])
{
    const char *next = json_string_value(json_object_get(body, "next"));
    json_array_extend(rows, json_object_get(body, name));
    snprintf(after, COMMAND_AFTER_MAX, "%s", next ? next : "");
    json_decref(body);
}

int command_rows(const struct command_line *line, const struct command_question *question, const char *name, size_t most, json_t **rows)
{
    char after[COMMAND_AFTER_MAX] = "";
    *rows = json_array();
    do {
        struct command_question page = *question;
        json_t *body = NULL;
        page.query[COMMAND_PARAMETERS - 2] = (struct command_parameter){"limit", PAGE};
        page.query[COMMAND_PARAMETERS - 1] = (struct command_parameter){"after", *after ? after : NULL};
        const int code = command_send(line, &page, &body);
        if (code) {
            json_decref(*rows);
            return code;
        }
        take_page(body, name, *rows, after);
    } while (*after && json_array_size(*rows) < most);
    while (json_array_size(*rows) > most)
        json_array_remove(*rows, json_array_size(*rows) - 1);
    return 0;
}

int command_list(const struct command_line *line, struct list *list, json_t *rows, void (*each)(void *ctx, const json_t *row))
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) each(list, row);
    list_end(list);
    return command_answered(line, rows);
}

const char *command_text(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

const char *command_shown(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "-";
}

int64_t command_time_ms(const json_t *row, const char *name)
{
    return (int64_t)(json_number_value(json_object_get(row, name)) * 1000 + 0.5);
}
