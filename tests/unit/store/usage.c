/* usage.c: what is counted of an allocation, minute by minute, and what a tenant holds and is refused. */
#include "scratch.h"

#include "base/clock.h"
#include "store/crowd.h"
#include "store/migrate.h"
#include "store/writer.h"

#define MINUTE INT64_C(60000)
#define T0 (INT64_C(1800000000) * 1000 / MINUTE * MINUTE)

static const struct hash_key hash_key = {1, 2};

/* check_rows: what a query says, its rows in a line. */
static void check_rows(const struct scratch *scratch, const char *rows, const char *from, const char *want)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT ifnull(group_concat(line, ' '), '') FROM (SELECT %s AS line FROM %s)", rows, from);
    char *found = scratch_text(scratch, sql);
    CHECK_TEXT(found, want);
    free(found);
}

static struct store_usage living(int64_t id, int64_t at_ms, int64_t lived_ms, bool is_active)
{
    struct store_usage row = scratch_row(id, "alice", at_ms, 0);
    row.packets_in = row.packets_out = 0;
    row.lived_ms = lived_ms;
    row.is_active = is_active;
    return row;
}

static void live(struct store *store, int64_t id, int64_t at_ms, int64_t lived_ms)
{
    const struct store_usage row = living(id, at_ms, lived_ms, false);
    CHECK(store_usage(store, &row));
}

TEST(time_is_counted_in_the_minutes_that_it_was_of_to_the_millisecond)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    CHECK(scratch_open_session(store, 1, "alice", T0 + 59001));
    live(store, 1, T0 + 59500, 499);
    live(store, 1, T0 + 60000, 500);
    live(store, 1, T0 + 3 * MINUTE + 7, 2 * MINUTE + 7);
    CHECK_INT(store_flush(store), 0);
    CHECK(scratch_close_session(store, 1, T0 + 4 * MINUTE + 1, MINUTE - 6, "released"));
    store_close(store);
    char where[128];
    snprintf(where, sizeof where, "usage ORDER BY minute");
    check_rows(&scratch, "lived_ms", where, "999 60000 60000 60000 1");
    check_rows(&scratch, "opened||'/'||closed", where, "1/0 0/0 0/0 0/0 0/1");
    CHECK_INT(scratch_number(&scratch, "SELECT lived_ms FROM sessions"), 181000);
    CHECK_INT(scratch_number(&scratch, "SELECT seconds FROM sessions"), 181);
    scratch_remove(&scratch);
}

TEST(time_of_long_ago_is_in_the_first_of_five_minutes_and_none_is_lost)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    live(store, 1, T0 + 1, 100 * MINUTE);
    store_close(store);
    check_rows(&scratch, "lived_ms", "usage ORDER BY minute DESC", "1 60000 60000 60000 5819999");
    CHECK_INT(scratch_number(&scratch, "SELECT sum(lived_ms) FROM usage"), 100 * MINUTE);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(lived_ms) FROM sessions"), 100 * MINUTE);
    scratch_remove(&scratch);
}

TEST(rooms_and_tags_are_told_apart)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    static const char *const names[] = {"a", "b", ""};
    for (int64_t i = 0; i < 9; i++) {
        struct store_usage row = scratch_row(i, "alice", T0, 1);
        row.who.room = names[i % 3];
        row.who.tag = names[i / 3];
        CHECK(store_usage(store, &row));
    }
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE bytes_in = 1"), 9);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions s JOIN usage u USING (tenant, room, tag, user, transport)"), 9);
    scratch_remove(&scratch);
}

TEST(the_peak_of_a_minute_is_what_was_held_at_once_and_goes_on_into_the_next)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    for (int64_t id = 1; id <= 3; id++)
        CHECK(scratch_open_session(store, id, "alice", T0 + id));
    CHECK(scratch_close_session(store, 1, T0 + 10, 0, "released"));
    CHECK(scratch_open_session(store, 4, "alice", T0 + 20));
    CHECK_INT(store_flush(store), 0);
    live(store, 2, T0 + 2 * MINUTE, MINUTE); /* nothing was told of in the minute between */
    CHECK(scratch_close_session(store, 2, T0 + 3 * MINUTE, 0, "released"));
    CHECK(scratch_close_session(store, 3, T0 + 3 * MINUTE, 0, "released"));
    CHECK(scratch_close_session(store, 4, T0 + 4 * MINUTE, 0, "released"));
    CHECK(scratch_open_session(store, 5, "alice", T0 + 9 * MINUTE));
    store_close(store);
    check_rows(&scratch, "held", "peaks ORDER BY minute", "3 3 3 3 1 1");
    CHECK_INT(scratch_number(&scratch, "SELECT max(minute) - min(minute) FROM peaks"), 9);
    scratch_remove(&scratch);
}

