/* rollup.c: what is old is merged and deleted, and no sum changes by it, whatever happens meanwhile. */
#include "scratch.h"

#include "base/clock.h"
#include "store/rollup.h"

#include <signal.h>
#include <sys/wait.h>

#define DAY_MS INT64_C(86400000)
#define NOW (INT64_C(1800000000) * 1000 / DAY_MS * DAY_MS + DAY_MS / 2)

#define SUMS                                                                                                                               \
    "SELECT group_concat(s, ';') FROM (SELECT tenant||room||tag||user||transport||':'||sum(bytes_in)||','||sum(bytes_out)||','||sum(packets_in)" \
    "||','||sum(packets_out)||','||sum(lived_ms)||','||sum(opened)||','||sum(closed)||','||sum(active_minutes) AS s FROM usage"            \
    " GROUP BY tenant, room, tag, user, transport ORDER BY 1)"

/* fill: so many rows of each of 40 names, over `days` days up to NOW. */
static void fill(const struct scratch *scratch, int rows, int days)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO usage SELECT 't' || (i %% 2), 1, %jd - i * %d / %d, 'r' || (i %% 4), 'p' || (i %% 5), 'u', 'udp', i, 2 * i, 1, 2,"
             " 1000 + i, 1, 1, 1 FROM n",
             rows * 40 - 1, (intmax_t)(NOW / 60000), days * 1440, rows * 40);
    scratch_tell(scratch, sql);
    scratch_tell(scratch, "INSERT INTO peaks SELECT tenant, 1, minute, sum(bytes_in) % 97, 3 FROM usage GROUP BY tenant, minute;"
                          "INSERT INTO refusals SELECT tenant, 1, minute, 'policy', count(*) FROM usage GROUP BY tenant, minute");
}

static int roll_all(const struct scratch *scratch, const struct store_keep *keep)
{
    sqlite3 *db = scratch_connect(scratch);
    char reason[160] = "";
    int steps = 0, done;
    scratch_exec(db, "PRAGMA synchronous = NORMAL"); /* as the writer has it */
    while ((done = rollup_step(db, keep, NOW, (struct complaint){reason, sizeof reason})) > 0)
        steps++;
    CHECK_TEXT(reason, "");
    CHECK_INT(done, 0);
    sqlite3_close(db);
    return steps;
}

TEST(minutes_become_hours_and_hours_days_and_no_sum_changes)
{
    struct scratch scratch = scratch_make();
    store_close(scratch_open(&scratch));
    fill(&scratch, 200, 60);
    char *before = scratch_text(&scratch, SUMS);
    const int64_t refused = scratch_number(&scratch, "SELECT sum(count) FROM refusals"),
                  peak = scratch_number(&scratch, "SELECT max(held) FROM peaks"), rows = scratch_number(&scratch, "SELECT count(*) FROM usage");
    const struct store_keep keep = {.minutes = 5, .hours = 20};
    CHECK(roll_all(&scratch, &keep) >= 8);
    char *after = scratch_text(&scratch, SUMS);
    CHECK_TEXT(after, before);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(count) FROM refusals"), refused);
    CHECK_INT(scratch_number(&scratch, "SELECT max(held) FROM peaks"), peak);
    CHECK(scratch_number(&scratch, "SELECT count(*) FROM usage") < rows / 2);
    char sql[256];
    static const char *const names[] = {"usage", "peaks", "refusals"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE span = 1 AND minute < %jd OR span = 60 AND (minute < %jd OR minute %% 60)"
                                  " OR span = 1440 AND minute %% 1440",
                 names[i], (intmax_t)((NOW / 60000 - 5 * 1440) / 60 * 60), (intmax_t)((NOW / 60000 - 20 * 1440) / 1440 * 1440));
        CHECK_INT(scratch_number(&scratch, sql), 0);
        snprintf(sql, sizeof sql, "SELECT count(DISTINCT span) FROM %s", names[i]);
        CHECK_INT(scratch_number(&scratch, sql), 3);
    }
    CHECK_INT(roll_all(&scratch, &keep), 0);
    free(before);
    free(after);
    scratch_remove(&scratch);
}

TEST(what_comes_late_is_merged_into_what_there_is)
{
    struct scratch scratch = scratch_make();
    store_close(scratch_open(&scratch));
    const struct store_keep keep = {.minutes = 1, .hours = 2};
    for (int i = 0; i < 3; i++) {
        scratch_tell(&scratch, "INSERT INTO usage VALUES ('t', 1, 7, 'r', 'p', 'u', 'udp', 9223372036854775000, 1, 1, 1, 1, 1, 1, 1),"
                               " ('t', 1, 8, 'r', 'p', 'u', 'udp', 1, 1, 1, 1, 1, 1, 1, 1)");
        roll_all(&scratch, &keep);
    }
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE span = 1440 AND minute = 0"), 1);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_out FROM usage"), 6);
    CHECK_INT(scratch_number(&scratch, "SELECT bytes_in FROM usage"), INT64_MAX); /* and does not hold up the rest */
    scratch_remove(&scratch);
}

