/* command_usage.c: relay usage: by tenant and user, or in sums by what is asked for, of the file or of the relay that runs. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "base/clock.h"
#include "server/usage_text.h"

#include <stdlib.h>
#include <string.h>

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

/* by_user: what there is without --group-by. */
static int by_user(const struct command_line *line, int64_t from, int64_t to)
{
    const int64_t now = clock_unix_ms();
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_usage(desk, line->tenant, from, to < now ? to : now, list_usage, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

/* ---- sums ---- */

#define COLUMNS_MAX (SUMMARY_KEYS + SUMMARY_NUMBERS)

enum form { FORM_TABLE, FORM_JSON, FORM_CSV, FORM_NDJSON };
static const enum usage_format form_formats[] = {[FORM_JSON] = USAGE_JSON, [FORM_CSV] = USAGE_CSV, [FORM_NDJSON] = USAGE_NDJSON};

/* struct sums: a table for people. */
struct sums {
    struct column columns[COLUMNS_MAX];
    struct list list;
    const struct summary_question *question;
};

static void begin_table(struct sums *table, const struct summary_question *question)
{
    size_t count = 0;
    table->question = question;
    for (size_t i = 0; i < question->key_count; i++)
        table->columns[count++] = (struct column){summary_key_names[question->keys[i]], COLUMN_TEXT, 20};
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        if (summary_numbers(question) & SUMMARY_BIT(i))
            table->columns[count++] = (struct column){summary_number_names[i], COLUMN_NUMBER, i <= SUMMARY_bytes_out ? 16 : 14};
    list_begin(&table->list, table->columns, count, false);
}

static void put_row(struct sums *table, const char *const *texts, const int64_t *numbers)
{
    struct cell cells[COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < table->question->key_count; i++)
        cells[count++] = (struct cell){.text = texts[i]};
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        if (summary_numbers(table->question) & SUMMARY_BIT(i))
            cells[count++] = (struct cell){.number = numbers[i]};
    list_row(&table->list, cells);
}

static void put_read_row(struct sums *table, const struct summary_row *row)
{
    char kept[SUMMARY_KEYS][USAGE_NAME_CAP];
    const char *texts[SUMMARY_KEYS];
    for (size_t i = 0; i < table->question->key_count; i++)
        texts[i] = usage_key_text(table->question, row, i, kept[i]);
    put_row(table, texts, row->numbers);
}

/* number_of: one beyond 2^53 - 1 is text. */
static int64_t number_of(const json_t *value)
{
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : json_integer_value(value);
}

/* put_told_row: a line of NDJSON. */
static void put_told_row(struct sums *table, const json_t *row)
{
    const char *texts[SUMMARY_KEYS];
    int64_t numbers[SUMMARY_NUMBERS];
    for (size_t i = 0; i < table->question->key_count; i++) {
        const char *text = json_string_value(json_object_get(row, summary_key_names[table->question->keys[i]]));
        texts[i] = text ? text : "";
    }
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        numbers[i] = number_of(json_object_get(row, summary_number_names[i]));
    put_row(table, texts, numbers);
}

static void print_told(const struct summary_question *question, const char *text)
{
    struct sums table;
    begin_table(&table, question);
    for (size_t len; *text; text += len) {
        len = strcspn(text, "\n");
        json_t *row = json_loadb(text, len, 0, NULL);
        if (row)
            put_told_row(&table, row);
        json_decref(row);
        len += text[len] == '\n';
    }
    list_end(&table.list);
}

static void put_path(const struct command_line *line, enum form form, struct slab *out)
{
    static const char *const formats[] = {"ndjson", "json", "csv", "ndjson"};
    const char *const said[][2] = {{"from", line->from}, {"to", line->to},   {"group_by", line->group_by}, {"sort", line->sort},
                                   {"room", line->room}, {"tag", line->tag}, {"user", line->user},         {"limit", line->limit},
                                   {"format", formats[form]}};
    slab_put_text(out, line->tenant ? "/v1/tenants/" : "/v1");
    if (line->tenant)
        ask_put_part(out, line->tenant);
    slab_put_text(out, "/usage");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        ask_put(out, said[i][0], said[i][1]);
    slab_put_u8(out, 0);
}

/* ask: the relay that runs. */
static int ask(const struct command_line *line, const struct summary_question *question, enum form form)
{
    char path[ASK_PATH_MAX], *text;
    struct slab out = slab_over(path, sizeof path);
    put_path(line, form, &out);
    if (form != FORM_TABLE)
        return command_ask_copy(line, path);
    const int code = command_ask_text(line, path, &text);
    if (code)
        return code;
    print_told(question, text);
    free(text);
    return command_answered(line, NULL);
}

/* print_table, print_text: all rows: 0, or negative. */
static int print_table(struct summary *summary)
{
    struct sums table;
    struct summary_row row;
    int more;
    begin_table(&table, summary_question(summary));
    while ((more = summary_next(summary, &row)) > 0)
        put_read_row(&table, &row);
    list_end(&table.list);
    return more;
}

static int print_text(struct summary *summary, enum usage_format format)
{
    const struct summary_question *question = summary_question(summary);
    struct summary_row row;
    int more;
    usage_head(stdout, format, question);
    for (size_t count = 0; (more = summary_next(summary, &row)) > 0; count++)
        usage_row(stdout, format, question, &row, count);
    usage_foot(stdout, format, summary);
    return more;
}

/* look: at the file, which is brought to its newest form first. */
static int look(const struct command_line *line, const struct summary_question *question, enum form form)
{
    struct summary *summary;
    char error[512];
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    desk_close(desk);
    if (summary_open(line->userdb, question, &summary, error, sizeof error) != 0)
        return command_fail(line, COMMAND_FAILED, "%s", error);
    int err;
    while ((err = summary_gather(summary)) > 0)
        continue;
    if (err == 0)
        err = form == FORM_TABLE ? print_table(summary) : print_text(summary, form_formats[form]);
    const int code = err ? command_fail(line, COMMAND_FAILED, "%s", summary_error(summary)) : command_answered(line, NULL);
    summary_close(summary);
    return code;
}

static int read_keys(const struct command_line *line, struct summary_question *question)
{
    for (const char *at = line->group_by; at && *at; at += strcspn(at, ","), at += *at == ',') {
        char name[16];
        view_copy(view_of(at, strcspn(at, ",")), name, sizeof name);
        const char *why = usage_add_key(question, name);
        if (why)
            return command_fail(line, COMMAND_MISUSED, "--group-by: %s", why);
    }
    return 0;
}

static int read_order(const struct command_line *line, struct summary_question *question)
{
    char *end = NULL;
    question->limit = line->limit ? strtoll(line->limit, &end, 10) : 0;
    if (line->limit && (*end || question->limit <= 0))
        return command_fail(line, COMMAND_MISUSED, "--limit: a number from 1 expected");
    if (!line->sort)
        return 0;
    question->is_sorted = true;
    question->sort = usage_number(line->sort);
    if (question->sort == SUMMARY_NUMBERS || !(summary_numbers(question) & SUMMARY_BIT(question->sort)))
        return command_fail(line, COMMAND_MISUSED, "--sort: one of the numbers of the rows expected, of " USAGE_NUMBERS);
    return 0;
}

static int read_form(const struct command_line *line, enum form *out)
{
    static const char *const names[] = {"table", "json", "csv", "ndjson"};
    const char *wanted = line->format ? line->format : line->given & COMMAND_FLAG(JSON) ? "json" : "table";
    int i = 0;
    while (i <= FORM_NDJSON && strcmp(names[i], wanted) != 0)
        i++;
    *out = (enum form)i;
    return i <= FORM_NDJSON ? 0 : command_fail(line, COMMAND_MISUSED, "--format: table, json, csv or ndjson expected, not %s", wanted);
}

static int by_keys(const struct command_line *line, int64_t from, int64_t to)
{
    struct summary_question question = {
        .tenant = line->tenant, .room = line->room, .tag = line->tag, .user = line->user, .from_ms = from, .to_ms = to};
    enum form form;
    int code = command_check_file(line);
    if (!code)
        code = read_form(line, &form);
    if (!code)
        code = read_keys(line, &question);
    if (!code)
        code = read_order(line, &question);
    if (code)
        return code;
    return command_is_remote(line) ? ask(line, &question, form) : look(line, &question, form);
}

#define SUMS_FLAGS                                                                                                                         \
    (COMMAND_FLAG(GROUP_BY) | COMMAND_FLAG(ROOM) | COMMAND_FLAG(TAG) | COMMAND_FLAG(USER) | COMMAND_FLAG(SORT) | COMMAND_FLAG(LIMIT) |     \
     COMMAND_FLAG(FORMAT) | COMMAND_FLAG(ADMIN_SOCKET) | COMMAND_FLAG(CONFIG))

/* Sums are of this month, as at the admin door, unless it is said otherwise; what each user relayed is of all time. */
int command_usage(const struct command_line *line)
{
    const bool wants_sums = line->given & SUMS_FLAGS;
    int64_t to = clock_unix_ms();
    if (line->to && !clock_parse(line->to, &to))
        return command_fail(line, COMMAND_MISUSED, "--to: neither Unix seconds nor a date: %s", line->to);
    int64_t from = wants_sums ? usage_month(to - 1) : 0;
    if (line->from && !clock_parse(line->from, &from))
        return command_fail(line, COMMAND_MISUSED, "--from: neither Unix seconds nor a date: %s", line->from);
    if (from >= to)
        return command_fail(line, COMMAND_MISUSED, "--from is not before --to");
    return wants_sums ? by_keys(line, from, to) : by_user(line, from, to);
}
