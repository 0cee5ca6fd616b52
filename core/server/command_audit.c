/* command_audit.c: relay audit: who changed what. */
#include "server/command_line.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100

static const struct column columns[] = {
    {"time", COLUMN_TIME, 20},   {"who", COLUMN_TEXT, 14},   {"action", COLUMN_TEXT, 14}, {"tenant", COLUMN_TEXT, 14},
    {"detail", COLUMN_JSON, 30}, {"before", COLUMN_JSON, 0}, {"after", COLUMN_JSON, 0},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static void list_row_of(void *ctx, const struct desk_audit *row)
{
    list_row(ctx, (const struct cell[COLUMNS]){{.number = row->at_ms},
                                               {.text = row->who},
                                               {.text = row->type},
                                               {.text = row->tenant},
                                               {.text = row->detail},
                                               {.text = row->before},
                                               {.text = row->after}});
}

/* read_page: 0, or the exit code. */
static int read_page(const struct command_line *line, struct desk_audit_page *page)
{
    char *end = NULL;
    *page = (struct desk_audit_page){.tenant = line->tenant, .to_ms = INT64_MAX, .limit = LIMIT_DEFAULT};
    if (line->from && !clock_parse(line->from, &page->from_ms))
        return command_fail(line, COMMAND_MISUSED, "--from: neither Unix seconds nor a date: %s", line->from);
    if (line->to && !clock_parse(line->to, &page->to_ms))
        return command_fail(line, COMMAND_MISUSED, "--to: neither Unix seconds nor a date: %s", line->to);
    if (line->limit)
        page->limit = strtoul(line->limit, &end, 10);
    if (line->limit && (*end || *line->limit < '0' || *line->limit > '9' || page->limit == 0))
        return command_fail(line, COMMAND_MISUSED, "--limit: a number above 0 expected");
    return command_check_file(line);
}

static int list_here(const struct command_line *line, const struct desk_audit_page *page)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, COLUMNS, line->given & COMMAND_FLAG(JSON));
    const int err = desk_audits(desk, page, list_row_of, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

static void list_told(void *ctx, const json_t *row)
{
    char *detail = json_dumps(json_object_get(row, "detail"), JSON_COMPACT), *before = json_dumps(json_object_get(row, "before"), JSON_COMPACT),
         *after = json_dumps(json_object_get(row, "after"), JSON_COMPACT);
    list_row_of(ctx, &(struct desk_audit){.at_ms = command_time_ms(row, "time"),
                                          .who = command_text(row, "who"),
                                          .type = command_text(row, "action"),
                                          .tenant = command_text(row, "tenant"),
                                          .detail = detail ? detail : "null",
                                          .before = before,
                                          .after = after});
    free(detail);
    free(before);
    free(after);
}

static int list_there(const struct command_line *line, const struct desk_audit_page *page)
{
    char from[24], to[24];
    struct command_question question = {.method = "GET", .path = {"v1", "audit"}, .query = {{"tenant", line->tenant}}};
    struct list list;
    json_t *rows;
    snprintf(from, sizeof from, "%jd", (intmax_t)(page->from_ms / 1000));
    snprintf(to, sizeof to, "%jd", (intmax_t)(page->to_ms / 1000));
    if (line->from)
        question.query[1] = (struct command_parameter){"from", from};
    if (line->to)
        question.query[2] = (struct command_parameter){"to", to};
    const int code = command_rows(line, &question, "audit", page->limit, &rows);
    if (code)
        return code;
    list_begin(&list, columns, COLUMNS, line->given & COMMAND_FLAG(JSON));
    return command_list(line, &list, rows, list_told);
}

int command_audit(const struct command_line *line)
{
    struct desk_audit_page page;
    const int code = read_page(line, &page);
    if (code)
        return code;
    return command_is_remote(line) ? list_there(line, &page) : list_here(line, &page);
}
