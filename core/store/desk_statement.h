/* desk_statement.h: how the files of the desk speak to SQLite; for desk*.c only. */
#ifndef RELAY_STORE_DESK_STATEMENT_H
#define RELAY_STORE_DESK_STATEMENT_H

#include "store/database.h"
#include "store/desk.h"

struct desk {
    sqlite3 *db;
    char error[256];
};

/* struct argument: one of ?1, ?2, ... of a statement. */
enum argument_kind { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_BYTES, ARGUMENT_NULL };

struct argument {
    enum argument_kind kind;
    int64_t number; /* of bytes, for ARGUMENT_BYTES */
    const void *at;
};

#define TEXT(value) ((struct argument){.kind = ARGUMENT_TEXT, .at = (value)})
#define NUMBER(value) ((struct argument){.kind = ARGUMENT_NUMBER, .number = (value)})
#define BYTES(value, len) ((struct argument){.kind = ARGUMENT_BYTES, .at = (value), .number = (len)})
#define TEXT_OR_NULL(value) ((value) ? TEXT(value) : (struct argument){.kind = ARGUMENT_NULL})

#define PAGE_LIMIT(page) NUMBER((page)->limit ? (int64_t)(page)->limit : -1)

/* desk_refuse: returns `err`, with this reason.  desk_failed: ERR_SYSTEM, with SQLite's. */
int desk_refuse(struct desk *, int err, const char *reason);
int desk_failed(struct desk *);

/* desk_begin: a statement that rows are read of; NULL: desk_failed.  desk_end: of what it stepped to last: 0, or desk_failed. */
sqlite3_stmt *desk_begin(struct desk *, const char *sql, const struct argument *arguments, size_t count);
int desk_end(struct desk *, sqlite3_stmt *, int code);

/* desk_run: a statement without rows: 0, or desk_failed. */
int desk_run(struct desk *, const char *sql, const struct argument *arguments, size_t count);

#define RUN(desk, sql, ...)                                                                                                                \
    desk_run(desk, sql, (const struct argument[]){__VA_ARGS__}, sizeof((const struct argument[]){__VA_ARGS__}) / sizeof(struct argument))

/* desk_start: a transaction.  desk_finish: what was begun is kept if `err` is 0, else undone; what came of it. */
int desk_start(struct desk *);
int desk_finish(struct desk *, int err);

/* desk_json: the first column of the first row, from malloc; *out NULL: there is no row. 0, or desk_failed. */
int desk_json(struct desk *, char **out, const char *sql, const struct argument *arguments, size_t count);

/* struct deed: an audit row: `what` are one or two names with their values: a user of a realm, a kid; never a key or a secret. A NULL tenant is whose `realm` it is; of
 * neither it is nobody's. */
struct deed {
    const char *who, *type, *tenant, *realm;
    const char *what[4];
    const char *before, *after;
};
int desk_audit(struct desk *, const struct deed *);

/* desk_shut_out: desk_revoke as a part of another change. */
int desk_shut_out(struct desk *, const struct desk_revocation *);



#endif
