/* pool.c: handles, stable addresses, and memory that goes back. */
#include "base/pool.h"
#include "test.h"

#include <stdlib.h>

struct item {
    uint64_t words[5];
};

TEST(an_item_is_zeroed_aligned_and_keeps_its_address)
{
    enum { COUNT = 5000 };
    static struct item *at[COUNT];
    struct pool pool;
    pool_init(&pool, sizeof(struct item), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        at[i] = pool_take(&pool, NULL);
        CHECK(at[i] && (uintptr_t)at[i] % _Alignof(uint64_t) == 0);
        for (int word = 0; word < 5; word++)
            CHECK(at[i]->words[word] == 0);
        memset(at[i], 0xff, sizeof *at[i]);
        at[i]->words[0] = i;
    }
    for (uint64_t i = 0; i < COUNT; i++)
        CHECK(at[i]->words[0] == i);
    pool_close(&pool);
}

TEST(a_reused_item_is_zeroed_and_its_old_handle_is_stale)
{
    struct pool pool;
    struct handle first, second;
    pool_init(&pool, sizeof(struct item), 0);
    struct item *item = pool_take(&pool, &first);
    memset(item, 0xff, sizeof *item);
    CHECK(pool_at(&pool, first) == item);
    CHECK(pool_take(&pool, NULL)); /* keeps the chunk */
    pool_give(&pool, first.index);
    CHECK(!pool_at(&pool, first));
    CHECK(!pool_index(&pool, first.index));
    CHECK_INT(pool_handle(&pool, first.index).generation, 0);
    CHECK(pool_take(&pool, &second) == item);
    CHECK_INT(second.index, first.index);
    CHECK(item->words[0] == 0 && item->words[4] == 0);
    CHECK(!pool_at(&pool, first));
    CHECK(pool_at(&pool, second) == item);
    CHECK(pool_index(&pool, second.index) == item);
    CHECK_INT(pool_handle(&pool, second.index).generation, second.generation);
    pool_close(&pool);
    CHECK(!pool_at(&pool, second));
}

TEST(no_handle_is_never_live)
{
    struct pool pool;
    pool_init(&pool, 1, 0);
    CHECK(!pool_at(&pool, (struct handle){0}));
    CHECK(pool_take(&pool, NULL));
    CHECK(!pool_at(&pool, (struct handle){0}));
    CHECK(!pool_at(&pool, (struct handle){1, 0}));
    CHECK(!pool_at(&pool, (struct handle){POOL_NONE, 1}));
    CHECK(!pool_index(&pool, POOL_NONE));
    pool_close(&pool);
}

TEST(a_handle_is_stale_after_its_chunk_was_freed_and_came_back)
{
    struct pool pool;
    struct handle old, new;
    pool_init(&pool, sizeof(struct item), 0);
    const uint32_t chunk = 1u << pool.chunk_shift;
    for (uint32_t i = 0; i < chunk; i++)
        CHECK(pool_take(&pool, NULL));
    CHECK(pool_take(&pool, &old));
    for (uint32_t i = 0; i <= chunk; i++)
        pool_give(&pool, i);
    CHECK_INT(pool.chunk_count, 1);
    for (uint32_t i = 0; i < chunk; i++)
        CHECK(pool_take(&pool, NULL));
    CHECK(pool_take(&pool, &new));
    CHECK_INT(new.index, old.index);
    CHECK(!pool_at(&pool, old));
    pool_close(&pool);
}

TEST(generations_skip_zero_when_they_come_round)
{
    struct pool pool;
    struct handle a, b;
    pool_init(&pool, sizeof(struct item), 0);
    pool.next_generation = UINT32_MAX;
    CHECK(pool_take(&pool, &a) && pool_take(&pool, &b));
    CHECK_INT(a.generation, UINT32_MAX);
    CHECK_INT(b.generation, 1);
    CHECK(pool_at(&pool, a) && pool_at(&pool, b));
    pool_close(&pool);
}

TEST(the_limit_holds_and_is_given_back)
{
    struct pool pool;
    struct handle last;
    pool_init(&pool, sizeof(struct item), 3);
    CHECK(pool_take(&pool, NULL) && pool_take(&pool, NULL) && pool_take(&pool, &last));
    CHECK(!pool_take(&pool, NULL));
    pool_give(&pool, last.index);
    CHECK(pool_take(&pool, NULL));
    CHECK(!pool_take(&pool, NULL));
    CHECK_INT(pool.live, 3);
    pool_close(&pool);
}

TEST(a_walk_sees_every_live_item_also_while_giving_back)
{
    enum { COUNT = 3000 };
    struct pool pool;
    pool_init(&pool, sizeof(struct item), 0);
    CHECK_INT(pool_next(&pool, 0), POOL_NONE);
    for (int i = 0; i < COUNT; i++)
        CHECK(pool_take(&pool, NULL));
    uint32_t seen = 0;
    for (uint32_t at = pool_next(&pool, 0); at != POOL_NONE; at = pool_next(&pool, at + 1), seen++)
        if (at % 3)
            pool_give(&pool, at);
    CHECK_INT(seen, COUNT);
    seen = 0;
    for (uint32_t at = pool_next(&pool, 0); at != POOL_NONE; at = pool_next(&pool, at + 1), seen++) {
        CHECK_INT(at % 3, 0);
        pool_give(&pool, at);
    }
    CHECK_INT(seen, COUNT / 3);
    CHECK_INT(pool.live, 0);
    CHECK_INT(pool.chunk_count, 1);
    CHECK_INT(pool_next(&pool, POOL_NONE), POOL_NONE);
    pool_close(&pool);
}

