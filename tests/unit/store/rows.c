/* rows.c: what workers put arrives once and exactly, whatever happens to the database meanwhile. */
#include "scratch.h"

#include "base/clock.h"
#include "store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MINUTE INT64_C(60000)
#define T0 (INT64_C(1800000000) * 1000 / MINUTE * MINUTE)

/* What sessions and usage say of the bytes must be the same, and what was put. */
static void check_sums(const struct scratch *scratch, int64_t bytes_in, int64_t packets_in)
{
    CHECK_INT(scratch_number(scratch, "SELECT sum(bytes_in) FROM usage"), bytes_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(bytes_in) FROM sessions"), bytes_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(bytes_out) FROM usage"), 2 * bytes_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(bytes_out) FROM sessions"), 2 * bytes_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(packets_in) FROM usage"), packets_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(packets_in) FROM sessions"), packets_in);
    CHECK_INT(scratch_number(scratch, "SELECT sum(packets_out) FROM usage"), 2 * packets_in);
}

TEST(a_session_is_one_row_from_its_opening_to_its_end)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(scratch_open_session(store, 7, "alice", T0));
    CHECK_INT(store_flush(store), 0);
    char *row = scratch_text(
        &scratch, "SELECT tenant||'|'||room||'|'||tag||'|'||realm||'|'||user||'|'||username||'|'||transport||'|'||client||'|'||relayed||'|'||tags||'|'||"
                  "opened_ms||'|'||seen_ms||'|'||ifnull(closed_ms, '-')||'|'||bytes_in FROM sessions WHERE id = 7");
    char want[256];
    snprintf(want, sizeof want, "acme|lobby|player|example.org|alice|1700000000:alice|udp|192.0.2.1:1000|198.51.100.1:50000|room=1|%jd|%jd|-|0",
             (intmax_t)T0, (intmax_t)T0);
    CHECK_TEXT(row, want);
    free(row);
    CHECK(scratch_use(store, 7, "alice", T0 + 1000, 100));
    CHECK(scratch_use(store, 7, "alice", T0 + 2000, 11));
    CHECK_INT(store_flush(store), 0);
    CHECK(scratch_use(store, 7, "alice", T0 + 3000, 1000));
    CHECK(scratch_close_session(store, 7, T0 + 3500, 3500, "released"));
    CHECK_INT(store_flush(store), 0);
    row = scratch_text(&scratch, "SELECT bytes_in||'|'||bytes_out||'|'||packets_in||'|'||packets_out||'|'||(closed_ms - "
                                 "opened_ms)||'|'||seconds||'|'||reason FROM sessions");
    CHECK_TEXT(row, "1111|2222|3|6|3500|3|released");
    free(row);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(usage_is_one_row_for_a_tenant_minute_user_and_transport)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    for (int64_t i = 0; i < 240; i++) /* four minutes, two users, four sessions */
        CHECK(scratch_use(store, i % 4, i % 2 ? "alice" : "bob", T0 + i * 1000, 1 + (uint64_t)i));
    struct store_usage tcp = scratch_row(9, "alice", T0, 5);
    tcp.who.transport = "tcp";
    CHECK(store_usage(store, &tcp));
    tcp.who.tenant = "zeta";
    CHECK(store_usage(store, &tcp));
    CHECK_INT(store_flush(store), 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage"), 4 * 2 + 2);
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT bytes_in FROM usage WHERE tenant = 'acme' AND user = 'bob' AND minute = %jd",
             (intmax_t)(T0 / MINUTE + 1));
    CHECK_INT(scratch_number(&scratch, sql), 30 * 61 + 29 * 30); /* 61, 63 ... 119 */
    check_sums(&scratch, 240 * 241 / 2 + 10, 242);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(numbers_of_64_bits_arrive_whole)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(scratch_use(store, INT64_MAX, "alice", T0, UINT64_C(1) << 60));
    CHECK(scratch_use(store, INT64_MAX, "alice", T0, 3));
    CHECK_INT(store_flush(store), 0);
    CHECK(scratch_use(store, INT64_MAX, "alice", T0, 4));
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM sessions WHERE id = 9223372036854775807"), (INT64_C(1) << 60) + 7);
    scratch_remove(&scratch);
}

