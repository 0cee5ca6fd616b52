/* table.c: SipHash's reference vectors, and the table against a plain list. */
#include "base/table.h"
#include "base/err.h"
#include "test.h"

#include <stdlib.h>

/* from the reference implementation: key 00..0f, input 00, 01, 02, ... */
static const struct {
    size_t len;
    uint64_t hash, digest; /* SipHash-1-3, SipHash-2-4 */
} vectors[] = {
    {0, UINT64_C(0xabac0158050fc4dc), UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x74f839c593dc67fd)},
    {7, UINT64_C(0xd3927d989bb11140), UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x369095118d299a8e), UINT64_C(0x93f5f5799a932462)},
    {9, UINT64_C(0x25a48eb36c063de4), UINT64_C(0x9e0082df0ba9e4b0)},  {15, UINT64_C(0xd320d86d2a519956), UINT64_C(0xa129ca6149be45e5)},
    {16, UINT64_C(0xcc4fdd1a7d908b66), UINT64_C(0x3f2acc7f57c29bdb)}, {31, UINT64_C(0x2370dd1f8c21d1bc), UINT64_C(0x32d892fad841c342)},
    {63, UINT64_C(0x9d199062b7bbb3a8), UINT64_C(0x958a324ceb064572)},
};

TEST(hash_and_digest_are_siphash)
{
    const struct hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t in[64];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t *copy = test_guarded(in, vectors[i].len);
        CHECK(table_hash(&key, view_of(copy, vectors[i].len)) == vectors[i].hash);
        CHECK(table_digest(&key, view_of(copy, vectors[i].len)) == vectors[i].digest);
        test_unguard(copy, vectors[i].len);
    }
    CHECK(table_hash(&(struct hash_key){1, 2}, view_of(in, 8)) != table_hash(&(struct hash_key){1, 3}, view_of(in, 8)));
}

static size_t candidates(const struct table *table, uint64_t hash, uint32_t value)
{
    size_t found = 0;
    struct table_cursor cursor;
    for (uint32_t at = table_first(table, hash, &cursor); at != TABLE_NONE; at = table_next(table, &cursor))
        found += at == value;
    return found;
}

TEST(an_empty_table_finds_and_drops_nothing)
{
    struct table table;
    table_init(&table);
    CHECK_INT(candidates(&table, 1, 1), 0);
    CHECK(!table_drop(&table, 1, 1));
    CHECK(!table.slots);
    table_close(&table);
}

TEST(keys_that_share_a_hash_are_all_candidates)
{
    struct table table;
    table_init(&table);
    for (uint32_t value = 0; value < 40; value++)
        CHECK_INT(table_put(&table, 7, value), 0);
    for (uint32_t value = 0; value < 40; value++)
        CHECK_INT(candidates(&table, 7, value), 1);
    CHECK_INT(candidates(&table, 8, 3), 0);
    CHECK_INT(candidates(&table, UINT64_C(1) << 32 | 7, 3), 1); /* 32 bits of it are kept */
    CHECK_INT(sizeof(struct table_slot), 8);
    CHECK(table_drop(&table, 7, 20));
    CHECK(!table_drop(&table, 7, 20));
    for (uint32_t value = 0; value < 40; value++)
        CHECK_INT(candidates(&table, 7, value), value != 20);
    table_close(&table);
}

/* A few homes for many keys, the last slots among them: long probes that wrap around, and every shape of gap. */
static uint64_t crowded(uint32_t n)
{
    static const uint32_t homes[] = {0xfff, 0xffe, 0, 1, 3};
    return n / 3 << 12 | homes[n % 5];
}

TEST(a_table_answers_like_a_list)
{
    enum { KEYS = 600 };
    uint32_t state = 1;
    bool in[KEYS] = {false};
    struct table table;
    table_init(&table);
    for (int step = 0; step < 20000; step++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t n = (state >> 8) % KEYS;
        const bool filling = step / 2000 % 2 == 0;
        if (!in[n] && (filling || (state >> 28) == 0)) {
            CHECK_INT(table_put(&table, crowded(n), n), 0);
            in[n] = true;
        } else if (in[n] && (!filling || (state >> 28) == 0)) {
            CHECK(table_drop(&table, crowded(n), n));
            in[n] = false;
        }
        if (step % 500)
            continue;
        size_t live = 0;
        for (uint32_t key = 0; key < KEYS; key++) {
            CHECK_INT(candidates(&table, crowded(key), key), in[key]);
            live += in[key];
        }
        CHECK_INT(table.count, live);
    }
    table_close(&table);
}

TEST(a_table_shrinks_to_its_smallest_size)
{
    struct table table;
    uint32_t most;
    table_init(&table);
    for (uint32_t n = 0; n < 10000; n++)
        CHECK_INT(table_put(&table, n * UINT64_C(0x9e3779b97f4a7c15), n), 0);
    most = table.mask;
    CHECK_INT(most, 16383);
    for (uint32_t n = 0; n < 9990; n++)
        CHECK(table_drop(&table, n * UINT64_C(0x9e3779b97f4a7c15), n));
    CHECK(table.mask < 128);
    for (uint32_t n = 9990; n < 10000; n++) {
        CHECK_INT(candidates(&table, n * UINT64_C(0x9e3779b97f4a7c15), n), 1);
        CHECK(table_drop(&table, n * UINT64_C(0x9e3779b97f4a7c15), n));
    }
    CHECK_INT(table.mask, 15);
    table_close(&table);
    CHECK(!table.slots);
}

TEST(a_table_survives_the_nth_failed_malloc)
{
    for (long n = 0; n < 6; n++) {
        struct table table;
        uint32_t put = 0;
        table_init(&table);
        test_fail_malloc_after(n);
        while (put < 100000 && table_put(&table, put, put) == 0)
            put++;
        CHECK_INT(table_put(&table, 1, 1), ERR_MEMORY);
        CHECK_INT(table.count, put);
        CHECK_INT(put, n == 0 ? 0 : 12 << (n - 1));
        for (uint32_t value = 0; value < put; value++)
            CHECK_INT(candidates(&table, value, value), 1);
        for (uint32_t value = 0; value < put; value++) /* cannot shrink, works on */
            CHECK(table_drop(&table, value, value));
        test_fail_malloc_after(-1);
        CHECK_INT(table.count, 0);
        table_close(&table);
    }
}

TEST_LIST(RUN(hash_and_digest_are_siphash) RUN(an_empty_table_finds_and_drops_nothing) RUN(keys_that_share_a_hash_are_all_candidates)
              RUN(a_table_answers_like_a_list) RUN(a_table_shrinks_to_its_smallest_size) RUN(a_table_survives_the_nth_failed_malloc))
