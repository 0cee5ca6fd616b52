/* command_line.c: what verbs share: how they complain, the database, who calls, passwords. */
#include "server/command_line.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int command_fail(const struct command_line *line, int code, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "relay %s: ", line->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (code == COMMAND_MISUSED)
        fprintf(stderr, "usage: relay %s %s\n", line->command->name, line->command->synopsis);
    return code;
}

struct desk *command_desk(const struct command_line *line, bool create)
{
    struct desk *desk;
    char error[512];
    if (desk_open(line->userdb, create, &desk, error, sizeof error) == 0)
        return desk;
    command_fail(line, COMMAND_FAILED, "%s%s", error, line->given & COMMAND_FLAG(USERDB) ? "" : " (--userdb names another file)");
    return NULL;
}

int command_end(const struct command_line *line, struct desk *desk, int err)
{
    const int code = err ? command_fail(line, COMMAND_FAILED, "%s", desk_error(desk)) : COMMAND_DONE;
    desk_close(desk);
    if (fflush(stdout) == 0 || code != COMMAND_DONE)
        return code;
    return command_fail(line, COMMAND_FAILED, "standard output: %s", strerrordesc_np(errno));
}

const char *command_who(char out[COMMAND_WHO_MAX])
{
    char strings[1024];
    struct passwd user, *found = NULL;
    if (getpwuid_r(getuid(), &user, strings, sizeof strings, &found) == 0 && found)
        snprintf(out, COMMAND_WHO_MAX, "cli:%s", user.pw_name);
    else
        snprintf(out, COMMAND_WHO_MAX, "cli:%u", (unsigned)getuid());
    return out;
}

int command_prepare(const struct command_line *line, const char *what, const char *text, size_t most, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    if (opaque_enforce(view_text(text), out, &len, why) != 0)
        return command_fail(line, COMMAND_MISUSED, "%s %s", what, why);
    return len > most ? command_fail(line, COMMAND_MISUSED, "%s has %zu bytes, more than %zu", what, len, most) : 0;
}

int command_read_line(const char *path, char *out, size_t cap)
{
    FILE *file = path ? fopen(path, "re") : stdin;
    const bool got = file && fgets(out, (int)cap, file);
    const size_t len = got ? strcspn(out, "\r\n") : 0;
    const bool whole = got && (out[len] || feof(file)); /* the end of the line was seen */
    if (got)
        out[len] = 0;
    if (file && file != stdin)
        fclose(file);
    return whole && len > 0 ? 0 : -1;
}

int command_password(const struct command_line *line, char out[COMMAND_PASSWORD_CAP], const char **password)
{
    const int ways = !!(line->given & COMMAND_FLAG(PASSWORD)) + !!(line->given & COMMAND_FLAG(PASSWORD_STDIN)) + !!(line->given & COMMAND_FLAG(PASSWORD_FILE));
    if (ways != !!(line->given & COMMAND_FLAG(USER)))
        return command_fail(line, COMMAND_MISUSED, ways ? "--user as well, and one password" : "a password as well: --password-stdin, --password-file or --password");
    *password = NULL;
    if (!ways)
        return 0;
    *password = line->password ? line->password : out;
    if (line->given & COMMAND_FLAG(PASSWORD))
        return 0;
    if (command_read_line(line->password_file, out, COMMAND_PASSWORD_CAP) == 0)
        return 0;
    return command_fail(line, COMMAND_FAILED, "%s: cannot be read, or has no password in its first line", line->password_file ? line->password_file : "standard input");
}
