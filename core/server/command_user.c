/* command_user.c: relay user add, list, remove. Passwords are never in argv, in the environment or in the database: the key is. */
#include "server/command_line.h"

#include "base/crypto.h"
#include "base/err.h"
#include "server/enrol.h"
#include "turn/verdict.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX ENROL_PASSWORD_MAX

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

static bool has_one_source(uint64_t given)
{
    const uint64_t sources = given & (COMMAND_FLAG(KEY) | COMMAND_FLAG(PASSWORD_FILE) | COMMAND_FLAG(PASSWORD_STDIN));
    return (sources & (sources - 1)) == 0; /* none is one too: the terminal */
}

/* make: what is kept of him; 0, or the exit code. */
static int make(const struct command_line *line, const struct enrolment *from, struct desk_user *user)
{
    char why[OPAQUE_WHY_MAX];
    const int err = enrol(user, from, why);
    if (err == ERR_BAD)
        return command_fail(line, COMMAND_MISUSED, "%s %s", from->key ? "--key" : "the password", why);
    return err ? command_fail(line, COMMAND_FAILED, "libcrypto has no MD5 (FIPS mode?): no long-term key can be made") : 0;
}

/* put_here: into the file. */
static int put_here(const struct command_line *line, const char *name, const struct enrolment *from)
{
    char who[COMMAND_WHO_MAX], realm[OPAQUE_MAX_LEN + 1];
    struct desk *desk = command_desk(line, true);
    struct desk_user user = {.realm = realm, .name = name, .tenant = line->tenant};
    int code = desk ? command_realm(line, desk, realm) : COMMAND_FAILED;
    if (code == 0)
        code = make(line, from, &user);
    if (code) {
        desk_close(desk);
        return code;
    }
    const int err = desk_user_put(desk, &user, DESK_PUT, command_who(who));
    crypto_wipe(&user.keys, sizeof user.keys);
    return command_end(line, desk, err);
}

static int put_there(const struct command_line *line, const char *name, const struct enrolment *from)
{
    json_t *answer = NULL, *body = from->key ? json_pack("{s:s, s:s, s:b}", "name", name, "key", from->key, "replace", 1)
                                             : json_pack("{s:s, s:s, s:b}", "name", name, "password", from->password, "replace", 1);
    const int code = command_send(line, &(struct command_question){.method = "POST", .path = {"v1", "tenants", command_owner(line), "users"}, .body = body}, &answer);
    return code ? code : command_answered(line, answer);
}

/* add: what makes no key is refused before anything is opened. */
static int add(const struct command_line *line, const char *name)
{
    char password[PASSWORD_MAX] = "";
    struct desk_user tried = {.realm = "", .name = name};
    const struct enrolment from = {.password = password, .key = line->key};
    int code = line->key ? 0 : read_password(line, password);
    if (code == 0)
        code = make(line, &from, &tried);
    if (code == 0)
        code = (command_is_remote(line) ? put_there : put_here)(line, name, &from);
    crypto_wipe(&tried, sizeof tried);
    crypto_wipe(password, sizeof password);
    return code;
}

int command_user_add(const struct command_line *line)
{
    char realm[OPAQUE_MAX_LEN + 1], name[OPAQUE_MAX_LEN + 1];
    int code = command_check_owner(line, true);
    if (code == 0 && line->realm)
        code = command_prepare(line, "--realm", line->realm, REALM_MAX_LEN, realm);
    if (code == 0)
        code = command_prepare(line, "the name", line->words[0], STORE_NAME_MAX, name);
    if (code)
        return code;
    if (!has_one_source(line->given))
        return command_fail(line, COMMAND_MISUSED, "more than one of --password-stdin, --password-file and --key");
    return add(line, name);
}

static int remove_there(const struct command_line *line)
{
    json_t *answer = NULL;
    const struct command_question question = {.method = "DELETE", .path = {"v1", "tenants", command_owner(line), "users", line->words[0]}};
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_user_remove(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX], realm[OPAQUE_MAX_LEN + 1];
    int code = command_check_owner(line, true);
    if (code)
        return code;
    if (command_is_remote(line))
        return remove_there(line);
    struct desk *desk = command_desk(line, false);
    code = desk ? command_realm(line, desk, realm) : COMMAND_FAILED;
    if (code) {
        desk_close(desk);
        return code;
    }
    return command_end(line, desk, desk_user_remove(desk, &(struct desk_user){.realm = realm, .name = line->words[0], .tenant = line->tenant}, command_who(who)));
}

static const struct column columns[] = {{"realm", COLUMN_TEXT, 24}, {"name", COLUMN_TEXT, 24}, {"created", COLUMN_TIME, 20}};

static void list_user(void *ctx, const char *realm, const char *user, int64_t created_ms)
{
    list_row(ctx, (const struct cell[]){{.text = realm}, {.text = user}, {.number = created_ms}});
}

static void list_told(void *ctx, const json_t *row)
{
    list_user(ctx, command_text(row, "realm"), command_text(row, "name"), command_time_ms(row, "created"));
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
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_users(desk, *realm ? realm : NULL, &(struct desk_page){0}, list_user, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

static int list_there(const struct command_line *line)
{
    struct list list;
    const struct command_question question = {.method = "GET", .path = {"v1", "tenants", command_owner(line), "users"}};
    json_t *rows;
    const int code = command_rows(line, &question, "users", SIZE_MAX, &rows);
    if (code)
        return code;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    return command_list(line, &list, rows, list_told);
}

int command_user_list(const struct command_line *line)
{
    const int code = command_check_owner(line, false);
    if (code)
        return code;
    return command_is_remote(line) ? list_there(line) : list_here(line);
}
