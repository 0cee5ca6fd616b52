/* command_key.c: relay key add, list, remove. A key is printed once, when it is made. */
#include "server/command_line.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "server/api_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 128

/* time_of: from now on, as 90d, 12h, 30m or 60s; or a time as relay usage takes it. */
static bool time_of(const char *text, int64_t *ms)
{
    const int64_t seconds = text[strspn(text, "0123456789")] ? command_seconds(text) : -1;
    if (seconds < 0)
        return clock_parse(text, ms);
    *ms = clock_unix_ms() + seconds * 1000;
    return true;
}

static int read_line(const struct command_line *line, struct desk_key *out)
{
    unsigned scopes;
    *out = (struct desk_key){
        .tenant = line->tenant, .scopes = line->scope, .name = line->name ? line->name : "", .created_ms = clock_unix_ms()};
    if (!api_key_scopes(line->scope, &scopes) || strlen(line->scope) > STORE_API_KEY_SCOPES_MAX)
        return command_fail(line, COMMAND_MISUSED, "--scope: %s: mint, usage:read and admin are there, with commas between them",
                            line->scope);
    if (strlen(line->tenant) > STORE_TENANT_MAX)
        return command_fail(line, COMMAND_MISUSED, "--tenant: a tenant's name has 1 to %d bytes", STORE_TENANT_MAX);
    if (strlen(out->name) > NAME_MAX_BYTES || !utf8_is_text(view_text(out->name)))
        return command_fail(line, COMMAND_MISUSED, "--name: at most %d bytes of UTF-8", NAME_MAX_BYTES);
    if (line->expires && (!time_of(line->expires, &out->expires_ms) || out->expires_ms <= out->created_ms))
        return command_fail(line, COMMAND_MISUSED, "--expires: %s: a time to come: 90d, 12h, or 2027-01-31[T20:15] in UTC", line->expires);
    return 0;
}

static int add(struct desk *desk, struct crypto *crypto, struct desk_key *key, struct api_key *made)
{
    char who[COMMAND_WHO_MAX];
    int err = api_key_make(crypto, made);
    key->id = made->id;
    key->hash = made->hash;
    if (!err)
        err = desk_key_add(desk, key, command_who(who));
    return err;
}

static int add_here(const struct command_line *line, const struct desk_key *asked)
{
    struct desk_key key = *asked;
    struct api_key made = {0};
    struct desk *desk = command_desk(line, true);
    if (!desk)
        return COMMAND_FAILED;
    struct crypto *crypto = crypto_new();
    const int err = crypto ? add(desk, crypto, &key, &made) : ERR_MEMORY;
    crypto_free(crypto);
    if (!err)
        puts(made.token);
    crypto_wipe(&made, sizeof made);
    if (err != ERR_NOT_FOUND)
        return command_end(line, desk, err);
    desk_close(desk);
    return command_fail(line, COMMAND_FAILED, "%s: no such tenant: make it with relay tenant add %s", line->tenant, line->tenant);
}

static int add_there(const struct command_line *line, const struct desk_key *key)
{
    json_t *answer = NULL;
    const struct command_question question = {
        .method = "POST",
        .path = {"v1", "keys"},
        .body = json_pack("{s:s, s:s, s:o, s:o}", "tenant", key->tenant, "name", key->name, "scopes", api_key_scope_list(key->scopes),
                          "expires", key->expires_ms ? json_integer(key->expires_ms / 1000) : json_null()),
    };
    const int code = command_send(line, &question, &answer);
    if (code)
        return code;
    puts(command_text(answer, "token"));
    return command_answered(line, answer);
}

int command_key_add(const struct command_line *line)
{
    struct desk_key key;
    int code = command_check_file(line);
    if (code == 0)
        code = read_line(line, &key);
    if (code)
        return code;
    return (command_is_remote(line) ? add_there : add_here)(line, &key);
}

static int remove_here(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX], owner[STORE_TENANT_MAX + 1];
    struct desk *desk = command_desk(line, false);
    return desk ? command_end(line, desk, desk_key_remove(desk, line->words[0], NULL, command_who(who), owner)) : COMMAND_FAILED;
}

static int remove_there(const struct command_line *line)
{
    const struct command_question question = {.method = "DELETE", .path = {"v1", "keys", line->words[0]}};
    json_t *answer = NULL;
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_key_remove(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return (command_is_remote(line) ? remove_there : remove_here)(line);
}

static const struct column columns[] = {
    {"id", COLUMN_TEXT, 16},      {"tenant", COLUMN_TEXT, 20},  {"scopes", COLUMN_TEXT, 21},  {"name", COLUMN_TEXT, 20},
    {"created", COLUMN_TIME, 20}, {"expires", COLUMN_TIME, 20}, {"revoked", COLUMN_TIME, 20},
};

static void list_key(void *ctx, const struct desk_key *key)
{
    list_row(ctx, (const struct cell[]){{.text = key->id},
                                        {.text = key->tenant},
                                        {.text = key->scopes},
                                        {.text = key->name},
                                        {.number = key->created_ms},
                                        {.number = key->expires_ms},
                                        {.number = key->revoked_ms}});
}

static void list_told(void *ctx, const json_t *row)
{
    char scopes[STORE_API_KEY_SCOPES_MAX + 1];
    list_key(ctx, &(struct desk_key){.id = command_text(row, "id"),
                                     .tenant = command_text(row, "tenant"),
                                     .scopes = api_key_scope_text(json_object_get(row, "scopes"), scopes),
                                     .name = command_text(row, "name"),
                                     .created_ms = command_time_ms(row, "created"),
                                     .expires_ms = command_time_ms(row, "expires"),
                                     .revoked_ms = command_time_ms(row, "revoked")});
}

static void begin(const struct command_line *line, struct list *list)
{
    list_begin(list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
}

static int list_here(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    begin(line, &list);
    const int err = desk_keys(desk, &(struct desk_page){.name = line->tenant}, list_key, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

static int list_there(const struct command_line *line)
{
    const struct command_question question = {.method = "GET", .path = {"v1", "keys"}, .query = {{"tenant", line->tenant}}};
    struct list list;
    json_t *rows;
    const int code = command_rows(line, &question, "keys", SIZE_MAX, &rows);
    if (code)
        return code;
    begin(line, &list);
    return command_list(line, &list, rows, list_told);
}

int command_key_list(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return command_is_remote(line) ? list_there(line) : list_here(line);
}
