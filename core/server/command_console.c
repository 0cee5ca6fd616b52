/* command_console.c: relay console: lines of Lua, from the terminal or the command line. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/err.h"
#include "policy/console.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask_relay(void *ctx, const char *path, const struct console_parameter *parameters, size_t count, long *status, char **text,
                     char *error, size_t error_cap)
{
    char whole[ASK_PATH_MAX];
    struct slab out = slab_over(whole, sizeof whole - 1);
    slab_put_text(&out, path);
    for (size_t i = 0; i < count; i++)
        ask_put(&out, parameters[i].name, parameters[i].value);
    if (out.overflow) {
        snprintf(error, error_cap, "what is asked for is too long");
        return ERR_BAD;
    }
    whole[out.len] = 0;
    return ask_door_text(ctx, "GET", whole, status, text, error, error_cap);
}

static int run_once(const struct command_line *line, struct console *console)
{
    char error[512];
    const enum console_end end = console_run(console, line->expression, error, sizeof error);
    return end == CONSOLE_DONE ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "%s", error);
}

/* append: another line to the chunk; the whole, or NULL without memory. */
static char *append(char *chunk, const char *more)
{
    const size_t len = chunk ? strlen(chunk) : 0;
    char *longer = realloc(chunk, len + strlen(more) + 1);
    if (!longer) {
        free(chunk);
        return NULL;
    }
    memcpy(longer + len, more, strlen(more) + 1);
    return longer;
}

/* run_lines: until the input ends; an empty line ends a chunk that is not whole. */
static int run_lines(struct console *console)
{
    const bool is_asked = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char *read = NULL, *chunk = NULL, error[512];
    size_t cap = 0;
    if (is_asked)
        puts("relay console, read-only; help() says what there is, Ctrl-D ends");
    for (;;) {
        if (is_asked)
            fputs(chunk ? ">> " : "> ", stdout);
        fflush(stdout);
        if (getline(&read, &cap, stdin) < 0)
            break;
        const bool is_empty = strspn(read, " \t\r\n") == strlen(read);
        if (is_empty && !chunk)
            continue;
        chunk = append(chunk, read);
        const enum console_end end = chunk ? console_run(console, chunk, error, sizeof error) : CONSOLE_FAILED;
        if (end == CONSOLE_PARTIAL && !is_empty)
            continue;
        if (end != CONSOLE_DONE)
            printf("%s\n", error);
        free(chunk);
        chunk = NULL;
    }
    if (is_asked)
        puts("");
    free(read);
    free(chunk);
    return COMMAND_DONE;
}

int command_console(const struct command_line *line)
{
    char socket[COMMAND_SOCKET_MAX];
    const int code = command_door(line, socket, sizeof socket);
    if (code)
        return code;
    struct console *console = console_new(&(struct console_world){ask_relay, socket, stdout});
    if (!console)
        return command_fail(line, COMMAND_FAILED, "out of memory");
    const int end = line->expression ? run_once(line, console) : run_lines(console);
    console_free(console);
    return end ? end : command_answered(line, NULL);
}
