/* query.h: one question to the database as plain data: what is asked, and the rows that came back. Who asks and who reads do not know each other. */
#ifndef RELAY_BASE_QUERY_H
#define RELAY_BASE_QUERY_H

#include "base/bytes.h"

#define QUERY_SENT_MAX ((size_t)16 << 10) /* bytes of the statement; of its parameters together */
#define QUERY_DATA_MAX 32               /* parameters */
#define QUERY_ROWS_MAX 1000               /* of an answer */
#define QUERY_BYTES_MAX ((size_t)1 << 20) /* of an answer: texts, names and 16 for each datum */

enum datum_kind { DATUM_NULL, DATUM_INTEGER, DATUM_REAL, DATUM_TEXT };

/* struct datum: of an answer, bytes are a text too. */
struct datum {
    enum datum_kind kind;
    union {
        int64_t integer;
        double real;
        struct view text;
    };
};

/* struct query: borrowed. */
struct query {
    bool is_user; /* whether there is the user data[1] of the realm data[0]: one row, or none; no statement */
    struct view sql;
    const struct datum *data;
    size_t datum_count;
};

/* struct rows: borrowed. */
struct rows {
    const char *error; /* NULL: there are rows */
    bool is_wrong;     /* the statement itself is: `error` is a sentence; else "too large" or "failed" */
    const char *const *names;
    size_t column_count;
    const struct datum *data; /* of the first row, the second, ... */
    size_t row_count;
};

#endif
