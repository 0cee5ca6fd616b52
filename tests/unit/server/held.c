/* held.c: the whole sum of what an idle allocation costs, room by room; tests/engine/memory.c measures the engine's part of it. */
#include "server/worker_state.h"
#include "test.h"
#include "turn/channel.h"
#include "turn/permission.h"

#define KILOBYTE 1024u
#define GENERATION 4u          /* of an item of a pool */
#define LOOP_PLACE (2u * 16u)  /* libev's of a descriptor, of which it has up to twice as many */

/* slot: at worst: a table that has just grown is three eighths full. */
static size_t slot(void)
{
    return sizeof(struct table_slot) * 8 / 3;
}

/* grown: of an array that has an eighth more than it needs. */
static size_t grown(size_t size)
{
    return size + size / 8;
}

/* names: the block of the names and what malloc adds: "ann" of a tenant without a name, in a realm of 12 letters. */
static size_t names(void)
{
    const size_t block = sizeof(void *) + sizeof "" + sizeof "ann" + sizeof "example.org." + sizeof "ann" + 4 * sizeof "";
    return (block + sizeof(size_t) + 15) / 16 * 16;
}

static size_t of_engine(void)
{
    return sizeof(struct allocation) + sizeof(struct permission) + sizeof(struct channel) + 3 * GENERATION + 4 * slot() + names();
}

/* With a database. A policy with a usage hook has a struct usage_told more; who relays for long has a struct relay_line. */
static size_t of_worker(void)
{
    return sizeof(struct relay_socket) + GENERATION + LOOP_PLACE + grown(sizeof(struct usage_mark));
}

/* A user who has one allocation has a name of the quota, with his rates, and a bucket. */
static size_t of_ledger(void)
{
    return 3 * sizeof(uint64_t) + sizeof(struct rate_pair);
}

TEST(an_idle_allocation_with_a_permission_and_a_channel_fits_in_a_kilobyte)
{
    const size_t sum = of_engine() + of_worker() + of_ledger();
    if (sum > KILOBYTE)
        printf("# engine %zu, worker %zu, ledger %zu\n", of_engine(), of_worker(), of_ledger());
    CHECK(sum <= KILOBYTE);
}

TEST(an_allocation_is_eight_lines_of_the_cache)
{
    CHECK_INT(sizeof(struct allocation), 512);
}

TEST_LIST(RUN(an_idle_allocation_with_a_permission_and_a_channel_fits_in_a_kilobyte) RUN(an_allocation_is_eight_lines_of_the_cache))
