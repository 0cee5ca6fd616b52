/* What policies ask of the database: what they may, how much, and until when. */
#include "scratch.h"

#include "store/inquiry.h"

#include <pthread.h>
#include <time.h>

/* struct inquirer: who waits for one answer. */
struct inquirer {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int answers;
};

static void on_done(void *owner)
{
    struct inquirer *inquirer = owner;
    pthread_mutex_lock(&inquirer->lock);
    inquirer->answers++;
    pthread_cond_signal(&inquirer->told);
    pthread_mutex_unlock(&inquirer->lock);
}

static void wait_for(struct inquirer *inquirer, int answers)
{
    pthread_mutex_lock(&inquirer->lock);
    while (inquirer->answers < answers)
        pthread_cond_wait(&inquirer->told, &inquirer->lock);
    pthread_mutex_unlock(&inquirer->lock);
}

/* struct room: a database with something in it, and who may be asked about it. */
struct room {
    struct scratch scratch;
    struct inquiries *inquiries;
    struct inquirer inquirer;
    struct inquiry *inquiry; /* the last one */
};

static void open_room(struct room *room, const char *more)
{
    room->scratch = scratch_make();
    store_close(scratch_open(&room->scratch));
    scratch_tell(&room->scratch, "CREATE TABLE plans (user TEXT, plan TEXT, bps INTEGER, price REAL, seal BLOB);"
                                 "INSERT INTO plans VALUES ('ann', 'gold', 1000000, 9.5, x'00ff'), ('bob', NULL, -1, 0.25, NULL);"
                                 "INSERT INTO users (realm, name, key, created_ms) VALUES ('r', 'ann', zeroblob(16), 7);"
                                 "INSERT INTO secrets (realm, secret, created_ms) VALUES ('r', 'hush', 1);"
                                 "INSERT INTO oauth_key (kid, ikm_key) VALUES ('k', 'hush');"
                                 "CREATE VIEW peek AS SELECT name, key FROM users");
    if (more)
        scratch_tell(&room->scratch, more);
    if (inquiries_open(room->scratch.path, &room->inquiries, room->scratch.error, sizeof room->scratch.error))
        test_failed(__FILE__, __LINE__, "inquiries_open: %s", room->scratch.error);
    room->inquirer = (struct inquirer){.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
}

static void close_room(struct room *room)
{
    inquiries_close(room->inquiries);
    scratch_remove(&room->scratch);
}

static int start(struct room *room, const char *sql)
{
    const struct query query = {.sql = view_text(sql)};
    const struct inquiry_ending ending = {on_done, &room->inquirer};
    return inquiry_start(room->inquiries, &query, &ending, &room->inquiry);
}

/* ask: the rows; until leave. */
static const struct rows *ask_with(struct room *room, const struct query *query)
{
    const struct inquiry_ending ending = {on_done, &room->inquirer};
    const int before = room->inquirer.answers;
    CHECK_INT(inquiry_start(room->inquiries, query, &ending, &room->inquiry), 0);
    wait_for(&room->inquirer, before + 1);
    return inquiry_rows(room->inquiry);
}

static const struct rows *ask(struct room *room, const char *sql)
{
    return ask_with(room, &(struct query){.sql = view_text(sql)});
}

static void leave(struct room *room)
{
    CHECK(!inquiry_cancel(room->inquiry));
    inquiry_free(room->inquiry);
}

static struct datum text(const char *value)
{
    return (struct datum){.kind = DATUM_TEXT, .text = view_text(value)};
}

static void check_datum_text(const struct datum *datum, const char *expected)
{
    CHECK_INT(datum->kind, DATUM_TEXT);
    CHECK(view_equal(datum->text, view_text(expected)));
}

TEST(rows_come_with_their_names_and_types)
{
    struct room room;
    open_room(&room, NULL);
    const struct rows *rows = ask(&room, "SELECT user, bps, price, plan, seal AS sealed FROM plans ORDER BY user; ");
    CHECK_TEXT(rows->error ? rows->error : "", "");
    CHECK_INT(rows->column_count, 5);
    CHECK_INT(rows->row_count, 2);
    CHECK_TEXT(rows->names[0], "user");
    CHECK_TEXT(rows->names[4], "sealed");
    check_datum_text(&rows->data[0], "ann");
    CHECK_INT(rows->data[1].integer, 1000000);
    CHECK(rows->data[2].kind == DATUM_REAL && rows->data[2].real == 9.5);
    CHECK_INT(rows->data[4].text.len, 2);
    check_datum_text(&rows->data[5], "bob");
    CHECK_INT(rows->data[6].integer, -1);
    CHECK_INT(rows->data[8].kind, DATUM_NULL);
    leave(&room);
    close_room(&room);
}

TEST(parameters_are_typed_and_never_sql)
{
    struct room room;
    open_room(&room, NULL);
    char name[] = "ann' OR 1 --";
    const struct datum data[] = {text(name), {.kind = DATUM_INTEGER, .integer = 7}, {.kind = DATUM_REAL, .real = 0.5}, {.kind = DATUM_NULL}};
    const struct query query = {.sql = view_text("SELECT ?1 AS a, typeof(?2), typeof(?3), typeof(?4), (SELECT count(*) FROM plans WHERE user = ?1)"),
                                .data = data,
                                .datum_count = 4};
    const struct rows *rows = ask_with(&room, &query);
    memset(name, '#', 3); /* it has a copy */
    check_datum_text(&rows->data[0], "ann' OR 1 --");
    check_datum_text(&rows->data[1], "integer");
    check_datum_text(&rows->data[2], "real");
    check_datum_text(&rows->data[3], "null");
    CHECK_INT(rows->data[4].integer, 0);
    leave(&room);
    rows = ask(&room, "SELECT ?1, ?2");
    CHECK(rows->is_wrong);
    CHECK_TEXT(rows->error, "2 parameters expected, got 0");
    leave(&room);
    close_room(&room);
}

TEST(only_reading_is_allowed)
{
    static const struct {
        const char *sql, *why;
    } cases[] = {
        {"INSERT INTO plans VALUES ('x', 'x', 1, 1, 1)", "not authorized"},
        {"UPDATE plans SET plan = 'x'", "not authorized"},
        {"DELETE FROM plans", "not authorized"},
        {"DELETE FROM plans RETURNING user", "not authorized"},
        {"CREATE TABLE t (x)", "not authorized"},
        {"CREATE TEMP TABLE t (x)", "not authorized"},
        {"DROP TABLE plans", "not authorized"},
        {"ATTACH '/tmp/x' AS x", "not authorized"},
        {"VACUUM INTO '/tmp/x'", "reads expected"},
        {"PRAGMA journal_mode", "not authorized"},
        {"PRAGMA user_version = 99", "not authorized"},
        {"SELECT * FROM pragma_database_list", "not authorized"},
        {"BEGIN", "not authorized"},
        {"REINDEX", "not authorized"},
        {"ANALYZE", "not authorized"},
        {"SELECT load_extension('x')", "not authorized"},
        {"SELECT 1; SELECT 2", "one statement expected"},
        {"SELECT 1; DROP TABLE plans", "one statement expected"},
        {"", "one statement expected"},
        {"SELEC 1", "syntax error"},
        {"SELECT nope", "no such column: nope"},
    };
    struct room room;
    open_room(&room, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct rows *rows = ask(&room, cases[i].sql);
        if (!rows->error || !rows->is_wrong || !strstr(rows->error, cases[i].why))
            test_failed(cases[i].sql, 0, "%s, not %s", rows->error ? rows->error : "(rows)", cases[i].why);
        leave(&room);
    }
    CHECK_INT(scratch_number(&room.scratch, "SELECT count(*) FROM plans"), 2);
    close_room(&room);
}

TEST(keys_and_secrets_are_not_to_be_read)
{
    static const char *const refused[] = {"SELECT key FROM users",
                                          "SELECT * FROM users",
                                          "SELECT name FROM users ORDER BY key_sha256",
                                          "SELECT count(*) FROM users WHERE hex(other_keys) LIKE '0%'",
                                          "SELECT KEY FROM main.USERS",
                                          "SELECT key FROM peek",
                                          "WITH u AS (SELECT * FROM users) SELECT 1 FROM u WHERE key > 'x'",
                                          "SELECT secret FROM secrets",
                                          "SELECT count(*) FROM secrets",
                                          "SELECT ikm_key FROM oauth_key",
                                          "SELECT hash FROM keys",
                                          "SELECT * FROM keys",
                                          "SELECT secret FROM webhooks",
                                          "SELECT 1 FROM webhooks WHERE hex(secret) LIKE '0%'",
                                          "SELECT hmackey FROM turnusers_lt",
                                          "SELECT value FROM turn_secret",
                                          "SELECT password FROM admin_user"};
    static const char *const granted[] = {"SELECT realm, name, created_ms FROM users", "SELECT count(*) FROM users",
                                          "SELECT kid, lifetime, realm FROM oauth_key", "SELECT name FROM turnusers_lt",
                                          "SELECT id, tenant, scopes, name, expires_ms, revoked_ms FROM keys",
                                          "SELECT id, tenant, url, types, enabled FROM webhooks", "SELECT event, webhook, state FROM outbox",
                                          "SELECT * FROM tenants",  "SELECT * FROM sessions", "SELECT * FROM usage", "SELECT * FROM audit",
                                          "SELECT * FROM meters",   "SELECT * FROM plans"};
    struct room room;
    open_room(&room, "CREATE TABLE turnusers_lt (realm TEXT, name TEXT, hmackey TEXT); CREATE TABLE turn_secret (realm TEXT, value TEXT);"
                     "CREATE TABLE admin_user (name TEXT, realm TEXT, password TEXT); INSERT INTO turnusers_lt VALUES ('r', 'tom', '00')");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct rows *rows = ask(&room, refused[i]);
        if (!rows->error || !rows->is_wrong || !(strstr(rows->error, "prohibited") || strstr(rows->error, "not authorized")))
            test_failed(refused[i], 0, "%s", rows->error ? rows->error : "is answered");
        leave(&room);
    }
    for (size_t i = 0; i < sizeof granted / sizeof *granted; i++) {
        const struct rows *rows = ask(&room, granted[i]);
        if (rows->error)
            test_failed(granted[i], 0, "%s", rows->error);
        leave(&room);
    }
    close_room(&room);
}

