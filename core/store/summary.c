/* summary.c: see summary.h. */
#include "store/summary_sql.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 10000 /* rows of the file: some ten milliseconds */
#define MINUTE_MS 60000
#define NAME_CAP 1024

/* struct gathering: rows of the same keys that came one after the other, which are most of them, are added up before they are put into the table. */
struct gathering {
    bool is_there;
    char texts[SUMMARY_KEYS][NAME_CAP];
    int64_t times[SUMMARY_KEYS];
    int64_t numbers[SUMMARY_NUMBERS];
};

struct summary {
    struct summary_question question;
    sqlite3 *db;
    sqlite3_stmt *source, *add, *rows;
    int64_t total[SUMMARY_NUMBERS], span;
    struct gathering gathering;
    char error[256];
};

static int failed(struct summary *summary)
{
    snprintf(summary->error, sizeof summary->error, "%s", sqlite3_errmsg(summary->db));
    return ERR_SYSTEM;
}

/* minute_from: the first minute that begins at or after then. */
static int64_t minute_from(int64_t ms)
{
    return ms / MINUTE_MS + (ms % MINUTE_MS > 0);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        database_bind(statement, index, view_text(text));
}

static int prepare(struct summary *summary, void (*make)(const struct summary_question *, char *), sqlite3_stmt **out)
{
    char sql[SUMMARY_SQL_MAX];
    make(&summary->question, sql);
    return database_prepare(summary->db, sql, out) ? failed(summary) : 0;
}

static int prepare_all(struct summary *summary)
{
    const struct summary_question *question = &summary->question;
    char table[SUMMARY_SQL_MAX];
    summary_sql_table(question, table);
    if (sqlite3_exec(summary->db, "PRAGMA temp_store = FILE; BEGIN", NULL, NULL, NULL) ||
        sqlite3_exec(summary->db, table, NULL, NULL, NULL))
        return failed(summary);
    if (prepare(summary, summary_sql_source, &summary->source) || prepare(summary, summary_sql_add, &summary->add) ||
        prepare(summary, summary_sql_rows, &summary->rows))
        return ERR_SYSTEM;
    bind_text(summary->source, 1, question->tenant);
    sqlite3_bind_int64(summary->source, 2, minute_from(question->from_ms));
    sqlite3_bind_int64(summary->source, 3, minute_from(question->to_ms));
    bind_text(summary->source, 4, question->room);
    bind_text(summary->source, 5, question->tag);
    bind_text(summary->source, 6, question->user);
    bind_text(summary->source, 7, question->transport);
    sqlite3_bind_int64(summary->rows, 1, question->limit ? question->limit : -1);
    return 0;
}

int summary_open(const char *path, const struct summary_question *question, struct summary **out, char *error, size_t error_cap)
{
    const struct complaint complaint = {.at = error, .cap = error_cap};
    struct summary *summary = calloc(1, sizeof *summary);
    *out = NULL;
    if (!summary)
        return complain(complaint, ERR_MEMORY, "%s: out of memory", path);
    summary->question = *question;
    int err = database_open(path, DATABASE_READ, 0, &summary->db, complaint);
    if (err == 0 && (err = prepare_all(summary)) != 0)
        complain(complaint, err, "%s: %s", path, summary->error);
    if (err) {
        summary_close(summary);
        return err;
    }
    *out = summary;
    return 0;
}

void summary_close(struct summary *summary)
{
    if (!summary)
        return;
    sqlite3_finalize(summary->source);
    sqlite3_finalize(summary->add);
    sqlite3_finalize(summary->rows);
    sqlite3_close(summary->db);
    free(summary);
}

const char *summary_error(const struct summary *summary)
{
    return summary->error;
}

const struct summary_question *summary_question(const struct summary *summary)
{
    return &summary->question;
}

static bool is_time(const struct summary *summary, size_t i)
{
    return summary_is_time(summary->question.keys[i]);
}

