/* command_secret.c: relay secret add, list, remove. A secret comes from standard input only: argv is everybody's to read; or it is made, and shown once. */
#include "server/command_line.h"

#include "base/crypto.h"
#include "turn/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 512
#define MADE_LEN 32

/* get_secret: from standard input, or a new one. */
static int get_secret(const struct command_line *line, char out[SECRET_MAX])
{
    uint8_t bytes[MADE_LEN];
    if (line->given & COMMAND_FLAG(SECRET_STDIN))
        return command_read_line(NULL, out, SECRET_MAX) == 0 ? 0 : command_fail(line, COMMAND_FAILED, "standard input: no secret in its first line");
    crypto_random(bytes, sizeof bytes);
    crypto_base64url(view_of(bytes, sizeof bytes), out);
    crypto_wipe(bytes, sizeof bytes);
    return 0;
}

static int add_here(const struct command_line *line, const char *secret)
{
    char who[COMMAND_WHO_MAX], realm[OPAQUE_MAX_LEN + 1];
    struct desk *desk = command_desk(line, true);
    const int code = desk ? command_realm(line, desk, realm) : COMMAND_FAILED;
    if (code) {
        desk_close(desk);
        return code;
    }
    return command_end(line, desk, desk_secret_add(desk, &(struct desk_secret){.tenant = line->tenant, .realm = realm}, secret, command_who(who), NULL));
}

static int add_there(const struct command_line *line, const char *secret)
{
    const struct command_question question = {
        .method = "POST", .path = {"v1", "tenants", command_owner(line), "secrets"}, .body = json_pack("{s:s}", "secret", secret)};
    json_t *answer = NULL;
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_secret_add(const struct command_line *line)
{
    char secret[SECRET_MAX] = "";
    int code = command_check_owner(line, false);
    if (code == 0)
        code = get_secret(line, secret);
    if (code == 0)
        code = (command_is_remote(line) ? add_there : add_here)(line, secret);
    if (code == 0 && !(line->given & COMMAND_FLAG(SECRET_STDIN)))
        puts(secret);
    crypto_wipe(secret, sizeof secret);
    return code;
}

static const struct column columns[] = {{"id", COLUMN_NUMBER, 6}, {"realm", COLUMN_TEXT, 24}, {"created", COLUMN_TIME, 20}};

static void list_secret(void *ctx, const struct desk_secret *secret)
{
    list_row(ctx, (const struct cell[]){{.number = secret->id}, {.text = secret->realm}, {.number = secret->created_ms}});
}

static void list_told(void *ctx, const json_t *row)
{
    list_secret(ctx, &(struct desk_secret){.id = strtoll(command_text(row, "id"), NULL, 10),
                                           .realm = command_text(row, "realm"),
                                           .created_ms = command_time_ms(row, "created")});
}

static void begin(const struct command_line *line, struct list *list)
{
    list_begin(list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
}

static int list_here(const struct command_line *line)
{
    char realm[OPAQUE_MAX_LEN + 1];
    struct list list;
    struct desk *desk = command_desk(line, false);
    const int code = desk ? command_realm(line, desk, realm) : COMMAND_FAILED;
    if (code) {
        desk_close(desk);
        return code;
    }
    begin(line, &list);
    const int err = desk_secrets(desk, *realm ? realm : NULL, &(struct desk_page){0}, list_secret, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

static int list_there(const struct command_line *line)
{
    const struct command_question question = {.method = "GET", .path = {"v1", "tenants", command_owner(line), "secrets"}};
    struct list list;
    json_t *rows;
    const int code = command_rows(line, &question, "secrets", SIZE_MAX, &rows);
    if (code)
        return code;
    begin(line, &list);
    return command_list(line, &list, rows, list_told);
}

int command_secret_list(const struct command_line *line)
{
    const int code = command_check_owner(line, false);
    if (code)
        return code;
    return command_is_remote(line) ? list_there(line) : list_here(line);
}

static int remove_here(const struct command_line *line, int64_t id)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, false);
    return desk ? command_end(line, desk, desk_secret_remove(desk, &(struct desk_secret){.id = id}, command_who(who))) : COMMAND_FAILED;
}

static int remove_there(const struct command_line *line)
{
    const struct command_question question = {.method = "DELETE", .path = {"v1", "tenants", "*", "secrets", line->words[0]}};
    json_t *answer = NULL;
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_secret_remove(const struct command_line *line)
{
    const char *word = line->words[0];
    const int code = command_check_file(line);
    if (code)
        return code;
    if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 18)
        return command_fail(line, COMMAND_MISUSED, "%s: the number that `relay secret list` shows", word);
    return command_is_remote(line) ? remove_there(line) : remove_here(line, strtoll(word, NULL, 10));
}
