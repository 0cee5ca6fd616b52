/* field.c: see field.h. */
#include "admin/field.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/nearest.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 16

static int fault(struct field_fault *out, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fault(struct field_fault *out, const char *name, const char *format, ...)
{
    char reason[FIELD_REASON_MAX + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    utf8_text(view_text(name), out->name, sizeof out->name);
    utf8_text(view_text(reason), out->reason, sizeof out->reason);
    return ERR_BAD;
}

const char *field_word(const char *words, char out[FIELD_NAME_MAX + 1])
{
    if (!words || !*words)
        return NULL;
    const size_t len = strcspn(words, "|");
    view_copy(view_of(words, len), out, FIELD_NAME_MAX + 1);
    return words + len + (words[len] == '|');
}

/* word_index: which of the words it is; -1: none. */
static int64_t word_index(const char *words, const char *text)
{
    char word[FIELD_NAME_MAX + 1];
    for (int64_t index = 0; (words = field_word(words, word)) != NULL; index++)
        if (strcmp(word, text) == 0)
            return index;
    return -1;
}

/* ---- what is expected, in words ---- */

static int expect_text(const struct field *row, struct field_fault *out)
{
    if (row->min == row->max)
        return fault(out, row->name, "a text of %lld bytes expected", (long long)row->max);
    return fault(out, row->name, "a text of %lld to %lld bytes expected", (long long)row->min, (long long)row->max);
}

static int expect_number(const struct field *row, struct field_fault *out)
{
    return fault(out, row->name, "a whole number from %lld to %lld expected", (long long)row->min, (long long)row->max);
}

static int expect_flag(const struct field *row, struct field_fault *out)
{
    return fault(out, row->name, "true or false expected");
}

static int expect_choice(const struct field *row, struct field_fault *out)
{
    return fault(out, row->name, "one of %s expected", row->words);
}

static int expect_texts(const struct field *row, struct field_fault *out)
{
    return fault(out, row->name, "a list of %lld to %lld texts%s%s expected", (long long)row->min, (long long)row->max,
                 row->words ? ", each one of " : "", row->words ? row->words : "");
}

static int (*const expects[FIELD_KINDS])(const struct field *, struct field_fault *) = {
    [FIELD_TEXT] = expect_text,     [FIELD_NUMBER] = expect_number, [FIELD_FLAG] = expect_flag,
    [FIELD_CHOICE] = expect_choice, [FIELD_TEXTS] = expect_texts,
};

/* ---- values ---- */

static bool is_in(const struct field *row, int64_t number)
{
    return number >= row->min && number <= row->max;
}

static bool take_text(const struct field *row, const json_t *said, struct field_value *out)
{
    out->text = json_string_value(said);
    return out->text && is_in(row, (int64_t)json_string_length(said));
}

/* 1.0 and 1e3 are whole, as JSON Schema has it. */
static bool take_number(const struct field *row, const json_t *said, struct field_value *out)
{
    const double real = json_real_value(said); /* 0 for what is none */
    const bool is_whole =
        json_is_real(said) && real >= -(double)FIELD_NUMBER_MAX && real <= (double)FIELD_NUMBER_MAX && (double)(int64_t)real == real;
    out->number = json_is_integer(said) ? json_integer_value(said) : is_whole ? (int64_t)real : 0;
    return (json_is_integer(said) || is_whole) && is_in(row, out->number);
}

static bool take_flag(const struct field *row, const json_t *said, struct field_value *out)
{
    (void)row;
    out->number = json_is_true(said);
    return json_is_boolean(said);
}

static bool take_choice(const struct field *row, const json_t *said, struct field_value *out)
{
    out->text = json_string_value(said);
    out->number = out->text ? word_index(row->words, out->text) : -1;
    return out->number >= 0;
}

static bool take_texts(const struct field *row, const json_t *said, struct field_value *out)
{
    out->list = said;
    if (!json_is_array(said) || !is_in(row, (int64_t)json_array_size(said)))
        return false;
    for (size_t i = 0; i < json_array_size(said); i++) {
        const char *text = json_string_value(json_array_get(said, i));
        if (!text || (row->words && word_index(row->words, text) < 0))
            return false;
    }
    return true;
}

static bool (*const takers[FIELD_KINDS])(const struct field *, const json_t *, struct field_value *) = {
    [FIELD_TEXT] = take_text,     [FIELD_NUMBER] = take_number, [FIELD_FLAG] = take_flag,
    [FIELD_CHOICE] = take_choice, [FIELD_TEXTS] = take_texts,
};

static int take(const struct field *row, const json_t *said, struct field_value *out, struct field_fault *why)
{
    *out = (struct field_value){.is_given = true, .is_null = json_is_null(said)};
    if (out->is_null && row->traits & FIELD_NULLABLE)
        return 0;
    return takers[row->kind](row, said, out) ? 0 : expects[row->kind](row, why);
}

/* ---- names ---- */

static size_t count_of(const struct field *rows)
{
    size_t count = 0;
    while (rows && rows[count].name)
        count++;
    assert(count <= FIELDS_MAX);
    return count;
}

static int unknown(const struct field *rows, const char *name, struct field_fault *out)
{
    const char *names[FIELDS_MAX];
    const size_t count = count_of(rows);
    for (size_t i = 0; i < count; i++)
        names[i] = rows[i].name;
    const char *meant = nearest(name, names, count);
    return meant ? fault(out, name, "there is no such name here: did you mean %s?", meant) : fault(out, name, "there is no such name here");
}

/* index_of: of the row; -1: there is none. */
static int index_of(const struct field *rows, const char *name)
{
    for (int i = 0; rows && rows[i].name; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- reading ---- */

static int take_all(struct fields *fields, struct field_fault *why)
{
    const char *name;
    json_t *said;
    json_object_foreach(fields->memory, name, said)
    {
        const int index = index_of(fields->rows, name);
        const int err = index < 0 ? unknown(fields->rows, name, why) : take(&fields->rows[index], said, &fields->values[index], why);
        if (err)
            return err;
    }
    return fields_end(fields, why);
}

/* parse: a number that is too large for the library is read as a real, so that what is wrong has its name. */
static json_t *parse(const char *text, size_t len, json_error_t *error)
{
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
    if (!object && json_error_code(error) == json_error_numeric_overflow)
        object = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, error);
    return object;
}

int fields_read(struct fields *fields, const struct field *rows, const char *text, size_t len, struct field_fault *why)
{
    json_error_t error;
    *fields = (struct fields){.rows = rows};
    fields->memory = len ? parse(text, len, &error) : json_object();
    if (!fields->memory && !len)
        return ERR_MEMORY;
    if (!fields->memory)
        return fault(why, "", "the body is no JSON: %.120s at line %d, column %d", error.text, error.line, error.column);
    if (!json_is_object(fields->memory))
        return fault(why, "", "the body: a JSON object expected");
    return take_all(fields, why);
}

int fields_begin(struct fields *fields, const struct field *rows)
{
    *fields = (struct fields){.rows = rows, .memory = json_array()};
    return fields->memory ? 0 : ERR_MEMORY;
}

/* json_of_number: decimal digits alone. */
static json_t *json_of_number(const char *text)
{
    const size_t sign = *text == '-', digits = strspn(text + sign, "0123456789");
    return digits == 0 || digits > DIGITS_MAX || text[sign + digits] ? NULL : json_integer(strtoll(text, NULL, 10));
}

static json_t *json_of_list(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        const size_t len = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, len));
        text += len + (text[len] == ',');
    }
    return list;
}

