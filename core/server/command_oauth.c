/* command_oauth.c: relay oauth add, list, remove. A key comes from standard input only, and is never shown again. */
#include "server/command_line.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define IKM_MAX 256
#define KID_MAX_BYTES 128
#define REALM_MAX_BYTES 127
#define ALGORITHM_DEFAULT "A256GCM"

static int check_names(const struct command_line *line)
{
    if (!*line->words[0] || strlen(line->words[0]) > KID_MAX_BYTES)
        return command_fail(line, COMMAND_MISUSED, "a kid has 1 to %d bytes", KID_MAX_BYTES);
    if (line->realm && strlen(line->realm) > REALM_MAX_BYTES)
        return command_fail(line, COMMAND_MISUSED, "--realm: at most %d bytes", REALM_MAX_BYTES);
    return 0;
}

/* lifetime_of: seconds from now; without it the key has no end. */
static int lifetime_of(const struct command_line *line, int64_t *out)
{
    const size_t digits = line->lifetime ? strspn(line->lifetime, "0123456789") : 0;
    *out = 0;
    if (!line->lifetime)
        return 0;
    if (digits > 0 && digits < 10 && !line->lifetime[digits])
        *out = strtoll(line->lifetime, NULL, 10);
    return *out ? 0 : command_fail(line, COMMAND_MISUSED, "--lifetime: seconds from now, 1 to 999999999");
}

int command_oauth_add(const struct command_line *line)
{
    char ikm[IKM_MAX] = "", who[COMMAND_WHO_MAX];
    struct desk_oauth_key key = {
        .kid = line->words[0],
        .ikm = ikm,
        .algorithm = line->algorithm ? line->algorithm : ALGORITHM_DEFAULT,
        .realm = line->realm ? line->realm : "",
        .timestamp_s = clock_unix_ms() / 1000,
    };
    int code = check_names(line);
    if (!code)
        code = lifetime_of(line, &key.lifetime_s);
    if (code)
        return code;
    if (command_read_line(NULL, ikm, sizeof ikm))
        return command_fail(line, COMMAND_FAILED, "standard input: no key in its first line");
    struct desk *desk = command_desk(line, true);
    const int err = desk ? desk_oauth_put(desk, &key, command_who(who)) : 0;
    crypto_wipe(ikm, sizeof ikm);
    return desk ? command_end(line, desk, err) : COMMAND_FAILED;
}

int command_oauth_remove(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    return command_end(line, desk, desk_oauth_remove(desk, line->words[0], command_who(who)));
}

static const struct column columns[] = {{"kid", COLUMN_TEXT, 24},
                                        {"realm", COLUMN_TEXT, 24},
                                        {"algorithm", COLUMN_TEXT, 9},
                                        {"created", COLUMN_TIME, 20},
                                        {"expires", COLUMN_TIME, 20}};

/* A time that only a mistake can have written is not shown. */
static int64_t shown_ms(int64_t unix_s)
{
    return unix_s > 0 && unix_s < INT64_C(253402300800) ? unix_s * 1000 : 0;
}

static void list_key(void *ctx, const struct desk_oauth_key *key)
{
    const int64_t lifetime_ms = shown_ms(key->lifetime_s);
    list_row(ctx, (const struct cell[]){{.text = key->kid},
                                        {.text = key->realm},
                                        {.text = key->algorithm},
                                        {.number = shown_ms(key->timestamp_s)},
                                        {.number = lifetime_ms ? shown_ms(key->timestamp_s) + lifetime_ms : 0}});
}

int command_oauth_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_oauth_keys(desk, list_key, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