static size_t users(struct room *room, const char *realm, const char *name)
{
    const struct datum user[] = {text(realm), text(name)};
    const struct rows *rows = ask_with(room, &(struct query){.is_user = true, .data = user, .datum_count = 2});
    CHECK(!rows->error);
    const size_t count = rows->row_count;
    leave(room);
    return count;
}

TEST(users_are_those_of_both_tables)
{
    struct room room;
    open_room(&room, "CREATE TABLE turnusers_lt (realm TEXT, name TEXT, hmackey TEXT); INSERT INTO turnusers_lt VALUES ('r', 'tom', '00')");
    CHECK_INT(users(&room, "r", "ann"), 1);
    CHECK_INT(users(&room, "r", "tom"), 1);
    CHECK_INT(users(&room, "r", "eve"), 0);
    CHECK_INT(users(&room, "s", "ann"), 0);
    close_room(&room);
}

#define COUNT(n) "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < " #n ") "

TEST(answers_are_bounded)
{
    struct room room;
    open_room(&room, NULL);
    CHECK_INT(ask(&room, COUNT(1000) "SELECT i FROM c")->row_count, 1000);
    leave(&room);
    CHECK_TEXT(ask(&room, COUNT(1001) "SELECT i FROM c")->error, "too large");
    leave(&room);
    CHECK_TEXT(ask(&room, COUNT(20) "SELECT zeroblob(60000) FROM c")->error, "too large");
    leave(&room);
    CHECK_TEXT(ask(&room, "SELECT zeroblob(1 << 30)")->error, "too large");
    leave(&room);
    CHECK_INT(ask(&room, "SELECT zeroblob(1000000)")->data[0].text.len, 1000000);
    leave(&room);
    close_room(&room);
}

