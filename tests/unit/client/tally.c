/* tally.c: percentiles, jitter and shares. */
#include "client/tally.h"

#include "test.h"

#include <stdlib.h>

/* near: the percentiles are right to 1 in 128, and never too small. */
static bool near(uint64_t got, uint64_t want)
{
    return got >= want && got - want <= want / 128;
}

TEST(percentiles_are_those_of_the_numbers)
{
    struct tally *tally = calloc(1, sizeof *tally);
    CHECK(tally);
    CHECK_INT(tally_at(tally, 0.5), 0);
    for (uint64_t i = 1; i <= 1000000; i++)
        tally_add(tally, i * 17);
    CHECK_INT(tally->total, 1000000);
    CHECK(near(tally_at(tally, 0.5), 17 * 500000));
    CHECK(near(tally_at(tally, 0.99), 17 * 990000));
    CHECK(near(tally_at(tally, 0.999), 17 * 999000));
    CHECK(near(tally_at(tally, 1), 17 * 1000000));
    CHECK(near(tally_at(tally, 0), 17));
    free(tally);
}

TEST(each_number_is_in_the_row_that_says_it)
{
    struct tally *tally = calloc(1, sizeof *tally);
    CHECK(tally);
    for (uint64_t n = 0; n < UINT64_MAX / 3; n = n < 1000 ? n + 1 : n + n / 3) {
        *tally = (struct tally){0};
        tally_add(tally, n);
        CHECK(near(tally_at(tally, 0.5), n));
    }
    *tally = (struct tally){0};
    tally_add(tally, UINT64_MAX);
    CHECK(tally_at(tally, 0.5) == UINT64_MAX);
    free(tally);
}

TEST(one_late_packet_of_a_hundred_is_beyond_the_99th_percentile)
{
    struct tally *tally = calloc(1, sizeof *tally);
    CHECK(tally);
    for (unsigned i = 0; i < 99; i++)
        tally_add(tally, 100);
    tally_add(tally, 1000000);
    CHECK_INT(tally_at(tally, 0.99), 100);
    CHECK(near(tally_at(tally, 0.999), 1000000));
    free(tally);
}

TEST(jitter_is_that_of_rfc_3550)
{
    struct jitter jitter = {0};
    jitter_add(&jitter, 1000);
    CHECK(jitter.ns == 0);
    jitter_add(&jitter, 1160);
    CHECK(jitter.ns == 10);
    jitter_add(&jitter, 1000);
    CHECK(jitter.ns == 10 + 150.0 / 16);
    for (unsigned i = 0; i < 1000; i++)
        jitter_add(&jitter, 1000);
    CHECK(jitter.ns < 0.001);
}

TEST(shares_are_of_the_mean)
{
    uint64_t even[] = {5, 5, 5, 5}, uneven[] = {20, 0, 10, 10}, none[] = {0, 0};
    double least, median;
    tally_shares(even, 4, &least, &median);
    CHECK(least == 1 && median == 1);
    tally_shares(uneven, 4, &least, &median);
    CHECK(least == 0 && median == 1);
    tally_shares(none, 2, &least, &median);
    CHECK(least == 0 && median == 0);
}

TEST_LIST(RUN(percentiles_are_those_of_the_numbers) RUN(each_number_is_in_the_row_that_says_it)
              RUN(one_late_packet_of_a_hundred_is_beyond_the_99th_percentile) RUN(jitter_is_that_of_rfc_3550) RUN(shares_are_of_the_mean))
