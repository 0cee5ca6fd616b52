/* rate.c: no more passes than the rate allows, whoever asks. */
#include "ledger/rate.h"
#include "test.h"

#include <pthread.h>

TEST(a_second_is_there_at_once_and_comes_back_evenly)
{
    struct rate rate = {0};
    const struct rate_limit limit = RATE_EACH_SECOND(10);
    for (int i = 0; i < 10; i++)
        CHECK(rate_take(&rate, limit, 1, 5000));
    CHECK(!rate_take(&rate, limit, 1, 5000));
    CHECK(!rate_take(&rate, limit, 1, 5099));
    CHECK(rate_take(&rate, limit, 1, 5101));
    CHECK(!rate_take(&rate, limit, 1, 5101));
    for (int i = 0; i < 10; i++)
        CHECK(rate_take(&rate, limit, 1, 100000));
    CHECK(!rate_take(&rate, limit, 1, 100000));
}

TEST(without_a_limit_everything_passes)
{
    struct rate rate = {0};
    for (int i = 0; i < 100; i++)
        CHECK(rate_take(&rate, RATE_EACH_SECOND(0), UINT32_MAX, 1));
    CHECK(rate_room(&rate, RATE_EACH_SECOND(0), 1) == UINT64_MAX);
    CHECK(rate_take(&rate, RATE_EACH_SECOND(1), 1, 1));
}

TEST(what_is_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for)
{
    struct rate rate = {0};
    CHECK(rate_take(&rate, RATE_EACH_SECOND(100), 400, 10000));
    CHECK(!rate_take(&rate, RATE_EACH_SECOND(100), 1, 12999));
    CHECK(rate_take(&rate, RATE_EACH_SECOND(100), 1, 13011));
}

TEST(what_is_given_back_may_be_taken_again)
{
    struct rate rate = {0};
    for (int i = 0; i < 1000; i++) {
        CHECK(rate_take(&rate, RATE_EACH_SECOND(3), 3, 7000));
        CHECK(!rate_take(&rate, RATE_EACH_SECOND(3), 1, 7000));
        rate_give(&rate, RATE_EACH_SECOND(3), 3);
    }
}

TEST(a_stream_reads_what_there_is_room_for)
{
    struct rate rate = {0};
    const struct rate_limit limit = RATE_EACH_SECOND(8000);
    CHECK_INT(rate_room(&rate, limit, 2000), 8000);
    rate_spend(&rate, limit, 12000, 2000);
    CHECK_INT(rate_room(&rate, limit, 2000), 0);
    CHECK_INT(rate_room(&rate, limit, 2500), 0);
    CHECK_INT(rate_room(&rate, limit, 2750), 2000);
}

TEST(a_minute_is_a_period_too)
{
    struct rate rate = {0};
    const struct rate_limit limit = {5, 60000};
    for (int i = 0; i < 5; i++)
        CHECK(rate_take(&rate, limit, 1, 1000000));
    CHECK(!rate_take(&rate, limit, 1, 1011999));
    CHECK(rate_take(&rate, limit, 1, 1012001));
}

TEST(high_rates_are_exact_to_a_part_in_a_hundred)
{
    struct rate rate = {0};
    const struct rate_limit limit = RATE_EACH_SECOND(UINT64_C(10000000000));
    uint64_t bits = 0;
    for (int64_t now = 1000; now < 3000; now++)
        while (rate_take(&rate, limit, 1200 * 8, now))
            bits += 1200 * 8;
    CHECK(bits <= 30 * UINT64_C(1000000000) + 1200 * 8);
    CHECK(bits >= 29 * UINT64_C(1000000000));
}

struct taker {
    struct rate *rate;
    uint32_t taken;
};

static void *take(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < 200000; i++)
        taker->taken += rate_take(taker->rate, RATE_EACH_SECOND(100000), 1, 1000 + i / 200000);
    return NULL;
}

TEST(threads_take_no_more_than_there_is)
{
    struct rate rate = {0};
    pthread_t threads[4];
    struct taker takers[4];
    uint32_t sum = 0;
    for (int i = 0; i < 4; i++) {
        takers[i] = (struct taker){&rate, 0};
        pthread_create(&threads[i], NULL, take, &takers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += takers[i].taken;
    }
    CHECK(sum <= 100000);
    CHECK(sum >= 99990);
}

TEST_LIST(RUN(a_second_is_there_at_once_and_comes_back_evenly) RUN(without_a_limit_everything_passes)
              RUN(what_is_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for) RUN(what_is_given_back_may_be_taken_again)
                  RUN(a_stream_reads_what_there_is_room_for) RUN(a_minute_is_a_period_too) RUN(high_rates_are_exact_to_a_part_in_a_hundred)
                      RUN(threads_take_no_more_than_there_is))
