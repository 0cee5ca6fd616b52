/* command_user.c: relay user add, list, remove. Passwords are never in argv, in the environment or in the database: the key is. */
#include "server/command_line.h"

#include "base/crypto.h"
#include "wire/integrity.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 512
#define NAME_MAX_BYTES 508 /* of USERNAME, RFC 8489 section 14.3: fewer than 509 bytes */
#define REALM_MAX_BYTES 127

/* prompt: one line from the terminal on standard input, not echoed. Ctrl-C ends the program when the terminal echoes again. */
static int prompt(const char *text, char out[PASSWORD_MAX])
{
    struct termios before, silent;
    sigset_t keys, unblocked;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return -1;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    sigemptyset(&keys);
    sigaddset(&keys, SIGINT);
    sigaddset(&keys, SIGQUIT);
    sigaddset(&keys, SIGTSTP);
    sigprocmask(SIG_BLOCK, &keys, &unblocked);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fputs(text, stderr);
    const int err = command_read_line(NULL, out, PASSWORD_MAX);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    return err;
}

static int prompt_twice(const struct command_line *line, char out[PASSWORD_MAX])
{
    char again[PASSWORD_MAX] = "";
    if (!isatty(STDIN_FILENO))
        return command_fail(line, COMMAND_MISUSED,
                            "no password: standard input is no terminal to ask on: use --password-stdin, --password-file or --key");
    if (prompt("Password: ", out) || prompt("Once more: ", again))
        return command_fail(line, COMMAND_FAILED, "no password was given");
    const bool same = strcmp(out, again) == 0;
    crypto_wipe(again, sizeof again);
    return same ? 0 : command_fail(line, COMMAND_FAILED, "the two passwords differ: nothing was changed");
}

static int read_password(const struct command_line *line, char out[PASSWORD_MAX])
{
    if (line->given & COMMAND_FLAG_PASSWORD_STDIN)
        return command_read_line(NULL, out, PASSWORD_MAX) == 0
                   ? 0
                   : command_fail(line, COMMAND_FAILED, "standard input: no password in its first line");
    if (line->given & COMMAND_FLAG_PASSWORD_FILE)
        return command_read_line(line->password_file, out, PASSWORD_MAX) == 0
                   ? 0
                   : command_fail(line, COMMAND_FAILED, "%s: cannot be read, or has no password in its first line", line->password_file);
    return prompt_twice(line, out);
}

static int key_of_password(const struct command_line *line, uint8_t key[STORE_KEY_LEN])
{
    char password[PASSWORD_MAX] = "";
    struct crypto *crypto = crypto_new();
    int code = crypto ? read_password(line, password) : command_fail(line, COMMAND_FAILED, "libcrypto cannot be used");
    if (code == 0 && integrity_key(crypto, view_text(line->words[0]), view_text(line->realm), view_text(password), key) != 0)
        code = command_fail(line, COMMAND_FAILED, "libcrypto has no MD5 (FIPS mode?): no long-term key can be made");
    crypto_wipe(password, sizeof password);
    crypto_free(crypto);
    return code;
}

static int take_key(const struct command_line *line, uint8_t key[STORE_KEY_LEN])
{
    const bool digits = strncmp(line->key, "0x", 2) == 0 && strlen(line->key) == 2 + 2 * STORE_KEY_LEN;
    if (digits && crypto_hex_decode(view_text(line->key + 2), key, STORE_KEY_LEN) == 0)
        return 0;
    return command_fail(line, COMMAND_MISUSED, "--key: 0x and 32 hex digits, the MD5 of name:realm:password");
}

static bool has_one_source(unsigned given)
{
    const unsigned sources = given & (COMMAND_FLAG_KEY | COMMAND_FLAG_PASSWORD_FILE | COMMAND_FLAG_PASSWORD_STDIN);
    return (sources & (sources - 1)) == 0; /* none is one too: the terminal */
}

static int check_names(const struct command_line *line)
{
    if (strlen(line->realm) > REALM_MAX_BYTES)
        return command_fail(line, COMMAND_MISUSED, "--realm: at most %d bytes", REALM_MAX_BYTES);
    if (!*line->words[0] || strlen(line->words[0]) > NAME_MAX_BYTES)
        return command_fail(line, COMMAND_MISUSED, "a name has 1 to %d bytes", NAME_MAX_BYTES);
    return 0;
}

int command_user_add(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX];
    uint8_t key[STORE_KEY_LEN];
    int code = check_names(line);
    if (code)
        return code;
    if (!has_one_source(line->given))
        return command_fail(line, COMMAND_MISUSED, "more than one of --password-stdin, --password-file and --key");
    code = line->given & COMMAND_FLAG_KEY ? take_key(line, key) : key_of_password(line, key);
    if (code)
        return code;
    struct desk *desk = command_desk(line, true);
    const int err = desk ? desk_user_put(desk, line->realm, line->words[0], key, command_who(who)) : 0;
    crypto_wipe(key, sizeof key);
    return desk ? command_end(line, desk, err) : COMMAND_FAILED;
}

int command_user_remove(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    return command_end(line, desk, desk_user_remove(desk, line->realm, line->words[0], command_who(who)));
}

static const struct column columns[] = {{"realm", COLUMN_TEXT, 24}, {"name", COLUMN_TEXT, 24}, {"created", COLUMN_TIME, 20}};

static void list_user(void *ctx, const char *realm, const char *user, int64_t created_ms)
{
    list_row(ctx, (const struct cell[]){{.text = realm}, {.text = user}, {.number = created_ms}});
}

int command_user_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG_JSON);
    const int err = desk_users(desk, line->realm, list_user, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
