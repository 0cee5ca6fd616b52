/* pool.c: an allocation that a policy gives a pool relays from an address of it, and from no other. */
#include "turn/state.h"
#include "world.h"

#define RED "20.1.0.1"
#define RED_V6 "2a01:1::1"
#define BLUE "20.1.0.2"

static void with_pools(struct engine_config *config, struct world *w)
{
    w->relays[2] = (struct relay_address){addr_of(RED), addr_of(RED), "red"};
    config->relay_count = 3;
}

static void all_pooled(struct engine_config *config, struct world *w)
{
    w->relays[0] = (struct relay_address){addr_of(BLUE), addr_of(BLUE), "blue"};
    w->relays[1] = (struct relay_address){addr_of(RED_V6), addr_of(RED_V6), "red"};
    config->relay_count = 2;
}

static void in_pool(struct world *w, const char *pool)
{
    w->verdict = (struct verdict){.kind = VERDICT_ALLOW};
    view_copy(view_text(pool), w->verdict.labels.pool, sizeof w->verdict.labels.pool);
    world_answer(w, HOOK_authorize, world_says);
}

static int allocates(struct client *c, const char *pool)
{
    in_pool(c->world, pool);
    return client_allocate(c);
}

static int allocates_family(struct client *c, uint8_t family)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    client_byte(c, ATTR_REQUESTED_ADDRESS_FAMILY, family);
    return client_call(c);
}

static bool is_at(const struct client *c, const char *ip)
{
    struct addr wanted;
    return addr_parse_ip(view_text(ip), &wanted) == 0 && addr_equal_ip(&c->relayed, &wanted);
}

TEST(an_allocation_of_a_pool_relays_from_its_address_and_others_never_do)
{
    struct world w;
    world_start(&w, with_pools);
    for (int i = 0; i < 40; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.18.0.1:%d", 5000 + i);
        struct client c = client_over(&w, TRANSPORT_UDP, address, SERVER_V4, "ann");
        CHECK_INT(allocates(&c, i % 2 ? "red" : ""), 0);
        CHECK_INT(is_at(&c, RED), i % 2);
    }
    world_end(&w);
}

TEST(a_pool_that_is_not_there_is_a_failure_of_the_policy)
{
    struct world w;
    world_start(&w, with_pools);
    struct client c = client_over(&w, TRANSPORT_UDP, "198.18.0.1:5000", SERVER_V4, "ann");
    CHECK_INT(allocates(&c, "green"), 500);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "unknown_pool");
    CHECK_INT(quota_total(w.shared.quota), 0);
    world_end(&w);
}

TEST(where_every_address_is_in_a_pool_nobody_else_relays)
{
    struct world w;
    world_start(&w, all_pooled);
    struct client c = client_over(&w, TRANSPORT_UDP, "198.18.0.1:5000", SERVER_V4, "ann");
    CHECK_INT(allocates(&c, ""), 508);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "no_port");
    world_end(&w);
}

TEST(the_family_that_nobody_asked_for_is_the_one_that_the_pool_has)
{
    struct world w;
    world_start(&w, all_pooled);
    struct client c = client_over(&w, TRANSPORT_UDP, "198.18.0.1:5000", SERVER_V4, "ann");
    CHECK_INT(allocates(&c, "red"), 0);
    CHECK(is_at(&c, RED_V6));
    world_end(&w);
}

TEST(the_family_that_was_asked_for_and_is_not_in_the_pool_is_440)
{
    struct world w;
    world_start(&w, all_pooled);
    struct client c = client_over(&w, TRANSPORT_UDP, "198.18.0.1:5000", SERVER_V4, "ann");
    in_pool(&w, "red");
    CHECK_INT(allocates_family(&c, 1), 440);
    CHECK_INT(allocates_family(&c, 2), 0);
    CHECK(is_at(&c, RED_V6));
    world_end(&w);
}

TEST_LIST(RUN(an_allocation_of_a_pool_relays_from_its_address_and_others_never_do)
              RUN(a_pool_that_is_not_there_is_a_failure_of_the_policy) RUN(where_every_address_is_in_a_pool_nobody_else_relays)
                  RUN(the_family_that_nobody_asked_for_is_the_one_that_the_pool_has)
                      RUN(the_family_that_was_asked_for_and_is_not_in_the_pool_is_440))
