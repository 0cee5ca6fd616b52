/* summary.c: sums by whatever is asked for, and that they are those of the rows. */
#include "scratch.h"

#include "store/summary.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 (INT64_C(1798761600) * 1000) /* 2027-01-01 */

static void use(struct store *store, const char *tenant, const char *room, const char *tag, int64_t at_ms, uint64_t bytes)
{
    static int64_t id;
    struct store_usage row = scratch_row(++id, "alice", at_ms, bytes);
    row.who.tenant = tenant;
    row.who.room = room;
    row.who.tag = tag;
    row.at_ms += 1000;
    row.lived_ms = 1000;
    CHECK(store_usage(store, &row));
}

static struct summary *open_summary(struct scratch *scratch, const struct summary_question *question)
{
    struct summary *summary;
    if (summary_open(scratch->path, question, &summary, scratch->error, sizeof scratch->error))
        test_failed(__FILE__, __LINE__, "summary_open: %s", scratch->error);
    int more;
    while ((more = summary_gather(summary)) > 0)
        continue;
    CHECK_INT(more, 0);
    return summary;
}

/* check_rows: keys with : between them, then = and the number. */
static void check_rows(struct scratch *scratch, const struct summary_question *question, enum summary_number number, const char *want)
{
    struct summary *summary = open_summary(scratch, question);
    struct summary_row row;
    char found[2048] = "";
    size_t at = 0;
    int more;
    while ((more = summary_next(summary, &row)) > 0) {
        for (size_t i = 0; i < question->key_count; i++)
            at += (size_t)(row.texts[i] ? snprintf(found + at, sizeof found - at, "%s:", row.texts[i])
                                        : snprintf(found + at, sizeof found - at, "%jd:", (intmax_t)((row.times[i] - T0) / MINUTE)));
        at += (size_t)snprintf(found + at, sizeof found - at, "=%jd ", (intmax_t)row.numbers[number]);
    }
    CHECK_INT(more, 0);
    CHECK_TEXT(found, want);
    summary_close(summary);
}

#define ALL .from_ms = 0, .to_ms = INT64_MAX

static struct store *fill(struct scratch *scratch)
{
    struct store *store = scratch_open(scratch);
    use(store, "acme", "m1", "ann", T0, 1);
    use(store, "acme", "m1", "bob", T0 + MINUTE, 2);
    use(store, "acme", "m2", "ann", T0 + HOUR + MINUTE, 4);
    use(store, "zeta", "m1", "ann", T0 + DAY, 8);
    use(store, "acme", "", "", T0 + 40 * DAY, 16);
    CHECK(store_refusal(store, &(struct store_refusal){T0, "acme", "user_quota"}));
    CHECK(store_refusal(store, &(struct store_refusal){T0 + HOUR, "acme", "policy"}));
    CHECK_INT(store_flush(store), 0);
    return store;
}

