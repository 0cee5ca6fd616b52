/* field.h: what a request may say, as rows: the fields of its JSON body and the parameters of its query; read and checked in one place.
 *
 * A table ends with a row without a name. Of a body all is checked before anything is used: that it is one object, each name, each value.
 * What is wrong is told with the name of the field; an unknown one with the name that was probably meant.
 */
#ifndef RELAY_ADMIN_FIELD_H
#define RELAY_ADMIN_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_MAX 32
#define FIELD_NAME_MAX 63
#define FIELD_REASON_MAX 191
#define FIELD_NUMBER_MAX INT64_C(9007199254740991) /* 2^53 - 1: beyond it numbers of JSON are not exact in most languages */

enum field_kind {
    FIELD_TEXT,   /* of `min` to `max` bytes of UTF-8, without a zero byte */
    FIELD_NUMBER, /* whole, from `min` to `max` */
    FIELD_FLAG,   /* true or false */
    FIELD_CHOICE, /* one of the words of `words`, "one|two|three" */
    FIELD_TEXTS,  /* a list of `min` to `max` texts, which are of `words` unless that is NULL; in a query with commas between them */
    FIELD_KINDS
};

enum field_trait {
    FIELD_REQUIRED = 1,
    FIELD_NULLABLE = 2, /* null is a value of it */
};

struct field {
    const char *name; /* NULL: the end */
    enum field_kind kind;
    unsigned traits;
    int64_t min, max;
    const char *words;
    const char *help; /* a sentence without its full stop */
};

/* struct field_value: of the row in the same place. */
struct field_value {
    bool is_given, is_null;
    int64_t number;     /* a flag: 0 or 1; a choice: which word, from 0 */
    const char *text;   /* of a text or a choice; else NULL */
    const json_t *list; /* of texts */
};

/* struct fields: values, and what they live in. Zeroed before its first use; closed after. */
struct fields {
    const struct field *rows; /* NULL: there are none */
    json_t *memory;
    struct field_value values[FIELDS_MAX];
};

struct field_fault {
    char name[FIELD_NAME_MAX + 1]; /* "": it is no object at all */
    char reason[FIELD_REASON_MAX + 1];
};

/* fields_read: a body; no bytes at all are an empty object. 0; ERR_BAD with the fault; ERR_MEMORY. */
int fields_read(struct fields *, const struct field *rows, const char *text, size_t len, struct field_fault *);

/* fields_begin, fields_put, fields_end: of parameters, one after the other: `text` is decoded; NULL: the name alone, as if it were "".
 * fields_end says what is missing. 0; ERR_BAD with the fault; ERR_MEMORY. */
int fields_begin(struct fields *, const struct field *rows);
int fields_put(struct fields *, const char *name, const char *text, struct field_fault *);
int fields_end(const struct fields *, struct field_fault *);

/* fields_value: NULL: it was not given.  fields_number: what was given, or `otherwise`.  fields_text: of a text or a choice, or NULL. The
 * name is of a row. */
const struct field_value *fields_value(const struct fields *, const char *name);
int64_t fields_number(const struct fields *, const char *name, int64_t otherwise);
const char *fields_text(const struct fields *, const char *name);

void fields_close(struct fields *);

/* field_word: the next of "one|two", into `out`; where to go on, or NULL: there is none. */
const char *field_word(const char *words, char out[FIELD_NAME_MAX + 1]);

#endif