TEST(days_and_sessions_go_when_that_is_wanted_and_open_ones_never)
{
    struct scratch scratch = scratch_make();
    store_close(scratch_open(&scratch));
    fill(&scratch, 10, 30);
    scratch_tell(&scratch, "INSERT INTO starts VALUES (99, 1, 2, 'stopped', 1, '0', 0)");
    char sql[256];
    for (int i = 0; i < 30; i++) {
        const int64_t opened = NOW - i * DAY_MS;
        snprintf(sql, sizeof sql, "INSERT INTO sessions (id, start, tenant, user, transport, opened_ms, seen_ms, closed_ms) VALUES (%jd, 99, 't', 'u', 'udp', %jd, 0, %s)",
                 (intmax_t)(opened << 21), (intmax_t)opened, i % 2 ? "opened_ms" : "NULL");
        if (i % 2)
            snprintf(sql, sizeof sql, "INSERT INTO sessions (id, start, tenant, user, transport, opened_ms, seen_ms, closed_ms) VALUES (%jd, 99, 't', 'u', 'udp', %jd, 0, %jd)",
                     (intmax_t)(opened << 21), (intmax_t)opened, (intmax_t)opened);
        scratch_tell(&scratch, sql);
    }
    roll_all(&scratch, &(struct store_keep){0});
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE span <> 1"), 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions"), 30);
    roll_all(&scratch, &(struct store_keep){.minutes = 2, .hours = 3, .days = 10, .sessions = 10});
    snprintf(sql, sizeof sql, "SELECT count(*) FROM usage WHERE minute < %jd", (intmax_t)((NOW / 60000 - 10 * 1440) / 1440 * 1440));
    CHECK_INT(scratch_number(&scratch, sql), 0);
    CHECK(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE span = 1440") > 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions"), 15 + 5);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sessions WHERE closed_ms IS NULL"), 15);
    scratch_remove(&scratch);
}

/* A process that rolls up is killed again and again, wherever it is. */
TEST(kill_9_in_the_middle_loses_and_doubles_nothing)
{
    struct scratch scratch = scratch_make();
    store_close(scratch_open(&scratch));
    fill(&scratch, 300, 60);
    char *before = scratch_text(&scratch, SUMS);
    const struct store_keep keep = {.minutes = 1, .hours = 10};
    const int64_t rows = scratch_number(&scratch, "SELECT count(*) FROM usage");
    int interrupted = 0;
    for (int i = 0; i < 12; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            roll_all(&scratch, &keep);
            _exit(0);
        }
        usleep(2000 + 3000 * (useconds_t)(i % 7));
        kill(pid, SIGKILL);
        int status;
        CHECK_INT(waitpid(pid, &status, 0), pid);
        interrupted += WIFSIGNALED(status);
        char *after = scratch_text(&scratch, SUMS);
        CHECK_TEXT(after, before);
        free(after);
    }
    CHECK(interrupted > 3);
    roll_all(&scratch, &keep);
    char *after = scratch_text(&scratch, SUMS), *checked = scratch_text(&scratch, "PRAGMA integrity_check");
    CHECK_TEXT(after, before);
    CHECK_TEXT(checked, "ok");
    CHECK(scratch_number(&scratch, "SELECT count(*) FROM usage") < rows);
    free(before);
    free(after);
    free(checked);
    scratch_remove(&scratch);
}

/* The store's own thread does it, beside what is put. */
TEST(a_store_rolls_up_by_itself_and_goes_on_writing)
{
    struct scratch scratch = scratch_make();
    store_close(scratch_open(&scratch));
    fill(&scratch, 200, 60);
    struct store *store = scratch_open(&scratch);
    struct store_counts counts = {0};
    store_keep(store, &(struct store_keep){.minutes = 1});
    const msec_t began = clock_monotonic_ms();
    for (int i = 0; counts.rolled < 3 && clock_monotonic_ms() - began < 10000; i++) {
        CHECK(scratch_use(store, 1, "alice", clock_unix_ms(), 1));
        usleep(5000);
        store_counts(store, &counts);
    }
    CHECK(counts.rolled >= 3 && counts.failures == 0);
    CHECK_INT(store_flush(store), 0);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT sum(bytes_in) FROM usage WHERE user = 'alice'"),
              scratch_number(&scratch, "SELECT sum(bytes_in) FROM sessions"));
    CHECK_INT(scratch_number(&scratch, "SELECT sum(bytes_in) FROM usage WHERE user = 'u'"), INT64_C(8000) * 7999 / 2);
    CHECK(scratch_number(&scratch, "SELECT count(*) FROM usage WHERE span = 60") > 0);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(minutes_become_hours_and_hours_days_and_no_sum_changes) RUN(what_comes_late_is_merged_into_what_there_is)
              RUN(days_and_sessions_go_when_that_is_wanted_and_open_ones_never) RUN(kill_9_in_the_middle_loses_and_doubles_nothing)
                  RUN(a_store_rolls_up_by_itself_and_goes_on_writing))
