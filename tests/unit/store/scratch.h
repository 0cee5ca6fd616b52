/* scratch.h: a directory with a database for one test, and SQL on it from outside the store. */
#ifndef RELAY_TESTS_SCRATCH_H
#define RELAY_TESTS_SCRATCH_H

#include "base/err.h"
#include "store/desk.h"
#include "store/store.h"
#include "test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[64], path[96], log_path[96];
    struct log *log;
    char error[512];
};

static inline struct scratch scratch_make(void)
{
    struct scratch scratch = {.dir = "/tmp/relay-store-XXXXXX"};
    CHECK(mkdtemp(scratch.dir));
    snprintf(scratch.path, sizeof scratch.path, "%s/relay.db", scratch.dir);
    snprintf(scratch.log_path, sizeof scratch.log_path, "%s/log", scratch.dir);
    scratch.log = log_new(scratch.log_path, LOG_DEBUG);
    CHECK(scratch.log);
    return scratch;
}

static inline void scratch_remove(struct scratch *scratch)
{
    static const char *const names[] = {"relay.db", "relay.db-wal", "relay.db-shm", "relay.db-journal", "log", "aside"};
    char path[128];
    log_free(scratch->log);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch->dir, names[i]);
        unlink(path);
    }
    CHECK_INT(rmdir(scratch->dir), 0);
}

static inline struct store *scratch_open(struct scratch *scratch)
{
    struct store *store;
    if (store_open(scratch->path, scratch->log, &store, scratch->error, sizeof scratch->error))
        test_failed(__FILE__, __LINE__, "store_open: %s", scratch->error);
    return store;
}

/* scratch_user: a user with one MD5 key, as relay user add --key puts it. */
static inline int scratch_user(struct desk *desk, const char *realm, const char *name, const uint8_t key[STORE_KEY_LEN], const char *who)
{
    struct desk_user user = {.realm = realm, .name = name, .keys.md5_count = 1};
    memcpy(user.keys.md5[0], key, STORE_KEY_LEN);
    snprintf((char *)user.userhash, sizeof user.userhash, "hash of %.16s", name);
    return desk_user_put(desk, &user, DESK_PUT, who);
}

static inline struct store_reader *scratch_reader(struct scratch *scratch)
{
    struct store_reader *reader;
    if (store_reader_open(scratch->path, &reader, scratch->error, sizeof scratch->error))
        test_failed(__FILE__, __LINE__, "store_reader_open: %s", scratch->error);
    return reader;
}

static inline struct desk *scratch_desk(struct scratch *scratch)
{
    struct desk *desk;
    if (desk_open(scratch->path, true, &desk, scratch->error, sizeof scratch->error))
        test_failed(__FILE__, __LINE__, "desk_open: %s", scratch->error);
    return desk;
}

static inline int scratch_user_remove(struct desk *desk, const char *realm, const char *name, const char *who)
{
    return desk_user_remove(desk, &(struct desk_user){.realm = realm, .name = name}, who);
}

static inline int scratch_secret(struct desk *desk, const char *realm, const char *secret, const char *who)
{
    return desk_secret_add(desk, &(struct desk_secret){.realm = realm}, secret, who, NULL);
}

/* scratch_connect: a connection that knows nothing of relay, as the sqlite3 program would make it. */
static inline sqlite3 *scratch_connect(const struct scratch *scratch)
{
    sqlite3 *db;
    CHECK_INT(sqlite3_open(scratch->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static inline void scratch_exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        test_failed(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(db));
}

static inline void scratch_tell(const struct scratch *scratch, const char *sql)
{
    sqlite3 *db = scratch_connect(scratch);
    scratch_exec(db, sql);
    sqlite3_close(db);
}

/* scratch_text: the first column of the first row, to be freed; "" without a row. */
static inline char *scratch_text(const struct scratch *scratch, const char *sql)
{
    sqlite3 *db = scratch_connect(scratch);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL))
        test_failed(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(db));
    const char *text = sqlite3_step(statement) == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    char *copy = strdup(text ? text : "");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return copy;
}

static inline int64_t scratch_number(const struct scratch *scratch, const char *sql)
{
    char *text = scratch_text(scratch, sql);
    const int64_t number = strtoll(text, NULL, 10);
    free(text);
    return number;
}

/* scratch_logged: how many lines of the log name this event. */
static inline int scratch_logged(const struct scratch *scratch, const char *event)
{
    char *text = test_file(scratch->log_path), name[64];
    int count = 0;
    snprintf(name, sizeof name, " %s ", event);
    for (const char *at = text; (at = strstr(at, name)); at++)
        count++;
    free(text);
    return count;
}

static inline struct store_who scratch_who(const char *user)
{
    return (struct store_who){"acme", "lobby", "player", user, "udp"};
}

static inline bool scratch_open_session(struct store *store, int64_t id, const char *user, int64_t at_ms)
{
    return store_session_opened(store, &(struct store_session){.id = id,
                                                               .opened_ms = at_ms,
                                                               .who = scratch_who(user),
                                                               .realm = "example.org",
                                                               .username = "1700000000:alice",
                                                               .client = "192.0.2.1:1000",
                                                               .relayed = "198.51.100.1:50000",
                                                               .tags = "room=1"});
}

static inline struct store_usage scratch_row(int64_t id, const char *user, int64_t at_ms, uint64_t bytes)
{
    return (struct store_usage){
        .id = id, .at_ms = at_ms, .who = scratch_who(user), .bytes_in = bytes, .bytes_out = 2 * bytes, .packets_in = 1, .packets_out = 2};
}

static inline bool scratch_use(struct store *store, int64_t id, const char *user, int64_t at_ms, uint64_t bytes)
{
    const struct store_usage row = scratch_row(id, user, at_ms, bytes);
    return store_usage(store, &row);
}

/* scratch_close_session: of alice, who lived for so long since she was last heard of. */
static inline bool scratch_close_session(struct store *store, int64_t id, int64_t at_ms, int64_t lived_ms, const char *reason)
{
    return store_session_closed(
        store, &(struct store_closing){{.id = id, .at_ms = at_ms, .who = scratch_who("alice"), .lived_ms = lived_ms}, reason});
}

#endif