TEST(an_allocation_is_active_once_in_a_minute_in_which_it_carried_data)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    for (int64_t id = 1; id <= 3; id++) {
        const struct store_usage first = living(id, T0 + id, 0, true), again = living(id, T0 + 10 + id, 0, false);
        CHECK(store_usage(store, &first) && store_usage(store, &again));
        if (id == 2)
            CHECK_INT(store_flush(store), 0);
    }
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT active FROM peaks"), 3);
    CHECK_INT(scratch_number(&scratch, "SELECT active_minutes FROM usage"), 3);
    scratch_remove(&scratch);
}

TEST(refusals_are_counted_by_tenant_minute_and_reason)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    for (int64_t i = 0; i < 10; i++) {
        const struct store_refusal row = {T0 + i / 5 * MINUTE, i % 5 ? "acme" : "zeta", i % 2 ? "user_quota" : "policy"};
        CHECK(store_refusal(store, &row));
        if (i == 6)
            CHECK_INT(store_flush(store), 0);
    }
    store_close(store);
    check_rows(&scratch, "tenant||':'||reason||'='||count", "refusals ORDER BY minute, tenant, reason",
               "acme:policy=2 acme:user_quota=2 zeta:policy=1 acme:policy=2 acme:user_quota=2 zeta:user_quota=1");
    scratch_remove(&scratch);
}

TEST(a_sum_that_is_too_large_stays_at_the_largest_and_holds_nothing_up)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    static const uint64_t amounts[] = {UINT64_MAX, UINT64_MAX, 5, (uint64_t)INT64_MAX + 1};
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        struct store_usage row = scratch_row(1, "alice", T0, 1);
        row.bytes_in = amounts[i];
        CHECK(store_usage(store, &row));
        if (i)
            CHECK_INT(store_flush(store), 0);
    }
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM usage"), INT64_MAX);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM sessions"), INT64_MAX);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_out FROM usage"), 8);
    scratch_remove(&scratch);
}

/* Another holds the lock, so that nothing is written meanwhile: the same names, minute after minute, are more rows than there is room for. */
TEST(names_without_number_are_folded_and_counted_and_their_sums_stay_exact)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE");
    CHECK(store_audit(store, T0, "test", "first", "{}"));
    CHECK_INT(store_flush(store), ERR_SYSTEM); /* it is kept by the writer from now on */
    const int64_t sessions = 50000;
    char tag[32];
    for (int64_t i = 0; i < 3 * sessions; i++) {
        struct store_usage row = scratch_row(i % sessions, "alice", T0 + i / sessions * MINUTE, 1);
        snprintf(tag, sizeof tag, "tag%jd", (intmax_t)(i % sessions));
        row.who.tag = tag;
        CHECK(store_usage(store, &row));
    }
    scratch_exec(other, "ROLLBACK");
    sqlite3_close(other);
    CHECK_INT(store_flush(store), 0);
    store_counts(store, &counts);
    CHECK_INT(counts.dropped, 0);
    CHECK_INT(counts.folded, sessions);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage"), 2 * sessions + 1);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(bytes_in) FROM usage"), 3 * sessions);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(bytes_in) FROM sessions"), 3 * sessions);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM usage WHERE room = '*' AND tag = '*' AND user = '*'"), sessions);
    scratch_remove(&scratch);
}

TEST(what_is_dropped_is_not_active_and_who_is_told_so_can_say_it_again)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE");
    CHECK(store_audit(store, T0, "test", "first", "{}"));
    CHECK_INT(store_flush(store), ERR_SYSTEM);
    int64_t taken = 0;
    for (int64_t id = 0; id < BATCH_ENTRIES_MAX + 10; id++) {
        const struct store_usage row = living(id, T0 + 1000, 10, true);
        taken += store_usage(store, &row);
    }
    scratch_exec(other, "ROLLBACK");
    sqlite3_close(other);
    CHECK_INT(store_flush(store), 0);
    CHECK_INT(store_flush(store), 0);
    CHECK_INT(taken, BATCH_ENTRIES_MAX);
    for (int64_t id = taken; id < BATCH_ENTRIES_MAX + 10; id++) {
        const struct store_usage row = living(id, T0 + 2000, 1010, true);
        CHECK(store_usage(store, &row));
    }
    store_counts(store, &counts);
    CHECK_INT(counts.dropped, 10);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT active FROM peaks"), BATCH_ENTRIES_MAX + 10);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(lived_ms) FROM usage"), taken * 10 + 10 * 1010);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(lived_ms) FROM sessions"), taken * 10 + 10 * 1010);
    scratch_remove(&scratch);
}