TEST(empty_chunks_go_back_to_the_system_and_low_ones_are_filled_first)
{
    struct pool pool;
    struct handle handle;
    pool_init(&pool, sizeof(struct item), 0);
    const uint32_t chunk = 1u << pool.chunk_shift;
    for (uint32_t i = 0; i < 4 * chunk; i++)
        CHECK(pool_take(&pool, NULL));
    CHECK_INT(pool.chunk_count, 4);
    pool_give(&pool, 3 * chunk);
    pool_give(&pool, 5);
    CHECK(pool_take(&pool, &handle));
    CHECK_INT(handle.index, 5);
    for (uint32_t i = 2 * chunk; i < 3 * chunk; i++)
        pool_give(&pool, i);
    CHECK(pool.chunks[2]); /* one that is empty stays */
    for (uint32_t i = chunk; i < 2 * chunk; i++)
        pool_give(&pool, i);
    CHECK(!pool.chunks[1]); /* the next does not, though it lies between others */
    CHECK_INT(pool.chunk_count, 4);
    CHECK(!pool_index(&pool, chunk));
    CHECK_INT(pool_next(&pool, chunk), 3 * chunk + 1);
    for (uint32_t i = 0; i < 2 * chunk + 1; i++) /* all of the third, the last of the fourth; then the second comes back */
        CHECK(pool_take(&pool, &handle) && handle.index >= chunk);
    CHECK(pool.chunks[1]);
    CHECK_INT(pool.chunk_count, 4);
    for (uint32_t i = 4 * chunk; i-- > 0;)
        pool_give(&pool, i);
    CHECK_INT(pool.live, 0);
    CHECK_INT(pool.chunk_count, 4); /* the last is what stays */
    CHECK(!pool.chunks[0] && !pool.chunks[1] && !pool.chunks[2]);
    CHECK(pool_take(&pool, &handle));
    CHECK_INT(handle.index / chunk, 3);
    pool_close(&pool);
}

TEST(an_item_of_whole_cache_lines_begins_on_one)
{
    struct pool pool;
    pool_init(&pool, 128, 0);
    for (int i = 0; i < 3000; i++)
        CHECK((uintptr_t)pool_take(&pool, NULL) % 64 == 0);
    pool_close(&pool);
}

TEST(a_pool_answers_like_a_list)
{
    enum { SLOTS = 2000 };
    static struct handle handles[SLOTS];
    static struct item *items[SLOTS];
    uint32_t state = 7, live = 0;
    struct pool pool;
    pool_init(&pool, 400, 0);
    memset(items, 0, sizeof items);
    for (int step = 0; step < 60000; step++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t n = (state >> 8) % SLOTS;
        const bool filling = step / 10000 % 2 == 0;
        if (!items[n] && (filling || (state >> 28) == 0)) {
            items[n] = pool_take(&pool, &handles[n]);
            CHECK(items[n] && items[n]->words[1] == 0);
            items[n]->words[0] = n;
            items[n]->words[1] = 1;
            live++;
        } else if (items[n] && (!filling || (state >> 28) == 0)) {
            CHECK(pool_at(&pool, handles[n]) == items[n] && items[n]->words[0] == n);
            pool_give(&pool, handles[n].index);
            items[n] = NULL;
            live--;
        } else if (!items[n]) {
            CHECK(!pool_at(&pool, handles[n]));
        }
        CHECK_INT(pool.live, live);
    }
    pool_close(&pool);
}

TEST(a_pool_survives_the_nth_failed_malloc)
{
    struct pool pool;
    pool_init(&pool, sizeof(struct item), 0);
    const uint32_t chunk = 1u << pool.chunk_shift;
    for (long n = 0; n < 6; n++) {
        uint32_t taken = 0;
        test_fail_malloc_after(n);
        while (taken < 100000 && pool_take(&pool, NULL))
            taken++;
        CHECK(!pool_take(&pool, NULL));
        CHECK_INT(taken, (uint32_t)n / 2 * chunk);
        CHECK_INT(pool.live, taken);
        test_fail_malloc_after(-1);
        CHECK(pool_take(&pool, NULL));
        pool_close(&pool);
    }
}

TEST_LIST(RUN(an_item_is_zeroed_aligned_and_keeps_its_address) RUN(a_reused_item_is_zeroed_and_its_old_handle_is_stale)
              RUN(no_handle_is_never_live) RUN(a_handle_is_stale_after_its_chunk_was_freed_and_came_back)
                  RUN(generations_skip_zero_when_they_come_round) RUN(the_limit_holds_and_is_given_back)
                      RUN(a_walk_sees_every_live_item_also_while_giving_back)
                          RUN(empty_chunks_go_back_to_the_system_and_low_ones_are_filled_first) RUN(an_item_of_whole_cache_lines_begins_on_one) RUN(a_pool_answers_like_a_list)
                              RUN(a_pool_survives_the_nth_failed_malloc))