TEST(hostile_text_is_only_text)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    static const char hostile[] = "'); DROP TABLE users; --\xff\xfe\x01%s%n";
    CHECK(scratch_open_session(store, 1, hostile, T0));
    CHECK(scratch_use(store, 1, hostile, T0, 1));
    CHECK(store_audit(store, T0, hostile, hostile, hostile));
    CHECK_INT(store_flush(store), 0);
    static const char *const queries[] = {"SELECT user FROM sessions", "SELECT user FROM usage", "SELECT who FROM audit",
                                          "SELECT detail FROM audit"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char *text = scratch_text(&scratch, queries[i]);
        CHECK_TEXT(text, hostile);
        free(text);
    }
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM users"), 0);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(the_audit_table_takes_rows_and_gives_none_back)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(store_audit(store, T0, "policy", "kick", "{\"user\":\"alice\"}"));
    CHECK(store_audit(store, T0 + 1, "policy", "kick", "{}"));
    CHECK_INT(store_flush(store), 0);
    static const char *const attempts[] = {"UPDATE audit SET who = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1",
                                           "INSERT OR REPLACE INTO audit (id, at_ms, who, type, detail) VALUES (1, 0, 'x', 'x', 'x')"};
    sqlite3 *db = scratch_connect(&scratch);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        CHECK(sqlite3_exec(db, attempts[i], NULL, NULL, NULL) != SQLITE_OK);
        CHECK(strstr(sqlite3_errmsg(db), "append-only"));
    }
    sqlite3_close(db);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE who = 'policy' AND type = 'kick'"), 2);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(rows_are_committed_well_within_a_second_without_being_asked)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts = {0};
    const msec_t put = clock_monotonic_ms();
    CHECK(scratch_use(store, 1, "alice", T0, 1));
    while (counts.rows == 0 && clock_monotonic_ms() - put < 5000) {
        usleep(5000);
        store_counts(store, &counts);
    }
    CHECK_INT(counts.rows, 1);
    CHECK(clock_monotonic_ms() - put < 900);
    check_sums(&scratch, 1, 1);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_hundred_thousand_rows_are_few_batches)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    for (int64_t i = 0; i < 100000; i++)
        CHECK(scratch_use(store, i % 1000, "alice", T0 + i, 1));
    CHECK_INT(store_flush(store), 0);
    store_counts(store, &counts);
    CHECK_INT(counts.rows, 100000);
    CHECK(counts.batches >= 1 && counts.batches < 40);
    CHECK_INT(counts.dropped, 0);
    check_sums(&scratch, 100000, 100000);
    store_close(store);
    scratch_remove(&scratch);
}

