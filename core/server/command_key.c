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
    *out = (struct desk_key){.tenant = line->tenant, .scopes = line->scope, .name = line->name ? line->name : "", .created_ms = clock_unix_ms()};
    if (!api_key_scopes(line->scope, &scopes) || strlen(line->scope) > STORE_API_KEY_SCOPES_MAX)
        return command_fail(line, COMMAND_MISUSED, "--scope: %s: mint, usage:read and admin are there, with commas between them", line->scope);
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

int command_key_add(const struct command_line *line)
{
    struct desk_key key;
    struct api_key made = {0};
    int code = read_line(line, &key);
    if (code)
        return code;
    struct desk *desk = command_desk(line, true);
    if (!desk)
        return COMMAND_FAILED;
    struct crypto *crypto = crypto_new();
    const int err = crypto ? add(desk, crypto, &key, &made) : ERR_MEMORY;
    crypto_free(crypto);
    if (!err)
        puts(made.token);
    else if (err == ERR_NOT_FOUND)
        code = command_fail(line, COMMAND_FAILED, "%s: no such tenant: make it with relay tenant set %s status=active", line->tenant, line->tenant);
    crypto_wipe(&made, sizeof made);
    if (!code)
        return command_end(line, desk, err);
    desk_close(desk);
    return code;
}

int command_key_remove(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX], owner[STORE_TENANT_MAX + 1];
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    return command_end(line, desk, desk_key_remove(desk, line->words[0], NULL, command_who(who), owner));
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

int command_key_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_keys(desk, &(struct desk_page){.name = line->tenant}, list_key, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
