/* usage_text.c: see usage_text.h. */
#include "server/usage_text.h"

#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXACT INT64_C(9007199254740991) /* 2^53 - 1 */
#define TIME_MAX 32

static const char *const formats[] = {"json", "csv", "ndjson"};
static const char *const media[] = {"application/json", "text/csv; charset=utf-8; header=present", "application/x-ndjson"};

bool usage_format_find(const char *name, enum usage_format *out)
{
    for (int i = 0; i <= USAGE_NDJSON; i++)
        if (strcmp(formats[i], name) == 0) {
            *out = (enum usage_format)i;
            return true;
        }
    return false;
}

const char *usage_media(enum usage_format format)
{
    return media[format];
}

/* ---- times ---- */

int64_t usage_month(int64_t ms)
{
    const time_t at = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&at, &tm);
    return (int64_t)timegm(&(struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1}) * 1000;
}

static const char *time_text(int64_t ms, const char *form, char out[TIME_MAX])
{
    const time_t at = (time_t)(ms / 1000);
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, TIME_MAX, form, &tm) == 0)
        out[0] = 0;
    return out;
}

/* ---- names ---- */

static int place_of(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

enum summary_key usage_key(const char *name)
{
    return (enum summary_key)place_of(summary_key_names, SUMMARY_KEYS, name);
}

enum summary_number usage_number(const char *name)
{
    return (enum summary_number)place_of(summary_number_names, SUMMARY_NUMBERS, name);
}

const char *usage_add_key(struct summary_question *question, const char *name)
{
    const enum summary_key key = usage_key(name);
    if (key == SUMMARY_KEYS)
        return "one or several of " USAGE_KEYS " expected, with commas between them";
    for (size_t i = 0; i < question->key_count; i++)
        if (question->keys[i] == key)
            return "it has a name twice";
    question->keys[question->key_count++] = key;
    return summary_fault(question);
}

/* ---- values ---- */

const char *usage_key_text(const struct summary_question *question, const struct summary_row *row, size_t i, char out[USAGE_NAME_CAP])
{
    static const char *const forms[SUMMARY_KEYS] = {[SUMMARY_BY_month] = "%Y-%m", [SUMMARY_BY_day] = "%Y-%m-%d"};
    const char *form = forms[question->keys[i]];
    if (summary_is_time(question->keys[i]))
        return time_text(row->times[i], form ? form : "%Y-%m-%dT%H:%M:%SZ", out);
    return utf8_text(view_text(row->texts[i]), out, USAGE_NAME_CAP);
}

static json_t *number_json(int64_t number)
{
    return number <= EXACT ? json_integer(number) : json_sprintf("%lld", (long long)number);
}

static void put_numbers(json_t *object, unsigned which, const int64_t *numbers)
{
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        if (which & SUMMARY_BIT(i))
            json_object_set_new(object, summary_number_names[i], number_json(numbers[i]));
}

static void put_json(FILE *out, json_t *value)
{
    json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
}

static void put_json_row(FILE *out, const struct summary_question *question, const struct summary_row *row)
{
    json_t *object = json_object();
    char text[USAGE_NAME_CAP];
    for (size_t i = 0; i < question->key_count; i++)
        json_object_set_new(object, summary_key_names[question->keys[i]], json_string(usage_key_text(question, row, i, text)));
    put_numbers(object, summary_numbers(question), row->numbers);
    put_json(out, object);
}

/* put_field: in quotes where RFC 4180 wants them. */
static void put_field(FILE *out, const char *text)
{
    const bool is_quoted = text[strcspn(text, ",\"\r\n")] != 0, is_formula = *text && strchr("=+-@\t\r", *text);
    if (is_quoted)
        fputc('"', out);
    if (is_formula)
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (is_quoted)
        fputc('"', out);
}

static void put_csv_row(FILE *out, const struct summary_question *question, const struct summary_row *row)
{
    const unsigned which = summary_numbers(question);
    char text[USAGE_NAME_CAP];
    const char *between = "";
    for (size_t i = 0; i < question->key_count; i++, between = ",") {
        fputs(between, out);
        put_field(out, usage_key_text(question, row, i, text));
    }
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        if (which & SUMMARY_BIT(i)) {
            fprintf(out, "%s%lld", between, (long long)row->numbers[i]);
            between = ",";
        }
    fputs("\r\n", out);
}

/* ---- the text ---- */

static void csv_head(FILE *out, const struct summary_question *question)
{
    const char *between = "";
    for (size_t i = 0; i < question->key_count; i++, between = ",")
        fprintf(out, "%s%s", between, summary_key_names[question->keys[i]]);
    for (int i = 0; i < SUMMARY_NUMBERS; i++)
        if (summary_numbers(question) & SUMMARY_BIT(i)) {
            fprintf(out, "%s%s", between, summary_number_names[i]);
            between = ",";
        }
    fputs("\r\n", out);
}

static void json_head(FILE *out, const struct summary_question *question)
{
    char from[TIME_MAX], to[TIME_MAX];
    static const char form[] = "%Y-%m-%dT%H:%M:%SZ";
    fprintf(out, "{\"from\": \"%s\", \"to\": \"%s\", \"group_by\": [", time_text(question->from_ms, form, from),
            time_text(question->to_ms, form, to));
    for (size_t i = 0; i < question->key_count; i++)
        fprintf(out, "%s\"%s\"", i ? ", " : "", summary_key_names[question->keys[i]]);
    fputs("], \"rows\": [", out);
}

void usage_head(FILE *out, enum usage_format format, const struct summary_question *question)
{
    if (format == USAGE_CSV)
        csv_head(out, question);
    else if (format == USAGE_JSON)
        json_head(out, question);
}

void usage_row(FILE *out, enum usage_format format, const struct summary_question *question, const struct summary_row *row, size_t index)
{
    if (format == USAGE_CSV) {
        put_csv_row(out, question, row);
        return;
    }
    if (format == USAGE_JSON)
        fputs(index ? ",\n " : "\n ", out);
    put_json_row(out, question, row);
    if (format == USAGE_NDJSON)
        fputc('\n', out);
}

/* Peaks of several tenants make no peak. */
void usage_foot(FILE *out, enum usage_format format, const struct summary *summary)
{
    const struct summary_question *question = summary_question(summary);
    const unsigned peaks = SUMMARY_BIT(SUMMARY_peak_held) | SUMMARY_BIT(SUMMARY_peak_active);
    int64_t span;
    const int64_t *total = summary_total(summary, &span);
    json_t *object = json_object();
    if (format == USAGE_JSON) {
        put_numbers(object, summary_numbers(question) & ~(question->tenant ? 0 : peaks), total);
        fputs("\n], \"total\": ", out);
        put_json(out, json_incref(object));
        fprintf(out, ", \"span\": %lld}\n", (long long)span);
    }
    json_decref(object);
}