/* Another connection holds the write lock: nothing waits for it but the writer's own thread. */
TEST(a_put_never_waits_for_a_locked_database_and_nothing_is_lost_or_doubled)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    msec_t slowest = 0;
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE");
    CHECK(scratch_open_session(store, 1, "alice", T0));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            const msec_t before = clock_monotonic_ms();
            CHECK(scratch_use(store, 1, "alice", T0 + i, 3));
            const msec_t took = clock_monotonic_ms() - before;
            slowest = took > slowest ? took : slowest;
        }
        CHECK_INT(store_flush(store), ERR_SYSTEM); /* the second one has a batch to keep and another behind it */
    }
    CHECK(slowest < 200);
    store_counts(store, &counts);
    CHECK(counts.failing && counts.failures >= 2);
    CHECK_INT(counts.rows, 0);
    CHECK_INT(scratch_logged(&scratch, "store_failing"), 1);
    CHECK_INT(scratch_logged(&scratch, "store_healed"), 0);
    scratch_exec(other, "ROLLBACK");
    CHECK_INT(store_flush(store), 0);
    store_counts(store, &counts);
    CHECK(!counts.failing);
    CHECK_INT(counts.rows, 1001);
    CHECK_INT(counts.dropped, 0);
    CHECK_INT(scratch_logged(&scratch, "store_failing"), 1);
    CHECK_INT(scratch_logged(&scratch, "store_healed"), 1);
    check_sums(&scratch, 3000, 1000);
    sqlite3_close(other);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_table_that_is_gone_stops_nothing_and_heals_when_it_is_back)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(scratch_use(store, 1, "alice", T0, 1));
    CHECK_INT(store_flush(store), 0);
    scratch_tell(&scratch, "ALTER TABLE usage RENAME TO aside");
    for (int i = 0; i < 3; i++) {
        CHECK(scratch_use(store, 1, "alice", T0, 10));
        CHECK_INT(store_flush(store), ERR_SYSTEM);
    }
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM sessions"), 1); /* whole or not at all */
    scratch_tell(&scratch, "ALTER TABLE aside RENAME TO usage");
    CHECK_INT(store_flush(store), 0);
    check_sums(&scratch, 31, 4);
    CHECK_INT(scratch_logged(&scratch, "store_failing"), 1);
    CHECK_INT(scratch_logged(&scratch, "store_healed"), 1);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts"), 1);
    store_close(store);
    scratch_remove(&scratch);
}

/* The child cannot write beyond a size: as on a full disk, which the limit on its own process stands for. */
static int run_on_a_full_disk(struct scratch *scratch)
{
    struct rlimit limit;
    struct store *store = scratch_open(scratch);
    struct stat log;
    CHECK(scratch_use(store, 1, "alice", T0, 1));
    CHECK_INT(store_flush(store), 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 4096; /* the log of a few lines fits, a WAL frame does not */
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 3; i++) {
        CHECK(scratch_use(store, 1, "alice", T0, 10));
        CHECK_INT(store_flush(store), ERR_SYSTEM);
    }
    limit.rlim_cur = before;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_INT(store_flush(store), 0);
    store_close(store);
    CHECK_INT(stat(scratch->log_path, &log), 0);
    CHECK_INT(scratch_logged(scratch, "store_failing"), 1);
    CHECK_INT(scratch_logged(scratch, "store_healed"), 1);
    return 0;
}

TEST(a_full_disk_stops_nothing_and_heals_when_there_is_room)
{
    struct scratch scratch = scratch_make();
    int status = -1;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        if (setjmp(test_exit)) {
            fflush(stdout);
            _exit(1);
        }
        _exit(run_on_a_full_disk(&scratch));
    }
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
    check_sums(&scratch, 31, 4);
    char *checked = scratch_text(&scratch, "PRAGMA integrity_check");
    CHECK_TEXT(checked, "ok");
    free(checked);
    scratch_remove(&scratch);
}

