/* bounds.c: the same limits are kept once, for as long as somebody has them. */
#include "turn/bounds.h"
#include "test.h"

static const struct hash_key key = {1, 2};

TEST(the_same_limits_are_kept_once_until_the_last_has_given_them_back)
{
    struct bounds bounds;
    bounds_init(&bounds, &key);
    const struct limits *first = bounds_take(&bounds, &(struct limits){.max_bps = 8000, .max_channels = 2});
    const struct limits *same = bounds_take(&bounds, &(struct limits){.max_bps = 8000, .max_channels = 2});
    CHECK(first && first == same);
    CHECK(first->max_bps == 8000 && first->max_channels == 2 && first->max_pps == 0);
    bounds_give(&bounds, first);
    CHECK_INT(bounds.kept.live, 1);
    CHECK_INT(same->max_channels, 2);
    bounds_give(&bounds, same);
    CHECK_INT(bounds.kept.live, 0);
    CHECK_INT(bounds.by_hash.count, 0);
    bounds_give(&bounds, NULL);
    bounds_close(&bounds);
}

TEST(whatever_differs_is_another_set_of_limits)
{
    struct bounds bounds;
    const struct cidr_set *const acl = (const struct cidr_set *)&key; /* never looked into */
    const struct limits all[] = {{0}, {.max_bps = 1}, {.max_user_bps = 1}, {.user_quota = 1}, {.is_strict = true}, {.acl = acl}};
    const struct limits *taken[sizeof all / sizeof *all];
    bounds_init(&bounds, &key);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        taken[i] = bounds_take(&bounds, &all[i]);
        for (size_t k = 0; k < i; k++)
            CHECK(taken[k] != taken[i]);
    }
    CHECK(taken[4]->is_strict && taken[5]->acl == acl);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        bounds_give(&bounds, taken[i]);
    CHECK_INT(bounds.kept.live, 0);
    bounds_close(&bounds);
}

TEST(without_memory_there_are_none_and_nothing_is_left)
{
    struct bounds bounds;
    const struct limits *limits = NULL;
    bounds_init(&bounds, &key);
    for (long n = 0; !limits && n < 10; n++) {
        test_fail_malloc_after(n);
        limits = bounds_take(&bounds, &(struct limits){.max_bps = 1});
        test_fail_malloc_after(-1);
        CHECK_INT(bounds.kept.live, limits ? 1 : 0);
    }
    CHECK(limits);
    bounds_give(&bounds, limits);
    bounds_close(&bounds);
}

TEST_LIST(RUN(the_same_limits_are_kept_once_until_the_last_has_given_them_back) RUN(whatever_differs_is_another_set_of_limits)
              RUN(without_memory_there_are_none_and_nothing_is_left))
