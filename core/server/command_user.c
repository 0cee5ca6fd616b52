/* command_user.c: relay user add, list, remove. Passwords are never in argv, in the environment or in the database: the key is. */
#include "server/command_line.h"

#include "base/crypto.h"
#include "base/err.h"
#include "turn/password.h"
#include "wire/integrity.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 512

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
    if (line->given & COMMAND_FLAG(PASSWORD_STDIN))
        return command_read_line(NULL, out, PASSWORD_MAX) == 0
                   ? 0
                   : command_fail(line, COMMAND_FAILED, "standard input: no password in its first line");
    if (line->given & COMMAND_FLAG(PASSWORD_FILE))
        return command_read_line(line->password_file, out, PASSWORD_MAX) == 0
                   ? 0
                   : command_fail(line, COMMAND_FAILED, "%s: cannot be read, or has no password in its first line", line->password_file);
    return prompt_twice(line, out);
}

/* make_keys: MD5 keys as each kind of client makes them, and a SHA-256 key of the prepared password. */
static int make_keys(struct crypto *crypto, const struct desk_user *user, struct view password, struct store_keys *out)
{
    struct long_term_key keys[PASSWORD_KEYS_MAX];
    struct login login = {.username = view_text(user->name), .realm = view_text(user->realm)};
    const int count = password_keys(crypto, &login, password, keys);
    for (int i = 0; i < count; i++)
        memcpy(out->md5[out->md5_count++], keys[i].bytes, STORE_KEY_LEN);
    login.sha256 = true;
    const int strong = count > 0 ? password_keys(crypto, &login, password, keys) : count;
    memcpy(out->sha256, keys[0].bytes, STORE_KEY_SHA256_LEN);
    out->has_sha256 = strong > 0;
    crypto_wipe(keys, sizeof keys);
    return strong > 0 ? 0 : ERR_SYSTEM;
}

static int keys_of_password(const struct command_line *line, struct crypto *crypto, struct desk_user *user)
{
    char password[PASSWORD_MAX] = "", prepared[OPAQUE_MAX_LEN + 1];
    int code = read_password(line, password);
    if (code == 0)
        code = command_prepare(line, "the password", password, OPAQUE_MAX_LEN, prepared);
    if (code == 0 && make_keys(crypto, user, view_text(password), &user->keys) != 0)
        code = command_fail(line, COMMAND_FAILED, "libcrypto has no MD5 (FIPS mode?): no long-term key can be made");
    crypto_wipe(password, sizeof password);
    crypto_wipe(prepared, sizeof prepared);
    return code;
}

static int take_key(const struct command_line *line, struct store_keys *out)
{
    const bool digits = strncmp(line->key, "0x", 2) == 0 && strlen(line->key) == 2 + 2 * STORE_KEY_LEN;
    out->md5_count = 1;
    if (digits && crypto_hex_decode(view_text(line->key + 2), out->md5[0], STORE_KEY_LEN) == 0)
        return 0;
    return command_fail(line, COMMAND_MISUSED, "--key: 0x and 32 hex digits, the MD5 of name:realm:password");
}

static bool has_one_source(uint64_t given)
{
    const uint64_t sources = given & (COMMAND_FLAG(KEY) | COMMAND_FLAG(PASSWORD_FILE) | COMMAND_FLAG(PASSWORD_STDIN));
    return (sources & (sources - 1)) == 0; /* none is one too: the terminal */
}

/* fill_user: all that is kept of a user whose names are prepared. */
static int fill_user(const struct command_line *line, struct desk_user *user)
{
    struct crypto *crypto = crypto_new();
    if (!crypto || integrity_userhash(crypto, view_text(user->name), view_text(user->realm), user->userhash) != 0) {
        crypto_free(crypto);
        return command_fail(line, COMMAND_FAILED, "libcrypto cannot be used");
    }
    const int code = line->given & COMMAND_FLAG(KEY) ? take_key(line, &user->keys) : keys_of_password(line, crypto, user);
    crypto_free(crypto);
    return code;
}

static int put_user(const struct command_line *line, const struct desk_user *user)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, true);
    return desk ? command_end(line, desk, desk_user_put(desk, user, command_who(who))) : COMMAND_FAILED;
}

int command_user_add(const struct command_line *line)
{
    char realm[OPAQUE_MAX_LEN + 1], name[OPAQUE_MAX_LEN + 1];
    struct desk_user user = {.realm = realm, .name = name};
    int code = command_prepare(line, "--realm", line->realm, REALM_MAX_LEN, realm);
    if (code == 0)
        code = command_prepare(line, "the name", line->words[0], STORE_NAME_MAX, name);
    if (code)
        return code;
    if (!has_one_source(line->given))
        return command_fail(line, COMMAND_MISUSED, "more than one of --password-stdin, --password-file and --key");
    code = fill_user(line, &user);
    if (code == 0)
        code = put_user(line, &user);
    crypto_wipe(&user.keys, sizeof user.keys);
    return code;
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
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_users(desk, line->realm, list_user, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
