/* memory.c: what an idle allocation keeps, what goes back when it ends, and that a stranger keeps nothing. */
#include "turn/state.h"
#include "world.h"

#include <malloc.h>
#include <stdio.h>

#define HELD 1000
#define BESIDE 272 /* bytes that the worker and the ledger keep of one: tests/unit/server/held.c */

static void hold(struct world *w, struct client *clients)
{
    for (int i = 0; i < HELD; i++) {
        char address[ADDR_TEXT_MAX];
        snprintf(address, sizeof address, "198.18.%d.%d:%d", i / 250, i % 250 + 1, 5000 + i);
        clients[i] = client_at(w, address, "ann");
        CHECK_INT(client_allocate(&clients[i]), 0);
        CHECK_INT(client_bind(&clients[i], 0x4000, "9.9.9.1:1"), 0);
    }
}

static size_t of_pool(const struct pool *pool)
{
    return pool->live * (pool->item_size + sizeof(uint32_t));
}

static size_t of_table(const struct table *table)
{
    return (table->mask + 1) * sizeof *table->slots;
}

static size_t of_names(const struct engine *engine)
{
    size_t sum = 0;
    const struct allocation *a;
    for (uint32_t at = 0; (a = engine_allocation_at(engine, at)); at = a->self.index + 1)
        sum += malloc_usable_size(a->names) + sizeof(size_t);
    return sum;
}

static size_t of_engine(const struct engine *engine)
{
    return of_pool(&engine->allocations) + of_pool(&engine->permissions) + of_pool(&engine->channels) + of_pool(&engine->bounds.kept) +
           of_table(&engine->by_flow) + of_table(&engine->by_permission) + of_table(&engine->by_number) + of_table(&engine->by_peer) +
           of_names(engine);
}

TEST(an_idle_allocation_with_a_permission_and_a_channel_fits_in_a_kilobyte)
{
    static struct client clients[HELD];
    struct world w;
    world_start(&w, NULL);
    hold(&w, clients);
    const size_t each = of_engine(w.engine) / HELD;
    if (each + BESIDE > 1024)
        printf("# %zu bytes each\n", each);
    CHECK(each + BESIDE <= 1024);
    CHECK_INT(client_refresh(&clients[HELD - 1], 0), 0);
    test_fail_malloc_after(HELD); /* counts from here */
    CHECK_INT(client_allocate(&clients[HELD - 1]), 0);
    CHECK_INT(client_bind(&clients[HELD - 1], 0x4000, "9.9.9.1:1"), 0);
    const long asked = test_mallocs();
    test_fail_malloc_after(-1);
    CHECK_INT(asked, 1); /* for the names: of nothing else is there a block of its own */
    for (int i = 0; i < HELD; i++)
        CHECK_INT(client_refresh(&clients[i], 0), 0);
    world_end(&w);
}

TEST(what_was_held_goes_back_whoever_stays)
{
    static struct client clients[HELD];
    struct world w;
    world_start(&w, NULL);
    hold(&w, clients);
    const struct pool *pools[] = {&w.engine->allocations, &w.engine->permissions, &w.engine->channels};
    for (int i = 0; i < HELD - 1; i++) /* the last one lies at the end of them all */
        CHECK_INT(client_refresh(&clients[i], 0), 0);
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        CHECK(pools[i]->chunk_count - pools[i]->holes <= 2);
    CHECK(w.engine->by_flow.mask < 64 && w.engine->by_permission.mask < 64 && w.engine->by_number.mask < 64 && w.engine->by_peer.mask < 64);
    CHECK_INT(w.engine->bounds.kept.live, 1);
    world_end(&w);
}

TEST(fifty_thousand_strangers_cost_no_byte)
{
    struct world w;
    world_start(&w, NULL);
    test_fail_malloc_after(0); /* whoever asks for memory gets none, and would not be answered */
    for (int i = 0; i < 50000; i++) {
        char address[ADDR_TEXT_MAX];
        snprintf(address, sizeof address, "198.%d.%d.%d:%d", 18 + i / 62500, i / 250 % 250, i % 250 + 1, 1024 + i);
        struct client c = client_at(&w, address, "ann");
        CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    }
    const long asked = test_mallocs();
    test_fail_malloc_after(-1);
    CHECK_INT(asked, 0);
    world_end(&w);
}

TEST_LIST(RUN(an_idle_allocation_with_a_permission_and_a_channel_fits_in_a_kilobyte) RUN(what_was_held_goes_back_whoever_stays)
              RUN(fifty_thousand_strangers_cost_no_byte))