/* wait_until_it_runs: what never ends costs this process its time. */
static void wait_until_it_runs(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do {
        usleep(1000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < 20000000);
}

TEST(what_nobody_wants_any_more_ends)
{
    struct room room;
    struct inquiry *endless[INQUIRY_THREADS];
    open_room(&room, NULL);
    for (int i = 0; i < INQUIRY_THREADS; i++) {
        CHECK_INT(start(&room, COUNT(1000000000000) "SELECT count(*) FROM c"), 0);
        endless[i] = room.inquiry;
    }
    wait_until_it_runs();
    CHECK_INT(start(&room, "SELECT 1"), 0); /* no thread has time for it */
    CHECK(inquiry_cancel(room.inquiry));
    CHECK_INT(room.inquirer.answers, 0);
    for (int i = 0; i < INQUIRY_THREADS; i++)
        CHECK(inquiry_cancel(endless[i]));
    CHECK_INT(ask(&room, "SELECT 7")->data[0].integer, 7);
    leave(&room);
    CHECK_INT(room.inquirer.answers, 1);
    close_room(&room);
}

TEST(no_more_wait_than_there_is_room_for)
{
    static struct inquiry *begun[INQUIRIES_MAX + INQUIRY_THREADS];
    struct room room;
    size_t count = 0;
    open_room(&room, NULL);
    while (start(&room, COUNT(1000000000000) "SELECT count(*) FROM c") == 0) {
        CHECK(count < INQUIRIES_MAX + INQUIRY_THREADS);
        begun[count++] = room.inquiry;
    }
    CHECK(count >= INQUIRIES_MAX);
    wait_until_it_runs();
    for (size_t i = count; i > 0; i--)
        CHECK(inquiry_cancel(begun[i - 1]));
    CHECK_INT(start(&room, "SELECT 1"), 0);
    wait_for(&room.inquirer, 1);
    leave(&room);
    close_room(&room);
}

TEST(a_locked_database_is_waited_for_until_nobody_wants_it)
{
    struct room room;
    open_room(&room, NULL);
    sqlite3 *other = scratch_connect(&room.scratch);
    inquiries_close(room.inquiries); /* the lock is for who has the file alone */
    scratch_exec(other, "PRAGMA journal_mode = DELETE");
    CHECK_INT(inquiries_open(room.scratch.path, &room.inquiries, room.scratch.error, sizeof room.scratch.error), 0);
    scratch_exec(other, "BEGIN EXCLUSIVE");
    for (int i = 0; i < 50; i++) {
        CHECK_INT(start(&room, "SELECT count(*) FROM plans"), 0);
        usleep(200);
        CHECK(inquiry_cancel(room.inquiry));
    }
    CHECK_INT(start(&room, "SELECT count(*) AS n FROM plans"), 0);
    scratch_exec(other, "COMMIT");
    wait_for(&room.inquirer, 1);
    CHECK_INT(inquiry_rows(room.inquiry)->data[0].integer, 2);
    leave(&room);
    sqlite3_close(other);
    close_room(&room);
}

TEST(what_is_written_meanwhile_is_seen_by_the_next)
{
    struct room room;
    open_room(&room, NULL);
    CHECK_INT(ask(&room, "SELECT count(*) FROM plans")->data[0].integer, 2);
    leave(&room);
    scratch_tell(&room.scratch, "INSERT INTO plans VALUES ('zoe', 'x', 1, 1, NULL); ALTER TABLE plans ADD COLUMN more INTEGER DEFAULT 3");
    CHECK_INT(ask(&room, "SELECT count(*), sum(more) FROM plans")->data[1].integer, 9);
    leave(&room);
    close_room(&room);
}

TEST_LIST(RUN(rows_come_with_their_names_and_types) RUN(parameters_are_typed_and_never_sql) RUN(only_reading_is_allowed)
              RUN(keys_and_secrets_are_not_to_be_read) RUN(users_are_those_of_both_tables) RUN(answers_are_bounded)
                  RUN(what_nobody_wants_any_more_ends) RUN(no_more_wait_than_there_is_room_for)
                      RUN(a_locked_database_is_waited_for_until_nobody_wants_it) RUN(what_is_written_meanwhile_is_seen_by_the_next))