TEST(sums_are_by_any_key_and_by_several)
{
    struct scratch scratch = scratch_make();
    struct store *store = fill(&scratch);
    const struct {
        enum summary_key keys[3];
        size_t count;
        const char *want;
    } cases[] = {
        {{0}, 0, "=31 "},
        {{SUMMARY_BY_tenant}, 1, "acme:=23 zeta:=8 "},
        {{SUMMARY_BY_room}, 1, ":=16 m1:=11 m2:=4 "},
        {{SUMMARY_BY_tag}, 1, ":=16 ann:=13 bob:=2 "},
        {{SUMMARY_BY_user}, 1, "alice:=31 "},
        {{SUMMARY_BY_transport}, 1, "udp:=31 "},
        {{SUMMARY_BY_minute}, 1, "0:=1 1:=2 60:=0 61:=4 1440:=8 57600:=16 "},
        {{SUMMARY_BY_hour}, 1, "0:=3 60:=4 1440:=8 57600:=16 "},
        {{SUMMARY_BY_day}, 1, "0:=7 1440:=8 57600:=16 "},
        {{SUMMARY_BY_month}, 1, "0:=15 44640:=16 "},
        {{SUMMARY_BY_room, SUMMARY_BY_tag}, 2, "::=16 m1:ann:=9 m1:bob:=2 m2:ann:=4 "},
        {{SUMMARY_BY_tag, SUMMARY_BY_room}, 2, "::=16 ann:m1:=9 ann:m2:=4 bob:m1:=2 "},
        {{SUMMARY_BY_tenant, SUMMARY_BY_day, SUMMARY_BY_room}, 3, "acme:0:m1:=3 acme:0:m2:=4 acme:57600::=16 zeta:1440:m1:=8 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct summary_question question = {ALL, .key_count = cases[i].count};
        memcpy(question.keys, cases[i].keys, sizeof cases[i].keys);
        check_rows(&scratch, &question, SUMMARY_bytes_in, cases[i].want);
    }
    store_close(store);
    scratch_remove(&scratch);
}

TEST(what_begins_in_the_time_asked_for_counts_once)
{
    struct scratch scratch = scratch_make();
    struct store *store = fill(&scratch);
    check_rows(&scratch, &(struct summary_question){.from_ms = T0, .to_ms = T0 + MINUTE}, SUMMARY_bytes_in, "=1 ");
    check_rows(&scratch, &(struct summary_question){.from_ms = T0 + 1, .to_ms = T0 + MINUTE + 1}, SUMMARY_bytes_in, "=2 ");
    check_rows(&scratch, &(struct summary_question){.from_ms = T0 + MINUTE + 1, .to_ms = INT64_MAX}, SUMMARY_bytes_in, "=28 ");
    check_rows(&scratch, &(struct summary_question){.from_ms = T0 - DAY, .to_ms = T0}, SUMMARY_bytes_in, "");
    store_close(store);
    scratch_remove(&scratch);
}

TEST(filters_sorting_and_limits_leave_the_total_as_it_is)
{
    struct scratch scratch = scratch_make();
    struct store *store = fill(&scratch);
    int64_t span;
    const struct summary_question top = {ALL, .tenant = "acme", .keys = {SUMMARY_BY_room}, .key_count = 1, .is_sorted = true,
                                         .sort = SUMMARY_bytes_in, .limit = 2};
    check_rows(&scratch, &top, SUMMARY_bytes_in, ":=16 m2:=4 ");
    struct summary *summary = open_summary(&scratch, &top);
    CHECK_INT(summary_total(summary, &span)[SUMMARY_bytes_in], 23);
    CHECK_INT(summary_total(summary, &span)[SUMMARY_lived_ms], 4000);
    CHECK_INT(span, 1);
    summary_close(summary);
    check_rows(&scratch, &(struct summary_question){ALL, .room = "m1", .keys = {SUMMARY_BY_tenant}, .key_count = 1}, SUMMARY_bytes_in,
               "acme:=3 zeta:=8 ");
    check_rows(&scratch, &(struct summary_question){ALL, .tag = "ann", .room = "m1"}, SUMMARY_bytes_in, "=9 ");
    check_rows(&scratch, &(struct summary_question){ALL, .tenant = "nobody"}, SUMMARY_bytes_in, "");
    check_rows(&scratch, &(struct summary_question){ALL, .user = "x' OR 1"}, SUMMARY_bytes_in, "");
    store_close(store);
    scratch_remove(&scratch);
}

TEST(refusals_and_peaks_stand_beside_sums_by_time)
{
    struct scratch scratch = scratch_make();
    struct store *store = fill(&scratch);
    CHECK(scratch_open_session(store, 1, "alice", T0) && scratch_open_session(store, 2, "alice", T0 + 1));
    CHECK_INT(store_flush(store), 0);
    const struct summary_question by_hour = {ALL, .tenant = "acme", .keys = {SUMMARY_BY_hour}, .key_count = 1},
                                  by_reason = {ALL, .tenant = "acme", .keys = {SUMMARY_BY_reason}, .key_count = 1},
                                  of_all = {ALL, .keys = {SUMMARY_BY_hour}, .key_count = 1};
    check_rows(&scratch, &by_hour, SUMMARY_refused, "0:=1 60:=1 57600:=0 ");
    check_rows(&scratch, &by_hour, SUMMARY_peak_held, "0:=2 60:=0 57600:=0 ");
    check_rows(&scratch, &by_hour, SUMMARY_opened, "0:=2 60:=0 57600:=0 ");
    check_rows(&scratch, &by_reason, SUMMARY_refused, "policy:=1 user_quota:=1 ");
    CHECK(summary_numbers(&by_hour) & SUMMARY_BIT(SUMMARY_peak_held));
    CHECK(!(summary_numbers(&of_all) & SUMMARY_BIT(SUMMARY_peak_held)));
    CHECK(!summary_fault(&by_reason));
    CHECK(summary_fault(&(struct summary_question){.keys = {SUMMARY_BY_reason, SUMMARY_BY_room}, .key_count = 2}));
    store_close(store);
    scratch_remove(&scratch);
}

/* All pieces see one state of the file: what is written meanwhile is not half there. */
TEST(a_summary_is_of_one_moment_and_holds_up_no_writer)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    char tag[16];
    for (int i = 0; i < 25000; i++) {
        snprintf(tag, sizeof tag, "t%05d", i);
        use(store, "acme", "m", tag, T0, 1);
    }
    CHECK_INT(store_flush(store), 0);
    const struct summary_question question = {ALL, .keys = {SUMMARY_BY_tag}, .key_count = 1};
    struct summary *summary;
    struct summary_row row;
    int pieces = 1, rows = 0;
    int64_t span;
    CHECK_INT(summary_open(scratch.path, &question, &summary, scratch.error, sizeof scratch.error), 0);
    CHECK_INT(summary_gather(summary), 1);
    use(store, "acme", "m", "t00000", T0, 1000);
    use(store, "acme", "m", "t24999", T0, 1000);
    CHECK_INT(store_flush(store), 0);
    while (summary_gather(summary) > 0)
        pieces++;
    CHECK_INT(pieces, 3 - 1);
    CHECK_INT(summary_total(summary, &span)[SUMMARY_bytes_in], 25000);
    while (summary_next(summary, &row) > 0)
        rows += row.numbers[SUMMARY_bytes_in] == 1;
    CHECK_INT(rows, 25000);
    summary_close(summary);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_file_that_is_none_is_named)
{
    struct scratch scratch = scratch_make();
    struct summary *summary;
    CHECK(summary_open(scratch.path, &(struct summary_question){ALL}, &summary, scratch.error, sizeof scratch.error) < 0);
    CHECK(!summary && strstr(scratch.error, scratch.path));
    scratch_remove(&scratch);
}

TEST_LIST(RUN(sums_are_by_any_key_and_by_several) RUN(what_begins_in_the_time_asked_for_counts_once)
              RUN(filters_sorting_and_limits_leave_the_total_as_it_is) RUN(refusals_and_peaks_stand_beside_sums_by_time)
                  RUN(a_summary_is_of_one_moment_and_holds_up_no_writer) RUN(a_file_that_is_none_is_named))
