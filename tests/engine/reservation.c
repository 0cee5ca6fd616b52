/* reservation.c: EVEN-PORT and RESERVATION-TOKEN. RFC 8656 sections 7.1, 7.2, 18.6, 18.7. */
#include "world.h"

TEST(even_port_gives_an_even_port_and_leaves_its_sibling_free)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate_even(&c, false), 0);
    CHECK_INT(c.relayed.port % 2, 0);
    CHECK_INT(c.token, 0);
    CHECK(!ports_is_taken(w.shared.ports, 0, (uint16_t)(c.relayed.port + 1)));
    world_end(&w);
}

TEST(a_reserved_port_is_given_to_who_shows_the_token)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_even(&c, true), 0);
    CHECK_INT(c.relayed.port % 2, 0);
    CHECK(c.token != 0);
    CHECK_INT(client_allocate_token(&d, c.token), 0);
    CHECK_INT(d.relayed.port, c.relayed.port + 1);
    struct client e = client_at(&w, "198.18.0.1:5002", "ann");
    CHECK_INT(client_allocate_token(&e, c.token), STUN_CAPACITY); /* once */
    world_end(&w);
}

TEST(a_token_remembers_its_family)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1234", SERVER_V6, "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_even(&c, true), 0);
    CHECK_INT(c.relayed.family, ADDR_IPV6);
    CHECK_INT(client_allocate_token(&d, c.token), 0);
    CHECK_INT(d.relayed.family, ADDR_IPV6);
    CHECK_INT(d.relayed.port, c.relayed.port + 1);
    world_end(&w);
}

TEST(a_token_is_of_no_use_to_another_user)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), thief = client_at(&w, "198.18.0.2:5000", "bob");
    CHECK_INT(client_allocate_even(&c, true), 0);
    CHECK_INT(client_allocate_token(&thief, c.token), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "reservation_token");
    struct client d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_token(&d, c.token), 0);
    world_end(&w);
}

TEST(a_token_expires_after_30_s)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_even(&c, true), 0);
    const uint16_t sibling = (uint16_t)(c.relayed.port + 1);
    world_pass(&w, TICKET_LIFETIME_MS - 1);
    CHECK(ports_is_taken(w.shared.ports, 0, sibling));
    world_pass(&w, 1001);
    CHECK(!ports_is_taken(w.shared.ports, 0, sibling));
    CHECK_INT(client_allocate_token(&d, c.token), STUN_CAPACITY);
    world_end(&w);
}

TEST(a_reserved_port_that_cannot_be_opened_is_508_and_free_again)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_even(&c, true), 0);
    w.no_descriptors = true;
    CHECK_INT(client_allocate_token(&d, c.token), STUN_CAPACITY);
    CHECK_INT(world_free_ports(&w), 2000 - 1);
    CHECK_INT(quota_total(w.shared.quota), 1);
    world_end(&w);
}

TEST(an_invented_token_is_508)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate_token(&c, 0x123456789), STUN_CAPACITY);
    CHECK_INT(client_allocate_token(&c, 0), STUN_CAPACITY);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

/* step 5 */
TEST(a_token_with_even_port_or_a_family_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate_even(&c, true), 0);
    for (int i = 0; i < 2; i++) {
        client_begin(&d, METHOD_ALLOCATE);
        client_wish_udp(&d);
        build_attr_u64(&d.build, ATTR_RESERVATION_TOKEN, c.token);
        if (i == 0)
            client_byte(&d, ATTR_REQUESTED_ADDRESS_FAMILY, 1);
        else
            build_attr(&d.build, ATTR_EVEN_PORT, view_text("\x80"));
        CHECK_INT(client_call(&d), STUN_BAD_REQUEST);
    }
    world_end(&w);
}

TEST(even_port_churn_pins_nothing)
{
    struct world w;
    world_start(&w, NULL);
    const uint32_t all = world_free_ports(&w);
    for (int i = 0; i < 1500; i++) { /* more cycles than there are ports */
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate_even(&c, i % 2), 0);
        CHECK_INT(client_refresh(&c, 0), 0);
    }
    CHECK_INT(world_free_ports(&w), all);
    world_end(&w);
}

TEST_LIST(RUN(even_port_gives_an_even_port_and_leaves_its_sibling_free) RUN(a_reserved_port_is_given_to_who_shows_the_token)
              RUN(a_token_remembers_its_family) RUN(a_token_is_of_no_use_to_another_user) RUN(a_token_expires_after_30_s)
                  RUN(a_reserved_port_that_cannot_be_opened_is_508_and_free_again) RUN(an_invented_token_is_508)
                      RUN(a_token_with_even_port_or_a_family_is_400) RUN(even_port_churn_pins_nothing))
