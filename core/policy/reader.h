/* reader.h: the inside of outline.c: the words of a script, the variables in sight, and what is written down of it. */
#ifndef RELAY_POLICY_READER_H
#define RELAY_POLICY_READER_H

#include "policy/outline.h"
#include "policy/word.h"

#define VARIABLES_MAX 512

enum meaning { MEANS_NOTHING, MEANS_GLOBAL, MEANS_ARGUMENT, MEANS_FUNCTION };

/* struct value: what an expression is known to be. */
struct value {
    enum meaning meaning;
    int function, argument;
    char path[OUTLINE_PATH_MAX];
};

struct variable {
    struct view name;
    struct value value;
};

struct reader {
    struct words words;
    struct word word, ahead;
    struct outline *out;
    struct variable variables[VARIABLES_MAX];
    size_t variable_count;
    struct view name; /* whose value is read next */
    int inside, depth;
    bool failed; /* no memory, or deeper than Lua goes */
};

/* reader_advance: to the next word.  reader_at, reader_take: whether it is this keyword or sign.  reader_name: a name, {NULL, 0} if it is
 * none. reader_end: of the text, or for good. */
void reader_advance(struct reader *);
bool reader_at(const struct reader *, const char *text);
bool reader_take(struct reader *, const char *text);
struct view reader_name(struct reader *);
bool reader_end(const struct reader *);

/* reader_mention: one more for the outline.  reader_function: a function begins; its index. */
void reader_mention(struct reader *, enum mention_kind, int line, const struct value *);
int reader_function(struct reader *, struct view name, int line);

/* reader_declare: in sight until variable_count is what it was.  reader_find: the innermost, or NULL. */
struct variable *reader_declare(struct reader *, struct view name, const struct value *);
struct variable *reader_find(struct reader *, struct view name);

struct value value_global(struct view name);
void value_append(struct value *, struct view member);

#endif
