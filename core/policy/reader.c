/* reader.c: one word at a time, with one ahead. */
#include "policy/reader.h"

#include <stdlib.h>
#include <string.h>

void reader_advance(struct reader *r)
{
    r->word = r->ahead;
    r->ahead = words_next(&r->words);
}

bool reader_at(const struct reader *r, const char *text)
{
    return word_is(&r->word, text);
}

bool reader_take(struct reader *r, const char *text)
{
    const bool is = reader_at(r, text);
    if (is)
        reader_advance(r);
    return is;
}

struct view reader_name(struct reader *r)
{
    const struct view name = r->word.text;
    if (r->word.kind != WORD_NAME)
        return (struct view){0};
    reader_advance(r);
    return name;
}

/* at_end: of the text, or for good. */
bool reader_end(const struct reader *r)
{
    return r->failed || r->word.kind == WORD_END;
}

/* ---- what is kept ---- */

/* more: `items` with a place for one more behind `count`; NULL without memory. */
static void *more(struct reader *r, void *items, size_t count, size_t size)
{
    const bool full = (count & (count - 1)) == 0; /* grows at powers of two */
    void *grown = full ? realloc(items, (count ? 2 * count : 1) * size) : items;
    r->failed |= !grown;
    return grown;
}

void reader_mention(struct reader *r, enum mention_kind kind, int line, const struct value *value)
{
    struct outline *out = r->out;
    struct mention *grown = more(r, out->mentions, out->count, sizeof *grown);
    if (!grown)
        return;
    out->mentions = grown;
    grown[out->count] =
        (struct mention){.kind = kind, .line = line, .inside = r->inside, .function = value->function, .argument = value->argument};
    memcpy(grown[out->count++].path, value->path, sizeof value->path);
}

int reader_function(struct reader *r, struct view name, int line)
{
    struct outline *out = r->out;
    struct outline_function *grown = more(r, out->functions, out->function_count, sizeof *grown);
    if (!grown)
        return 0;
    out->functions = grown;
    grown[out->function_count].line = line;
    view_copy(name, grown[out->function_count].name, sizeof grown->name);
    return (int)out->function_count++;
}

struct value value_global(struct view name)
{
    struct value value = {.meaning = MEANS_GLOBAL};
    view_copy(name, value.path, sizeof value.path);
    return value;
}

void value_append(struct value *value, struct view member)
{
    char *path = value->path;
    const size_t len = strlen(path), dot = len > 0;
    if (len + dot + member.len >= sizeof value->path) {
        value->meaning = MEANS_NOTHING;
        return;
    }
    if (dot)
        path[len] = '.';
    view_copy(member, path + len + dot, sizeof value->path - len - dot);
}

/* ---- variables ---- */

struct variable *reader_declare(struct reader *r, struct view name, const struct value *value)
{
    if (r->variable_count == VARIABLES_MAX) {
        r->failed = true;
        return &r->variables[0];
    }
    struct variable *variable = &r->variables[r->variable_count++];
    *variable = (struct variable){.name = name, .value = *value};
    return variable;
}

struct variable *reader_find(struct reader *r, struct view name)
{
    for (size_t i = r->variable_count; i > 0; i--)
        if (view_equal(r->variables[i - 1].name, name))
            return &r->variables[i - 1];
    return NULL;
}
