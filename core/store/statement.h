/* statement.h: one statement of a policy on a connection that only reads; for core/store only.
 *
 * A result owns its memory, in blocks; what the statement asks for is copied there too.
 */
#ifndef RELAY_STORE_STATEMENT_H
#define RELAY_STORE_STATEMENT_H

#include "base/query.h"
#include "store/database.h"

#include <stdatomic.h>

struct block;

struct result {
    struct query query; /* a copy */
    struct rows rows;
    struct datum *data;
    size_t datum_count, datum_room, bytes;
    struct block *blocks;
};

/* result_init: with a copy of the query: 0 or ERR_MEMORY; result_close whatever it says. */
int result_init(struct result *, const struct query *);
void result_close(struct result *);

/* struct bench: a connection. `stop` is looked at while a statement runs or waits: what it points to may be set by any thread. */
struct bench {
    sqlite3 *db;
    const char *user_sql;
    const atomic_bool *stop;
};

int bench_open(struct bench *, const char *path, struct complaint);
void bench_close(struct bench *);

/* bench_run: fills result->rows. */
void bench_run(struct bench *, struct result *, const atomic_bool *stop);

#endif