/* json_of: a parameter as it would stand in a body; NULL: it could not: as text, what is no UTF-8. */
static json_t *json_of(const struct field *row, const char *text)
{
    if (row->kind == FIELD_NUMBER)
        return json_of_number(text);
    if (row->kind == FIELD_FLAG)
        return strcmp(text, "true") == 0 ? json_true() : strcmp(text, "false") == 0 ? json_false() : NULL;
    return row->kind == FIELD_TEXTS ? json_of_list(text) : json_string(text);
}

int fields_put(struct fields *fields, const char *name, const char *text, struct field_fault *why)
{
    const int index = index_of(fields->rows, name);
    if (index < 0)
        return unknown(fields->rows, name, why);
    if (fields->values[index].is_given)
        return fault(why, name, "it is said twice");
    json_t *said = json_of(&fields->rows[index], text ? text : "");
    if (!said)
        return expects[fields->rows[index].kind](&fields->rows[index], why);
    if (json_array_append_new(fields->memory, said) != 0)
        return ERR_MEMORY;
    return take(&fields->rows[index], said, &fields->values[index], why);
}

int fields_end(const struct fields *fields, struct field_fault *why)
{
    for (size_t i = 0; fields->rows && fields->rows[i].name; i++)
        if (fields->rows[i].traits & FIELD_REQUIRED && !fields->values[i].is_given)
            return fault(why, fields->rows[i].name, "it is missing");
    return 0;
}

const struct field_value *fields_value(const struct fields *fields, const char *name)
{
    const int index = index_of(fields->rows, name);
    assert(index >= 0);
    return fields->values[index].is_given ? &fields->values[index] : NULL;
}

int64_t fields_number(const struct fields *fields, const char *name, int64_t otherwise)
{
    const struct field_value *value = fields_value(fields, name);
    return value && !value->is_null ? value->number : otherwise;
}

const char *fields_text(const struct fields *fields, const char *name)
{
    const struct field_value *value = fields_value(fields, name);
    return value ? value->text : NULL;
}

void fields_close(struct fields *fields)
{
    json_decref(fields->memory);
    *fields = (struct fields){0};
}
