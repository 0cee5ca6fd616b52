/* command_backup.c: relay backup: a copy of the database, of a file or of a relay that runs. */
#include "server/command_line.h"

#include "base/err.h"
#include "store/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LARGE_BYTES (INT64_C(64) << 20) /* from here on a terminal is told how far it is */
#define ASK_EVERY_MS 100
#define MIB (1 << 20)

/* tell: on one line of the terminal, over and over. */
static void tell(const struct backup_sum *sum)
{
    if (sum->pages * sum->page_bytes >= LARGE_BYTES && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%3d %% of %jd MiB", (int)(sum->done * 100 / sum->pages), (intmax_t)(sum->pages * sum->page_bytes / MIB));
}

static int end(const struct command_line *line, const struct backup_sum *sum)
{
    if (sum->pages * sum->page_bytes >= LARGE_BYTES && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    printf("%s: %jd bytes\n", line->words[0], (intmax_t)(sum->pages * sum->page_bytes));
    return fflush(stdout) == 0 ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "standard output cannot be written");
}

static int copy_here(const struct command_line *line)
{
    char error[512];
    struct backup *backup;
    struct backup_sum sum;
    int err = backup_begin(line->userdb, line->words[0], &backup, error, sizeof error);
    if (err)
        return command_fail(line, COMMAND_FAILED, "%s", error);
    do {
        backup_sum(backup, &sum);
        tell(&sum);
    } while ((err = backup_step(backup, BACKUP_PAGES, error, sizeof error)) == ERR_PARTIAL);
    backup_end(backup);
    return err ? command_fail(line, COMMAND_FAILED, "%s", error) : end(line, &sum);
}

static struct backup_sum sum_of(const json_t *body)
{
    return (struct backup_sum){.pages = json_integer_value(json_object_get(body, "pages")),
                               .done = json_integer_value(json_object_get(body, "done")),
                               .page_bytes = json_integer_value(json_object_get(body, "page_bytes"))};
}

/* follow: until it has come to an end. */
static int follow(const struct command_line *line, json_t *body)
{
    static const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
    struct backup_sum sum = sum_of(body);
    while (strcmp(command_text(body, "state"), "running") == 0) {
        json_decref(body);
        nanosleep(&pause, NULL);
        const int code = command_send(line, &(struct command_question){.method = "GET", .path = {"v1", "backup"}}, &body);
        if (code)
            return code;
        sum = sum_of(body);
        tell(&sum);
    }
    const int code = strcmp(command_text(body, "state"), "done") == 0 ? end(line, &sum) : command_fail(line, COMMAND_FAILED, "%s", command_text(body, "error"));
    json_decref(body);
    return code;
}

/* The relay has a directory of its own: it is told the whole path. */
static int copy_there(const struct command_line *line)
{
    char directory[4096] = "", *path = NULL;
    const char *out = line->words[0];
    json_t *body = NULL;
    if (*out != '/' && !getcwd(directory, sizeof directory - 1))
        return command_fail(line, COMMAND_FAILED, "the current directory has no path");
    if (asprintf(&path, "%s%s%s", directory, *out == '/' ? "" : "/", out) < 0)
        return command_fail(line, COMMAND_FAILED, "out of memory");
    const struct command_question question = {.method = "POST", .path = {"v1", "backup"}, .body = json_pack("{s:s}", "path", path)};
    const int code = command_send(line, &question, &body);
    free(path);
    return code ? code : follow(line, body);
}

int command_backup(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return command_is_remote(line) ? copy_there(line) : copy_here(line);
}