TEST(a_full_memory_drops_rows_and_says_so_once)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE");
    int64_t taken = 0;
    CHECK(store_audit(store, T0, "test", "first", "{}"));
    CHECK_INT(store_flush(store), ERR_SYSTEM); /* it is kept by the writer from now on */
    while (scratch_use(store, taken, "alice", T0, 1))
        taken++;
    CHECK_INT(taken, BATCH_ENTRIES_MAX);
    CHECK(!scratch_use(store, taken, "alice", T0, 1));
    CHECK(scratch_use(store, 0, "alice", T0, 1)); /* what merges still fits */
    CHECK_INT(store_flush(store), ERR_SYSTEM);
    CHECK(!scratch_use(store, taken, "alice", T0, 1));
    CHECK_INT(store_flush(store), ERR_SYSTEM);
    scratch_exec(other, "ROLLBACK");
    sqlite3_close(other);
    CHECK_INT(store_flush(store), 0);
    CHECK_INT(store_flush(store), 0);
    store_counts(store, &counts);
    CHECK_INT(counts.dropped, 3);
    CHECK_INT(scratch_logged(&scratch, "store_dropping"), 1);
    CHECK_INT(scratch_logged(&scratch, "store_dropped"), 1);
    check_sums(&scratch, taken + 1, taken + 1);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_batch_whose_commit_was_not_noticed_is_not_written_again)
{
    struct scratch scratch = scratch_make();
    const struct hash_key hash_key = {1, 2};
    struct writer writer;
    struct batch batch;
    batch_init(&batch, &hash_key);
    CHECK_INT(writer_open(&writer, scratch.path, T0, (struct complaint){scratch.error, sizeof scratch.error}), 0);
    const struct store_usage row = scratch_row(1, "alice", T0, 5);
    CHECK(batch_put_usage(&batch, &row));
    CHECK_INT(writer_commit(&writer, &batch), 0);
    writer.batches--; /* as if the commit had been reported as failed */
    CHECK_INT(writer_commit(&writer, &batch), 0);
    check_sums(&scratch, 5, 1);
    batch_close(&batch);
    CHECK(batch_put_usage(&batch, &row));
    CHECK_INT(writer_commit(&writer, &batch), 0);
    check_sums(&scratch, 10, 2);
    batch_close(&batch);
    writer_close(&writer, T0);
    scratch_remove(&scratch);
}

TEST(a_file_that_was_moved_away_and_made_anew_goes_on_with_what_comes)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(scratch_use(store, 1, "alice", T0, 1));
    CHECK_INT(store_flush(store), 0);
    char *drops = scratch_text(&scratch, "SELECT group_concat('DROP TABLE ' || name, ';') FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
    scratch_tell(&scratch, drops);
    scratch_tell(&scratch, "PRAGMA user_version = 0");
    free(drops);
    CHECK(scratch_use(store, 1, "alice", T0, 10));
    (void)store_flush(store); /* fails with the old connection; the next makes a new one, and the tables */
    CHECK_INT(store_flush(store), 0);
    check_sums(&scratch, 10, 1);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE reason = 'stopped'"), 1);
    scratch_remove(&scratch);
}

#define THREADS 4
#define PUTS 5000

struct putter {
    struct store *store;
    int64_t id;
};

static void *put_run(void *arg)
{
    const struct putter *putter = arg;
    char user[16];
    snprintf(user, sizeof user, "user%d", (int)(putter->id % 2));
    for (int i = 0; i < PUTS; i++) {
        scratch_use(putter->store, putter->id, user, T0 + i, 1);
        if (i % 1000 == 999)
            store_flush(putter->store);
        if (i % 100 == 0)
            store_audit(putter->store, T0, user, "tick", "{}");
    }
    scratch_close_session(putter->store, putter->id, T0 + PUTS, 5000, "released");
    return NULL;
}

TEST(threads_put_side_by_side)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    pthread_t threads[THREADS];
    struct putter putters[THREADS];
    for (int i = 0; i < THREADS; i++) {
        putters[i] = (struct putter){.store = store, .id = i + 1};
        CHECK(scratch_open_session(store, i + 1, "user", T0));
        CHECK_INT(pthread_create(&threads[i], NULL, put_run, &putters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    store_close(store);
    check_sums(&scratch, THREADS * PUTS, THREADS * PUTS);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions WHERE reason = 'released' AND bytes_in = 5000"), THREADS);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit"), THREADS * PUTS / 100);
    scratch_remove(&scratch);
}

