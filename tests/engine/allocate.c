/* allocate.c: Allocate and its reservations. RFC 8656 section 7.2. */
#include "base/err.h"
#include "turn/state.h"
#include "world.h"

static void only_v6(struct engine_config *config, struct world *w)
{
    (void)w;
    config->relays++;
    config->relay_count = 1;
}

static void only_v4(struct engine_config *config, struct world *w)
{
    (void)w;
    config->relay_count = 1;
}

static void short_lifetime(struct engine_config *config, struct world *w)
{
    (void)w;
    config->max_lifetime_s = 300;
}

static void three_allocations(struct engine_config *config, struct world *w)
{
    (void)w;
    config->max_allocations = 3;
}

TEST(allocate_gives_a_relayed_address_a_lifetime_and_the_mapped_address)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    const struct addr shown = addr_of(SHOWN_V4);
    CHECK(addr_equal_ip(&c.relayed, &shown));
    CHECK(c.relayed.port >= FIRST_PORT && c.relayed.port <= LAST_PORT);
    CHECK(addr_equal(&c.mapped, &c.flow.client));
    CHECK_INT(c.lifetime_s, 600);
    CHECK_INT(c.token, 0);
    CHECK_INT(w.told[EVENT_ALLOCATED].count, 1);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].user, "ann");
    const struct allocation *a = engine_allocation_at(w.engine, 0);
    const struct addr local = addr_of(RELAY_V4);
    CHECK(addr_equal_ip(&a->relayed, &local));
    CHECK(addr_equal(&w.sockets[a->sock].local, &a->relayed));
    CHECK((int64_t)a->id > 0);
    CHECK_INT(a->created_unix_ms, START_UNIX_MS);
    world_end(&w);
}

TEST(a_second_allocate_on_the_5_tuple_is_437)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_allocate(&c), STUN_MISMATCH);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(w.told[EVENT_DENIED].code, STUN_MISMATCH);
    world_end(&w);
}

TEST(without_requested_transport_it_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    client_begin(&c, METHOD_ALLOCATE);
    build_attr(&c.build, ATTR_REQUESTED_TRANSPORT, view_text("\x11"));
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(another_transport_than_udp_and_tcp_is_442)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_byte(&c, ATTR_REQUESTED_TRANSPORT, 33);
    CHECK_INT(client_call(&c), STUN_TRANSPORT_UNSUPPORTED);
    world_end(&w);
}

/* step 4: DF can be set */
TEST(dont_fragment_is_understood)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_DONT_FRAGMENT, view_of("", 0));
    CHECK_INT(client_call(&c), 0);
    world_end(&w);
}

TEST(the_family_that_is_asked_for_is_given)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    client_byte(&c, ATTR_REQUESTED_ADDRESS_FAMILY, 2);
    CHECK_INT(client_call(&c), 0);
    CHECK_INT(c.relayed.family, ADDR_IPV6);
    struct client d = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1234", SERVER_V6, "ann");
    client_begin(&d, METHOD_ALLOCATE);
    client_wish_udp(&d);
    client_byte(&d, ATTR_REQUESTED_ADDRESS_FAMILY, 1);
    CHECK_INT(client_call(&d), 0);
    CHECK_INT(d.relayed.family, ADDR_IPV4);
    world_end(&w);
}

TEST(the_family_that_is_not_said_is_the_listeners)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_over(&w, TRANSPORT_TCP, "[2a00:9::9]:1234", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(c.relayed.family, ADDR_IPV6);
    CHECK_INT(c.mapped.family, ADDR_IPV6);
    world_end(&w);
}

TEST(the_family_that_is_not_said_is_ipv4_if_the_listeners_is_not_to_be_had)
{
    struct world w;
    world_start(&w, only_v4);
    struct client c = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1234", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(c.relayed.family, ADDR_IPV4);
    world_end(&w);
    world_start(&w, only_v6);
    struct client d = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&d), 0);
    CHECK_INT(d.relayed.family, ADDR_IPV6);
    world_end(&w);
}