TEST(a_hundred_thousand_tags_in_a_minute_are_written_and_not_one_is_lost)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    struct store_counts counts;
    char tag[32];
    const msec_t began = clock_monotonic_ms();
    for (int64_t i = 0; i < 100000; i++) {
        struct store_usage row = scratch_row(i, "alice", T0 + i % 60000, 1);
        snprintf(tag, sizeof tag, "player%jd", (intmax_t)i);
        row.who.tag = tag;
        CHECK(store_usage(store, &row));
    }
    const msec_t put = clock_monotonic_ms();
    CHECK_INT(store_flush(store), 0);
    store_counts(store, &counts);
    printf("# 100000 tags: put in %jd ms, written %jd ms later\n", (intmax_t)(put - began), (intmax_t)(clock_monotonic_ms() - put));
    CHECK(counts.dropped == 0 && counts.folded == 0);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE bytes_in = 1"), 100000);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(bytes_in) FROM sessions"), 100000);
    scratch_remove(&scratch);
}

/* Whatever is asked of it, the crowd frees what it has, and never goes below none. */
TEST(a_tenant_is_forgotten_when_it_holds_nothing)
{
    struct crowd crowd;
    struct batch batch;
    char name[16];
    crowd_init(&crowd, &hash_key);
    batch_init(&batch, &hash_key);
    CHECK(crowd_leave(&crowd, &batch, "nobody", T0));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "t%d", i);
            CHECK(crowd_enter(&crowd, &batch, name, T0));
        }
        CHECK_INT(crowd.by_name.count, 100);
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "t%d", i);
            CHECK(crowd_leave(&crowd, &batch, name, T0));
        }
        CHECK_INT(crowd.by_name.count, 0);
    }
    CHECK_INT(crowd.count, 100);
    for (long n = 0; n < 8; n++) {
        test_fail_malloc_after(n);
        const bool entered = crowd_enter(&crowd, &batch, "more", T0);
        test_fail_malloc_after(-1);
        CHECK(crowd_leave(&crowd, &batch, "more", T0));
        CHECK(entered || crowd.by_name.count == 0);
    }
    batch_close(&batch);
    crowd_close(&crowd);
}

static void migrate_up_to(const struct scratch *scratch, int number)
{
    char sql[64];
    for (int i = 0; i < number; i++)
        if (migrations[i].number != 2) /* which needs a function of ours; nothing of it matters here */
            scratch_tell(scratch, migrations[i].sql);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", number);
    scratch_tell(scratch, sql);
}

static int number_of(const char *name)
{
    int i = 0;
    while (!strstr(migrations[i].name, name))
        i++;
    return migrations[i].number;
}

TEST(a_file_of_before_keeps_its_sums_and_its_sessions_and_usage_agree)
{
    struct scratch scratch = scratch_make();
    migrate_up_to(&scratch, number_of("usage") - 1);
    scratch_tell(&scratch, "INSERT INTO starts VALUES (1, 1, 2, 'stopped', 1, '0', 0);"
                           "INSERT INTO sessions (id, start, tenant, user, transport, opened_ms, seen_ms, closed_ms, seconds, bytes_in) VALUES"
                           " (1, 1, 'acme', 'ann', 'udp', 60000, 200000, 200000, 140, 5), (2, 1, 'acme', 'ann', 'udp', 60001, 61000, NULL, NULL, 7),"
                           " (3, 1, 'zeta', 'bob', 'tcp', 120000, 120000, 120000, 0, 0);"
                           "INSERT INTO usage VALUES ('acme', 1, 'ann', 'udp', 10, 0, 0, 0), ('acme', 3, 'ann', 'udp', 2, 0, 0, 0)");
    store_close(scratch_open(&scratch));
    check_rows(&scratch, "tenant||minute||room||tag||user||transport||':'||bytes_in||','||opened||','||closed||','||lived_ms",
               "usage ORDER BY tenant, minute", "acme1annannudp:10,2,1,999 acme3annannudp:2,0,1,140000 zeta2bobbobtcp:0,1,1,0");
    CHECK_INT(scratch_number(&scratch, "SELECT sum(lived_ms) FROM sessions"), 140999);
    CHECK_INT(scratch_number(&scratch, "SELECT seconds FROM sessions WHERE id = 2 AND reason = 'crash'"), 0);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(time_is_counted_in_the_minutes_that_it_was_of_to_the_millisecond) RUN(time_of_long_ago_is_in_the_first_of_five_minutes_and_none_is_lost)
              RUN(rooms_and_tags_are_told_apart) RUN(the_peak_of_a_minute_is_what_was_held_at_once_and_goes_on_into_the_next)
                  RUN(an_allocation_is_active_once_in_a_minute_in_which_it_carried_data) RUN(refusals_are_counted_by_tenant_minute_and_reason)
                      RUN(a_sum_that_is_too_large_stays_at_the_largest_and_holds_nothing_up)
                          RUN(names_without_number_are_folded_and_counted_and_their_sums_stay_exact)
                              RUN(what_is_dropped_is_not_active_and_who_is_told_so_can_say_it_again)
                              RUN(a_hundred_thousand_tags_in_a_minute_are_written_and_not_one_is_lost)
                              RUN(a_tenant_is_forgotten_when_it_holds_nothing)
                                  RUN(a_file_of_before_keeps_its_sums_and_its_sessions_and_usage_agree))