/* Every allocation in turn fails: a put says so, and what was taken stays exact. */
TEST(a_put_without_memory_is_dropped_and_nothing_else)
{
    const struct hash_key hash_key = {1, 2};
    const struct store_usage row = scratch_row(1, "alice", T0, 5);
    const struct store_session session = {
        .id = 2, .who = {"t", "r", "g", "u", "udp"}, .realm = "r", .username = "n", .client = "c", .relayed = "d", .tags = ""};
    bool taken = false;
    for (long n = 0; !taken; n++) {
        struct batch batch;
        batch_init(&batch, &hash_key);
        test_fail_malloc_after(n);
        const bool used = batch_put_usage(&batch, &row);
        const bool opened = batch_put_opened(&batch, &session);
        const bool audited = batch_put_audit(&batch, &(struct batch_audit){0}, (const char *const[]){"a", "b", "c", "d"});
        test_fail_malloc_after(-1);
        CHECK_INT(batch.rows, used + opened + audited);
        CHECK(batch.lists[BATCH_USAGE].count >= (uint32_t)used + opened);
        CHECK_INT(batch.audit_count, audited);
        CHECK(batch_put_usage(&batch, &row));
        const struct batch_usage *usage = batch_at(&batch, BATCH_USAGE, 0);
        CHECK_INT(usage->amount.bytes_in, used ? 10 : 5);
        taken = used && opened && audited;
        batch_close(&batch);
    }
}

static void put_meter(void *ctx, const struct store_meter *row)
{
    char text[64];
    snprintf(text, sizeof text, "%s=%jd ", row->key, (intmax_t)row->sum);
    strcat(ctx, text);
}

TEST(the_newest_sum_of_a_meter_is_read_back_until_its_period_ends)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_reader *reader;
    char rows[256] = "";
    CHECK(store_meter(store, &(struct store_meter){"m", "acme", T0 + 1000, 5}));
    CHECK(store_meter(store, &(struct store_meter){"m", "acme", T0 + 1000, 7})); /* in the same batch */
    CHECK(store_meter(store, &(struct store_meter){"m", "ann", T0 + 1000, 1}));
    CHECK(store_meter(store, &(struct store_meter){"m", "acme", T0, 99})); /* the period before */
    CHECK(store_meter(store, &(struct store_meter){"other", "acme", T0 + 1000, 3}));
    CHECK_INT(store_flush(store), 0);
    CHECK(store_meter(store, &(struct store_meter){"m", "ann", T0 + 1000, 2}));
    CHECK_INT(store_flush(store), 0);
    CHECK_INT(store_reader_open(scratch.path, &reader, scratch.error, sizeof scratch.error), 0);
    CHECK_INT(store_reader_meters(reader, view_text("m"), T0, put_meter, rows), 0);
    CHECK_TEXT(rows, "acme=7 ann=2 ");
    rows[0] = 0;
    CHECK_INT(store_reader_meters(reader, view_text("m"), T0 + 1000, put_meter, rows), 0);
    CHECK_TEXT(rows, "");
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM meters"), 4);
    store_reader_close(reader);
    store_close(store);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(the_newest_sum_of_a_meter_is_read_back_until_its_period_ends) RUN(a_session_is_one_row_from_its_opening_to_its_end) RUN(usage_is_one_row_for_a_tenant_minute_user_and_transport)
              RUN(numbers_of_64_bits_arrive_whole) RUN(hostile_text_is_only_text) RUN(the_audit_table_takes_rows_and_gives_none_back)
                  RUN(rows_are_committed_well_within_a_second_without_being_asked) RUN(a_hundred_thousand_rows_are_few_batches)
                      RUN(a_put_never_waits_for_a_locked_database_and_nothing_is_lost_or_doubled)
                          RUN(a_table_that_is_gone_stops_nothing_and_heals_when_it_is_back)
                              RUN(a_full_disk_stops_nothing_and_heals_when_there_is_room) RUN(a_full_memory_drops_rows_and_says_so_once)
                                  RUN(a_batch_whose_commit_was_not_noticed_is_not_written_again)
                                      RUN(a_file_that_was_moved_away_and_made_anew_goes_on_with_what_comes) RUN(threads_put_side_by_side)
                                          RUN(a_put_without_memory_is_dropped_and_nothing_else))
