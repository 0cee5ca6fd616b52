/* command_usage.c: relay usage. */
#include "server/command_line.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool command_time(const char *text, int64_t *ms)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    const size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 12 && !text[digits]) {
        *ms = strtoll(text, NULL, 10) * 1000;
        return true;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        if (!end || (*end && strcmp(end, "Z") != 0))
            continue;
        *ms = (int64_t)timegm(&tm) * 1000;
        return true;
    }
    return false;
}

static const struct column columns[] = {
    {"tenant", COLUMN_TEXT, 20},      {"user", COLUMN_TEXT, 20},         {"sessions", COLUMN_NUMBER, 8},
    {"live", COLUMN_NUMBER, 6},       {"seconds", COLUMN_NUMBER, 10},    {"bytes_in", COLUMN_NUMBER, 16},
    {"bytes_out", COLUMN_NUMBER, 16}, {"packets_in", COLUMN_NUMBER, 12}, {"packets_out", COLUMN_NUMBER, 12},
};

static void list_usage(void *ctx, const struct desk_usage_row *row)
{
    list_row(ctx, (const struct cell[]){{.text = row->tenant},
                                        {.text = row->user},
                                        {.number = row->sessions},
                                        {.number = row->live},
                                        {.number = row->seconds},
                                        {.number = (int64_t)row->bytes_in},
                                        {.number = (int64_t)row->bytes_out},
                                        {.number = (int64_t)row->packets_in},
                                        {.number = (int64_t)row->packets_out}});
}

int command_usage(const struct command_line *line)
{
    const int64_t now = clock_unix_ms();
    int64_t from = 0, to = now;
    struct list list;
    if (line->from && !command_time(line->from, &from))
        return command_fail(line, COMMAND_MISUSED, "--from: neither Unix seconds nor a date: %s", line->from);
    if (line->to && !command_time(line->to, &to))
        return command_fail(line, COMMAND_MISUSED, "--to: neither Unix seconds nor a date: %s", line->to);
    if (from >= to)
        return command_fail(line, COMMAND_MISUSED, "--from is not before --to");
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_usage(desk, line->tenant, from, to < now ? to : now, list_usage, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
