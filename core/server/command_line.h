/* command_line.h: what a verb was called with, and how it answers; for the files command*.c only. */
#ifndef RELAY_SERVER_COMMAND_LINE_H
#define RELAY_SERVER_COMMAND_LINE_H

#include "base/opaque.h"
#include "server/command.h"
#include "store/desk.h"

#include <jansson.h>

#define COMMAND_USERDB "/var/lib/relay/relay.db"

enum command_exit { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

/* A set of flags: COMMAND_FLAG(JSON) | COMMAND_FLAG(REALM). */
enum command_flag {
    COMMAND_AT_USERDB,
    COMMAND_AT_REALM,
    COMMAND_AT_TENANT,
    COMMAND_AT_FROM,
    COMMAND_AT_TO,
    COMMAND_AT_KEY,
    COMMAND_AT_PASSWORD_FILE,
    COMMAND_AT_PASSWORD_STDIN,
    COMMAND_AT_SECRET_STDIN,
    COMMAND_AT_JSON,
    COMMAND_AT_KEY_STDIN,
    COMMAND_AT_ALGORITHM,
    COMMAND_AT_LIFETIME,
    COMMAND_AT_ADMIN_SOCKET,
    COMMAND_AT_CONFIG,
    COMMAND_AT_SET,
    COMMAND_AT_SECRET,
    COMMAND_AT_LUA_DIR,
    COMMAND_AT_FORMAT,
    COMMAND_AT_USER,
    COMMAND_AT_TAG,
    COMMAND_AT_LIMIT,
    COMMAND_AT_FILTER,
    COMMAND_AT_COVERAGE,
    COMMAND_AT_COVERAGE_MIN,
    COMMAND_AT_JUNIT,
    COMMAND_AT_OUT,
    COMMAND_AT_DESCRIBE,
    COMMAND_AT_LIVE,
    COMMAND_AT_CLIENT,
    COMMAND_AT_DECISION,
    COMMAND_AT_EXPRESSION,
    COMMAND_AT_POLICY,
    COMMAND_AT_CREDENTIAL,
    COMMAND_AT_DEADLINE,
    COMMAND_AT_CANCEL,
    COMMAND_AT_TYPE,
    COMMAND_AT_PASSWORD,
    COMMAND_AT_SECONDS,
    COMMAND_AT_INSECURE,
    COMMAND_AT_SCOPE,
    COMMAND_AT_NAME,
    COMMAND_AT_EXPIRES,
    COMMAND_AT_FORCE,
    COMMAND_AT_TTL,
    COMMAND_AT_ROOM,
    COMMAND_AT_TRANSPORT,
    COMMAND_AT_MAX_BPS,
    COMMAND_AT_MAX_ALLOCATIONS,
    COMMAND_AT_MINT_SECRET_FILE,
    COMMAND_AT_PUBLIC_HOST,
    COMMAND_AT_URL,
    COMMAND_AT_GROUP_BY,
    COMMAND_AT_SORT,
};
#define COMMAND_FLAG(name) ((uint64_t)1 << COMMAND_AT_##name)

/* struct command_values: of a flag that may be said again. */
#define COMMAND_VALUES_MAX 64
struct command_values {
    const char *at[COMMAND_VALUES_MAX];
    size_t count;
};

#define COMMAND_OWN_MAX 20

struct command_line {
    const struct command *command;
    uint64_t given; /* flags */
    const char *userdb, *realm, *tenant, *from, *to, *key, *password_file, *algorithm, *lifetime, *admin_socket, *config, *lua_dir, *format,
        *user, *tag, *limit, *expression, *filter, *coverage_min, *junit, *out, *client, *password, *seconds, *decision, *credential, *deadline, *type, *scope, *name, *expires,
        *group_by, *sort;
    const char *ttl, *room, *max_bps, *max_allocations, *mint_secret_file, *public_host, *url; /* of minting */
    struct command_values transports;
    struct command_values sets, secrets, policies;
    struct command_values own[COMMAND_OWN_MAX]; /* of the verb's own switches; one without a value has one that is "" */
    char **words; /* what is left: names, field=value */
    size_t word_count;
};

/* command_fail: says `relay user add: ...` on standard error; returns `code`. */
int command_fail(const struct command_line *, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* command_desk: opens the database, or says why not: NULL. */
struct desk *command_desk(const struct command_line *, bool create);

/* command_end: closes the desk; err 0: COMMAND_DONE if all output was written, else COMMAND_FAILED with the desk's reason. */
int command_end(const struct command_line *, struct desk *, int err);

/* command_who: "cli:" and the name of the calling user, for the audit. Returns `out`. */
#define COMMAND_WHO_MAX 80
const char *command_who(char out[COMMAND_WHO_MAX]);

/* command_prepare: the argument by the OpaqueString profile (base/opaque.h) into `out`, of at most `most` bytes: 0, or the exit code, told
 * with `what` it is. */
int command_prepare(const struct command_line *, const char *what, const char *text, size_t most, char out[OPAQUE_MAX_LEN + 1]);

/* command_door: the socket of the relay that the command line or its configuration names, into `out`: 0; or the exit code, and it is said
 * why. */
#define COMMAND_SOCKET_MAX 4096
int command_door(const struct command_line *, char *out, size_t cap);

/* command_ask: asks the relay that runs: 0 and its answer, to be let go; or the exit code: nobody answers, or it refuses: it is said why.
 * command_answered: lets the answer go; the exit code when all is written. */
int command_ask(const struct command_line *, const char *method, const char *path, json_t **body);
int command_answered(const struct command_line *, json_t *body);
int command_ask_text(const struct command_line *, const char *path, char **text); /* the same, as it is said; from malloc */
int command_ask_copy(const struct command_line *, const char *path); /* the same, to standard output as it comes: the exit code */

/* Verbs that work on the database file, or on that of a relay that runs, where one is named.
 *
 * command_is_remote: one is.  command_check_file: 0, or the exit code: a file is named too.  command_owner: the tenant whose users and secrets are meant, for a path: of --tenant
 * or --realm; else "*", all.  command_check_owner: 0, or the exit code: there are two, or none that is needed.  command_realm: what it is in the file; "": all; 0, or the exit code. */
bool command_is_remote(const struct command_line *);
int command_check_file(const struct command_line *);
const char *command_owner(const struct command_line *);
int command_check_owner(const struct command_line *, bool needed);
int command_realm(const struct command_line *, struct desk *, char out[OPAQUE_MAX_LEN + 1]);

/* struct command_question: to a relay that runs. A parameter without a value is left out; the last two are command_rows' own. `body` is taken over; NULL: none. */
#define COMMAND_PARTS 6
#define COMMAND_PARAMETERS 6
#define COMMAND_AFTER_MAX 1024
struct command_parameter {
    const char *name, *value;
};
struct command_question {
    const char *method, *path[COMMAND_PARTS];
    struct command_parameter query[COMMAND_PARAMETERS];
    json_t *body;
};

/* command_send: 0 and the answer, to be let go; or the exit code, and it is said why.  command_rows: the rows of a list, of all its pages, `most` at most.  command_list: prints them, ends the
 * list, lets them go; the exit code.  command_text, command_shown, command_time_ms: of a row; "", "-", 0: it has none. */
int command_send(const struct command_line *, const struct command_question *, json_t **answer);
int command_rows(const struct command_line *, const struct command_question *, const char *name, size_t most, json_t **rows);
struct list;
int command_list(const struct command_line *, struct list *, json_t *rows, void (*each)(void *ctx, const json_t *row));
const char *command_text(const json_t *row, const char *name);
const char *command_shown(const json_t *row, const char *name);
int64_t command_time_ms(const json_t *row, const char *name);

/* command_password: of --password, --password-file or --password-stdin, beside --user; *password: in `out` or NULL, if there is no user. 0, or the exit code. */
#define COMMAND_PASSWORD_CAP 1024
int command_password(const struct command_line *, char out[COMMAND_PASSWORD_CAP], const char **password);

/* command_read_line: the first line of a file (NULL: standard input), without its end; 0 or negative: unreadable, empty, or longer than
 * `cap`. */
int command_read_line(const char *path, char *out, size_t cap);

/* command_seconds: how many 900, 900s, 15m, 2h or 1d are; negative: it is none of them. */
int64_t command_seconds(const char *text);

/* Lists: a table for people, or with --json an array of objects; both from the same columns. */
enum column_kind { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_TIME, COLUMN_JSON };

struct column {
    const char *name;
    enum column_kind kind;
    int width;
};

struct cell {
    const char *text; /* COLUMN_TEXT; COLUMN_JSON: what is JSON already, NULL: null */
    int64_t number;   /* COLUMN_NUMBER; COLUMN_TIME: Unix milliseconds, 0: not known */
};

struct list {
    const struct column *columns;
    size_t count;
    bool json;
    size_t rows;
};

void list_begin(struct list *, const struct column *columns, size_t count, bool json);
void list_row(struct list *, const struct cell *cells);
void list_end(struct list *);

/* list_text: for a terminal, filled up to a width: what could be more than a character is shown as \xHH. */
void list_text(const char *text, int width);

/* list_one: a row alone: a line for each column, or with `json` an object. */
void list_one(const struct column *columns, size_t count, const struct cell *cells, bool json);

/* list_json_text: `text` in quotes, as JSON. */
void list_json_text(const char *text);

/* One for each row of the table. */
int command_user_add(const struct command_line *);
int command_user_list(const struct command_line *);
int command_user_remove(const struct command_line *);
int command_tenant_add(const struct command_line *);
int command_tenant_set(const struct command_line *);
int command_tenant_list(const struct command_line *);
int command_tenant_show(const struct command_line *);
int command_tenant_remove(const struct command_line *);
int command_secret_add(const struct command_line *);
int command_secret_list(const struct command_line *);
int command_secret_remove(const struct command_line *);
int command_backup(const struct command_line *);
int command_completion(const struct command_line *);
int command_audit(const struct command_line *);
int command_secret_new(const struct command_line *);
int command_key_add(const struct command_line *);
int command_key_list(const struct command_line *);
int command_key_remove(const struct command_line *);
int command_mint(const struct command_line *);
int command_key_secret(const struct command_line *);
int command_test_link(const struct command_line *);
int command_oauth_add(const struct command_line *);
int command_oauth_list(const struct command_line *);
int command_oauth_remove(const struct command_line *);
int command_usage(const struct command_line *);
int command_reload(const struct command_line *);
int command_policy(const struct command_line *);
int command_check(const struct command_line *);
int command_eval(const struct command_line *);
int command_bench(const struct command_line *);
#define COMMAND_BENCH_OWN 15
extern const struct command_own command_bench_own[COMMAND_BENCH_OWN];
struct load_config;
struct load_report;
int command_bench_print(const struct command_line *, const struct load_config *, const struct load_report *);
int command_bench_policy(const struct command_line *);
int command_allocations(const struct command_line *);
int command_explain(const struct command_line *);
int command_kick(const struct command_line *);
int command_revoke(const struct command_line *);
int command_revocation_list(const struct command_line *);
int command_revocation_lift(const struct command_line *);
int command_drain(const struct command_line *);
int command_test(const struct command_line *);
int command_probe(const struct command_line *); /* relay test of URLs */
int command_stubs(const struct command_line *);
int command_metrics(const struct command_line *);
int command_console(const struct command_line *);
int command_replay(const struct command_line *);
int command_events(const struct command_line *);
int command_webhook_add(const struct command_line *);
int command_webhook_list(const struct command_line *);
int command_webhook_remove(const struct command_line *);
int command_webhook_test(const struct command_line *);

#endif