static void ipv4_unless_asked(struct engine_config *config, struct world *w)
{
    (void)w;
    config->default_family = ADDR_IPV4;
}

static void only_v6_and_ipv4_unless_asked(struct engine_config *config, struct world *w)
{
    only_v6(config, w);
    config->default_family = ADDR_IPV4;
}

TEST(the_family_that_is_not_said_is_ipv4_if_the_configuration_says_so)
{
    struct world w;
    world_start(&w, ipv4_unless_asked);
    struct client c = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1234", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(c.relayed.family, ADDR_IPV4);
    world_end(&w);
    world_start(&w, only_v6_and_ipv4_unless_asked);
    struct client d = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1234", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&d), STUN_FAMILY_UNSUPPORTED);
    world_end(&w);
}

TEST(a_family_that_there_is_not_is_440)
{
    struct world w;
    world_start(&w, only_v4);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    static const uint8_t families[] = {0, 2, 3, 255};
    for (size_t i = 0; i < sizeof families; i++) {
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        client_byte(&c, ATTR_REQUESTED_ADDRESS_FAMILY, families[i]);
        CHECK_INT(client_call(&c), STUN_FAMILY_UNSUPPORTED);
    }
    world_end(&w);
}

TEST(malformed_attributes_are_400)
{
    static const uint16_t types[] = {ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_EVEN_PORT, ATTR_RESERVATION_TOKEN, ATTR_LIFETIME};
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        build_attr(&c.build, types[i], view_text("abc"));
        CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    }
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

static uint32_t granted(struct world *w, uint32_t wanted)
{
    struct client c = client_at(w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_u32(&c.build, ATTR_LIFETIME, wanted);
    CHECK_INT(client_call(&c), 0);
    const uint32_t lifetime_s = c.lifetime_s;
    CHECK_INT(client_refresh(&c, 0), 0);
    return lifetime_s;
}

TEST(lifetime_is_between_600_and_the_maximum)
{
    struct world w;
    world_start(&w, NULL);
    CHECK_INT(granted(&w, 0), 600);
    CHECK_INT(granted(&w, 1), 600);
    CHECK_INT(granted(&w, 1000), 1000);
    CHECK_INT(granted(&w, 3600), 3600);
    CHECK_INT(granted(&w, UINT32_MAX), 3600);
    world_end(&w);
    world_start(&w, short_lifetime);
    CHECK_INT(granted(&w, 1000), 300);
    CHECK_INT(granted(&w, 10), 300);
    world_end(&w);
}

TEST(ports_that_others_hold_are_passed_over)
{
    struct world w;
    world_start(&w, NULL);
    w.foreign_first = FIRST_PORT;
    w.foreign_last = FIRST_PORT + 499;
    for (int i = 0; i < 100; i++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate(&c), 0);
        CHECK(c.relayed.port > w.foreign_last);
    }
    CHECK_INT(world_free_ports(&w), 2 * 1000 - 100);
    world_end(&w);
}

TEST(no_port_left_is_508_and_keeps_no_unit)
{
    struct world w;
    world_start(&w, only_v4);
    w.foreign_first = FIRST_PORT;
    w.foreign_last = LAST_PORT;
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "no_port");
    CHECK_INT(client_allocate_even(&c, true), STUN_CAPACITY);
    CHECK_INT(world_free_ports(&w), 1000);
    CHECK_INT(quota_total(w.shared.quota), 0);
    w.foreign_last = 0;
    CHECK_INT(client_allocate(&c), 0);
    world_end(&w);
}

