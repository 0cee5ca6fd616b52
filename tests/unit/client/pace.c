/* pace.c: when packets leave, and which are on their way. */
#include "client/pace.h"

#include "base/err.h"
#include "test.h"

#define SECOND UINT64_C(1000000000)
#define START (7 * SECOND)

static void leave(struct pace *pace, uint64_t count, uint64_t now)
{
    for (; count > 0; count--)
        pace_sent(pace, now);
}

TEST(a_rate_lets_so_many_leave_each_second)
{
    struct pace pace = {.rate = 1000, .burst = 1, .start_ns = START, .end_ns = START + 10 * SECOND};
    CHECK_INT(pace_open(&pace), 0);
    CHECK_INT(pace_due(&pace, START), 1);
    leave(&pace, 1, START);
    CHECK_INT(pace_due(&pace, START), 0);
    CHECK_INT(pace_sleep_ns(&pace, START), 1000000);
    CHECK_INT(pace_due(&pace, START + 999999), 0);
    CHECK_INT(pace_due(&pace, START + 1000000), 1);
    CHECK_INT(pace_sleep_ns(&pace, START + 2000000), 0);
    CHECK_INT(pace_due(&pace, START + SECOND), 1000); /* who comes late catches up */
    leave(&pace, 1000, START + SECOND);
    CHECK_INT(pace_due(&pace, START + SECOND), 0);
    CHECK(!pace_is_over(&pace, START + 10 * SECOND - 1));
    CHECK(pace_is_over(&pace, START + 10 * SECOND));
    CHECK_INT(pace_due(&pace, START + 10 * SECOND), 0);
    pace_close(&pace);
}

TEST(bursts_leave_whole_at_the_same_rate)
{
    struct pace pace = {.rate = 1000, .burst = 8, .start_ns = START, .packets = 20};
    CHECK_INT(pace_open(&pace), 0);
    CHECK_INT(pace_due(&pace, START), 8);
    leave(&pace, 8, START);
    CHECK_INT(pace_due(&pace, START + 7999999), 0);
    CHECK_INT(pace_due(&pace, START + 8000000), 8);
    leave(&pace, 8, START + 8000000);
    CHECK_INT(pace_due(&pace, START + SECOND), 4); /* no more than there are */
    leave(&pace, 4, START + SECOND);
    CHECK(pace_is_over(&pace, START + SECOND));
    pace_close(&pace);
}

TEST(a_high_rate_for_days_does_not_overflow)
{
    struct pace pace = {.rate = 100000000, .burst = 7, .start_ns = START, .end_ns = START + 30 * 86400 * SECOND};
    CHECK_INT(pace_open(&pace), 0);
    CHECK_INT(pace_due(&pace, START + 29 * 86400 * SECOND), (29 * UINT64_C(86400) * 100000000 / 7 + 1) * 7);
    pace_close(&pace);
}

TEST(a_window_lets_so_many_be_on_their_way)
{
    struct pace pace = {.window = 10, .burst = 4, .start_ns = START, .packets = 1000};
    CHECK_INT(pace_open(&pace), 0);
    CHECK_INT(pace_due(&pace, START), 8);
    for (uint32_t i = 0; i < 8; i++)
        CHECK_INT(pace_sent(&pace, START + i + 1), i);
    CHECK_INT(pace_due(&pace, START), 0);
    CHECK(pace_came(&pace, 3, START + 4));
    CHECK_INT(pace_due(&pace, START), 0); /* not a whole burst */
    CHECK(pace_came(&pace, 0, START + 1));
    CHECK_INT(pace_due(&pace, START), 4);
    CHECK(!pace_came(&pace, 0, START + 1)); /* twice */
    CHECK(!pace_came(&pace, 1, START + 1)); /* another time */
    CHECK(!pace_came(&pace, 8, START));     /* never sent */
    CHECK(!pace_came(&pace, UINT32_MAX, 0));
    CHECK_INT(pace.on_their_way, 6);
    pace_close(&pace);
}

TEST(what_is_given_up_makes_room_and_counts_if_it_comes)
{
    struct pace pace = {.window = 2, .burst = 1, .start_ns = START, .packets = 1000};
    CHECK_INT(pace_open(&pace), 0);
    pace_sent(&pace, START + 1);
    pace_sent(&pace, START + 2);
    pace_give_up(&pace, START + 2);
    CHECK_INT(pace.on_their_way, 1);
    CHECK_INT(pace_due(&pace, START + 3), 1);
    CHECK(pace_came(&pace, 0, START + 1));
    CHECK(!pace_came(&pace, 0, START + 1));
    CHECK_INT(pace.on_their_way, 1);
    CHECK(pace_came(&pace, 1, START + 2));
    CHECK_INT(pace.on_their_way, 0);
    CHECK_INT(pace.came, 2);
    pace_close(&pace);
}

TEST(what_left_before_too_many_others_is_lost)
{
    struct pace pace = {.rate = 1, .burst = 1, .start_ns = START};
    CHECK_INT(pace_open(&pace), 0);
    leave(&pace, PACE_REMEMBERED + 1, START + 5);
    CHECK_INT(pace.on_their_way, PACE_REMEMBERED);
    CHECK(!pace_came(&pace, 0, START + 5));
    CHECK(pace_came(&pace, 1, START + 5));
    CHECK(pace_came(&pace, PACE_REMEMBERED, START + 5));
    pace_close(&pace);
}

TEST(numbers_may_go_round)
{
    struct pace pace = {.window = 4, .burst = 1, .sent = UINT64_C(0x2FFFFFFFF), .oldest = UINT64_C(0x2FFFFFFFF)};
    CHECK_INT(pace_open(&pace), 0);
    CHECK_INT(pace_sent(&pace, 1), UINT32_MAX);
    CHECK_INT(pace_sent(&pace, 2), 0);
    CHECK(pace_came(&pace, UINT32_MAX, 1));
    CHECK(pace_came(&pace, 0, 2));
    CHECK_INT(pace.on_their_way, 0);
    pace_close(&pace);
}

TEST(each_is_renewed_in_its_turn_before_its_permission_ends)
{
    CHECK_INT(pace_renewals(149 * SECOND, 1000), 0);
    CHECK_INT(pace_renewals(150 * SECOND, 1000), 0);
    CHECK_INT(pace_renewals(200 * SECOND, 1000), 500);
    CHECK_INT(pace_renewals(250 * SECOND, 1000), 1000);
    CHECK_INT(pace_renewals(300 * SECOND, 1000), 1000);
    CHECK_INT(pace_renewals(350 * SECOND, 1000), 1500);
    CHECK_INT(pace_renewals(299 * SECOND, 1), 1);
}

TEST(without_memory_there_is_no_pace)
{
    struct pace pace = {.rate = 1, .burst = 1};
    test_fail_malloc_after(0);
    const int err = pace_open(&pace);
    test_fail_malloc_after(-1);
    CHECK_INT(err, ERR_MEMORY);
    pace_close(&pace);
}

TEST_LIST(RUN(a_rate_lets_so_many_leave_each_second) RUN(bursts_leave_whole_at_the_same_rate) RUN(a_high_rate_for_days_does_not_overflow)
              RUN(a_window_lets_so_many_be_on_their_way) RUN(what_is_given_up_makes_room_and_counts_if_it_comes)
                  RUN(what_left_before_too_many_others_is_lost) RUN(numbers_may_go_round) RUN(each_is_renewed_in_its_turn_before_its_permission_ends)
                      RUN(without_memory_there_is_no_pace))