/* is_same: whether the row that the source stands at has the keys of those before. */
static bool is_same(const struct summary *summary)
{
    const struct gathering *gathering = &summary->gathering;
    bool same = gathering->is_there;
    for (size_t i = 0; i < summary->question.key_count && same; i++)
        same = is_time(summary, i) ? gathering->times[i] == sqlite3_column_int64(summary->source, (int)i)
                                   : strcmp(gathering->texts[i], database_text(summary->source, (int)i)) == 0;
    return same;
}

static int64_t add(int64_t sum, int64_t more)
{
    return more > INT64_MAX - sum ? INT64_MAX : sum + more;
}

static void merge(int64_t numbers[SUMMARY_NUMBERS], const int64_t more[SUMMARY_NUMBERS])
{
    for (size_t i = 0; i < SUMMARY_NUMBERS; i++)
        numbers[i] = !summary_is_peak(i) ? add(numbers[i], more[i]) : more[i] > numbers[i] ? more[i] : numbers[i];
}

/* flush: what was gathered goes to the table. */
static int flush(struct summary *summary)
{
    struct gathering *gathering = &summary->gathering;
    const int keys = (int)summary->question.key_count;
    if (!gathering->is_there)
        return 0;
    gathering->is_there = false;
    for (int i = 0; i < keys; i++)
        if (is_time(summary, (size_t)i))
            sqlite3_bind_int64(summary->add, i + 1, gathering->times[i]);
        else
            database_bind(summary->add, i + 1, view_text(gathering->texts[i]));
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        sqlite3_bind_int64(summary->add, keys + 1 + i, gathering->numbers[i]);
    return database_run(summary->add) ? failed(summary) : 0;
}

/* start: with the keys of the row that the source stands at. */
static void start(struct summary *summary)
{
    struct gathering *gathering = &summary->gathering;
    gathering->is_there = true;
    memset(gathering->numbers, 0, sizeof gathering->numbers);
    for (size_t i = 0; i < summary->question.key_count; i++)
        if (is_time(summary, i))
            gathering->times[i] = sqlite3_column_int64(summary->source, (int)i);
        else
            view_copy(view_text(database_text(summary->source, (int)i)), gathering->texts[i], NAME_CAP);
}

static int take_row(struct summary *summary)
{
    const int keys = (int)summary->question.key_count;
    int64_t numbers[SUMMARY_NUMBERS];
    if (!is_same(summary)) {
        if (flush(summary))
            return ERR_SYSTEM;
        start(summary);
    }
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        numbers[i] = sqlite3_column_int64(summary->source, keys + i);
    const int64_t span = sqlite3_column_int64(summary->source, keys + SUMMARY_NUMBERS);
    summary->span = span > summary->span ? span : summary->span;
    merge(summary->gathering.numbers, numbers);
    merge(summary->total, numbers);
    return 0;
}

int summary_gather(struct summary *summary)
{
    for (int i = 0; i < PIECE; i++) {
        const int code = sqlite3_step(summary->source);
        if (code == SQLITE_DONE)
            return flush(summary);
        if (code != SQLITE_ROW)
            return failed(summary);
        if (take_row(summary))
            return ERR_SYSTEM;
    }
    return 1;
}

int summary_next(struct summary *summary, struct summary_row *out)
{
    const int code = sqlite3_step(summary->rows), keys = (int)summary->question.key_count;
    if (code == SQLITE_DONE)
        return 0;
    if (code != SQLITE_ROW)
        return failed(summary);
    *out = (struct summary_row){0};
    for (int i = 0; i < keys; i++)
        if (is_time(summary, (size_t)i))
            out->times[i] = sqlite3_column_int64(summary->rows, i) * MINUTE_MS;
        else
            out->texts[i] = database_text(summary->rows, i);
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        out->numbers[i] = sqlite3_column_int64(summary->rows, keys + 1 + i);
    return 1;
}

const int64_t *summary_total(const struct summary *summary, int64_t *span)
{
    *span = summary->span;
    return summary->total;
}