TEST(every_port_can_be_had_and_then_none)
{
    static struct client clients[1001];
    struct world w;
    world_start(&w, only_v4);
    for (int i = 0; i < 1000; i++) {
        clients[i] = client_at(&w, "198.18.0.1:5000", "ann");
        clients[i].flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate(&clients[i]), 0);
    }
    clients[1000] = client_at(&w, "198.18.0.2:5000", "ann");
    CHECK_INT(client_allocate(&clients[1000]), STUN_CAPACITY);
    CHECK_INT(client_refresh(&clients[500], 0), 0);
    CHECK_INT(client_allocate(&clients[1000]), 0);
    CHECK_INT(clients[1000].relayed.port, clients[500].relayed.port);
    world_end(&w);
}

TEST(no_descriptors_left_is_508)
{
    struct world w;
    world_start(&w, NULL);
    w.no_descriptors = true;
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), STUN_CAPACITY);
    CHECK_INT(client_allocate_even(&c, true), STUN_CAPACITY);
    CHECK_INT(world_free_ports(&w), 2000);
    world_end(&w);
}

TEST(an_engine_that_is_full_says_508)
{
    struct world w;
    world_start(&w, three_allocations);
    for (int i = 0; i < 4; i++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate(&c), i < 3 ? 0 : STUN_CAPACITY);
    }
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_allocations");
    world_end(&w);
}

TEST(relay_ports_are_not_predictable)
{
    struct world w;
    world_start(&w, NULL);
    int steps = 0;
    uint16_t last = 0;
    for (int i = 0; i < 100; i++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate(&c), 0);
        steps += c.relayed.port == last + 1;
        last = c.relayed.port;
    }
    CHECK(steps < 10);
    world_end(&w);
}

TEST(any_malloc_of_an_allocate_may_fail)
{
    struct world w;
    world_start(&w, NULL);
    int failed = 0;
    for (long n = 0; n < 40; n++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + n);
        client_challenge(&c);
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        test_fail_malloc_after(n);
        const int code = client_send(&c);
        test_fail_malloc_after(-1);
        CHECK(code == 0 || code == STUN_CAPACITY || code == STUN_SERVER_ERROR || code == STUN_UNAUTHENTICATED || code == NO_ANSWER);
        failed += code != 0;
        world_check_books(&w);
        if (code == 0)
            CHECK_INT(client_refresh(&c, 0), 0);
        CHECK_INT(world_free_ports(&w), 2000);
    }
    CHECK(failed >= 3);
    world_end(&w);
}

TEST(any_malloc_of_a_new_engine_may_fail)
{
    struct world w;
    world_start(&w, NULL);
    struct engine *engine = NULL;
    long n = 0;
    for (; !engine && n < 10000; n++) {
        test_fail_malloc_after(n);
        engine = engine_new(&w.config, &w.shared, &w.host, 1);
        test_fail_malloc_after(-1);
    }
    CHECK(engine && n > 3);
    engine_free(engine);
    world_end(&w);
}

TEST_LIST(RUN(allocate_gives_a_relayed_address_a_lifetime_and_the_mapped_address) RUN(a_second_allocate_on_the_5_tuple_is_437)
              RUN(without_requested_transport_it_is_400) RUN(another_transport_than_udp_and_tcp_is_442) RUN(dont_fragment_is_understood)
                  RUN(the_family_that_is_asked_for_is_given) RUN(the_family_that_is_not_said_is_the_listeners)
                      RUN(the_family_that_is_not_said_is_ipv4_if_the_listeners_is_not_to_be_had)
                          RUN(the_family_that_is_not_said_is_ipv4_if_the_configuration_says_so) RUN(a_family_that_there_is_not_is_440)
                              RUN(malformed_attributes_are_400) RUN(lifetime_is_between_600_and_the_maximum)
                                  RUN(ports_that_others_hold_are_passed_over) RUN(no_port_left_is_508_and_keeps_no_unit)
                                      RUN(every_port_can_be_had_and_then_none) RUN(no_descriptors_left_is_508)
                                          RUN(an_engine_that_is_full_says_508) RUN(relay_ports_are_not_predictable)
                                              RUN(any_malloc_of_an_allocate_may_fail) RUN(any_malloc_of_a_new_engine_may_fail))
