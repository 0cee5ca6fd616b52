/* dual.c: one allocation with two relayed addresses: ADDITIONAL-ADDRESS-FAMILY, RFC 8656 sections 7.2 and 8.2. */
#include "turn/state.h"
#include "world.h"

static struct client ann(struct world *w)
{
    return client_at(w, "198.18.0.1:5000", "ann");
}

static int allocate_dual(struct client *c, uint16_t type, uint8_t family)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    client_byte(c, type, family);
    return client_call(c);
}

/* relayed_of: the relayed addresses of the last answer, in its order. */
static size_t relayed_of(const struct client *c, struct addr out[2])
{
    struct view value;
    size_t cursor = 0, count = 0;
    while (message_next(&c->reply, ATTR_XOR_RELAYED_ADDRESS, &cursor, &value)) {
        CHECK(count < 2);
        CHECK_INT(attr_xor_addr_value(&c->reply, value, &out[count++]), 0);
    }
    return count;
}

static int release(struct client *c, uint8_t family, uint32_t lifetime_s)
{
    client_begin(c, METHOD_REFRESH);
    build_attr_u32(&c->build, ATTR_LIFETIME, lifetime_s);
    client_byte(c, ATTR_REQUESTED_ADDRESS_FAMILY, family);
    return client_call(c);
}

TEST(one_allocation_has_an_address_of_each_family)
{
    static const uint16_t types[] = {ATTR_ADDITIONAL_ADDRESS_FAMILY, ATTR_DRAFT_ADDITIONAL_FAMILY};
    struct world w;
    for (size_t i = 0; i < 2; i++) {
        struct addr relayed[2];
        const struct addr v4 = addr_of(SHOWN_V4), v6 = addr_of(RELAY_V6);
        world_start(&w, NULL);
        struct client c = ann(&w);
        CHECK_INT(allocate_dual(&c, types[i], 2), 0);
        CHECK_INT(relayed_of(&c, relayed), 2);
        CHECK(addr_equal_ip(&relayed[0], &v4) && relayed[0].port >= FIRST_PORT);
        CHECK(addr_equal_ip(&relayed[1], &v6) && relayed[1].port >= FIRST_PORT);
        CHECK(!message_has(&c.reply, SLOT_ADDRESS_ERROR_CODE));
        CHECK_INT(w.open_sockets, 2);
        CHECK_INT(quota_total(w.shared.quota), 1);
        CHECK_INT(client_resend(&c), 0); /* the same answer again */
        CHECK_INT(relayed_of(&c, relayed), 2);
        CHECK_INT(client_refresh(&c, 0), 0);
        CHECK_INT(w.open_sockets, 0);
        world_end(&w);
    }
}

TEST(peers_of_both_families_are_reached_each_from_its_own_address)
{
    struct world w;
    struct addr relayed[2];
    world_start(&w, NULL);
    struct client c = ann(&w);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
    CHECK_INT(relayed_of(&c, relayed), 2);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER_V6), 0);
    const struct send v4 = client_says_to(&c, PEER, 10), v6 = client_says_on(&c, 0x4000, 10);
    CHECK_INT(v4.to, SEND_TO_PEER);
    CHECK_INT(v6.to, SEND_TO_PEER);
    CHECK_INT(w.sockets[v4.sock].local.family, ADDR_IPV4);
    CHECK_INT(w.sockets[v4.sock].local.port, relayed[0].port);
    CHECK_INT(w.sockets[v6.sock].local.family, ADDR_IPV6);
    CHECK_INT(w.sockets[v6.sock].local.port, relayed[1].port);
    CHECK_INT(get_u16(peer_says(&c, PEER_V6, 4).bytes.at), 0x4000);
    CHECK_INT(peer_says(&c, PEER, 4).to, SEND_TO_CLIENT);
    world_end(&w);
}

TEST(what_contradicts_it_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = ann(&w);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 1), STUN_BAD_REQUEST);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 7), STUN_BAD_REQUEST);
    static const uint16_t others[] = {ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_EVEN_PORT, ATTR_RESERVATION_TOKEN};
    for (size_t i = 0; i < 3; i++) {
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        client_byte(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2);
        if (others[i] == ATTR_RESERVATION_TOKEN)
            build_attr_u64(&c.build, others[i], 1);
        else
            client_byte(&c, others[i], others[i] == ATTR_EVEN_PORT ? 0x80 : 2);
        CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    }
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    client_byte(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2);
    client_byte(&c, ATTR_EVEN_PORT, 0);
    CHECK_INT(client_call(&c), 0);
    struct addr relayed[2];
    CHECK_INT(relayed_of(&c, relayed), 2);
    CHECK_INT(relayed[0].port % 2 + relayed[1].port % 2, 0);
    world_end(&w);
}

static void expect_one(struct client *c, uint8_t family, uint8_t refused, int code)
{
    struct addr relayed[2];
    CHECK_INT(allocate_dual(c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
    CHECK_INT(relayed_of(c, relayed), 1);
    CHECK_INT(relayed[0].family, family);
    const struct view error = message_attr(&c->reply, SLOT_ADDRESS_ERROR_CODE);
    CHECK(error.len >= 4);
    CHECK_INT(error.at[0], refused);
    CHECK_INT(error.at[1], 0);
    CHECK_INT(error.at[2] * 100 + error.at[3], code);
    CHECK_INT(c->world->open_sockets, 1);
}

static void only_v4(struct engine_config *config, struct world *w)
{
    (void)w;
    config->relay_count = 1;
}

static void only_v6(struct engine_config *config, struct world *w)
{
    config->relay_count = 1;
    w->relays[0] = w->relays[1];
}

TEST(a_family_that_is_not_there_is_named_and_the_other_given)
{
    struct world w;
    world_start(&w, only_v4);
    struct client c = ann(&w);
    expect_one(&c, ADDR_IPV4, 2, STUN_FAMILY_UNSUPPORTED);
    CHECK_INT(client_permit(&c, PEER_V6), STUN_PEER_FAMILY_MISMATCH);
    world_end(&w);
    world_start(&w, only_v6);
    struct client d = ann(&w);
    expect_one(&d, ADDR_IPV6, 1, STUN_FAMILY_UNSUPPORTED);
    CHECK_INT(client_permit(&d, PEER_V6), 0);
    CHECK_INT(client_permit(&d, PEER), STUN_PEER_FAMILY_MISMATCH);
    world_end(&w);
}

static void hold(struct world *w, uint32_t address, bool take)
{
    for (unsigned port = FIRST_PORT; port <= LAST_PORT; port++) {
        uint16_t got = (uint16_t)port;
        if (take)
            CHECK_INT(ports_take(w->shared.ports, address, PORTS_ANY, port, &got), 0);
        else
            ports_give(w->shared.ports, address, got);
    }
}

TEST(a_family_without_a_free_port_is_named_and_without_any_it_is_508)
{
    struct world w;
    world_start(&w, NULL);
    for (uint32_t address = 0; address < 2; address++) {
        hold(&w, address, true);
        struct client c = ann(&w);
        expect_one(&c, address == 0 ? ADDR_IPV6 : ADDR_IPV4, address == 0 ? 1 : 2, STUN_CAPACITY);
        CHECK_INT(client_refresh(&c, 0), 0);
        hold(&w, address, false);
    }
    hold(&w, 0, true);
    hold(&w, 1, true);
    struct client c = ann(&w);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), STUN_CAPACITY);
    world_check_books(&w);
    hold(&w, 0, false);
    hold(&w, 1, false);
    world_end(&w);
}

TEST(one_of_the_two_can_be_given_back)
{
    struct world w;
    for (uint8_t gone = 1; gone <= 2; gone++) {
        world_start(&w, NULL);
        struct client c = ann(&w);
        CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
        const char *lost = gone == 1 ? PEER : PEER_V6, *kept = gone == 1 ? PEER_V6 : PEER;
        CHECK_INT(client_permit(&c, lost), 0);
        CHECK_INT(client_permit(&c, kept), 0);
        CHECK_INT(release(&c, gone, 900), 0);
        CHECK_INT(c.lifetime_s, 900);
        CHECK_INT(w.open_sockets, 2);
        CHECK_INT(release(&c, gone, 0), 0);
        CHECK_INT(c.lifetime_s, 0);
        CHECK_INT(w.open_sockets, 1);
        CHECK_INT(release(&c, gone, 600), STUN_PEER_FAMILY_MISMATCH);
        CHECK_INT(client_says_to(&c, lost, 1).to, SEND_NOTHING);
        CHECK_INT(client_says_to(&c, kept, 1).to, SEND_TO_PEER);
        CHECK_INT(release(&c, 3 - gone, 0), 0);
        CHECK_INT(w.open_sockets, 0);
        CHECK_INT(engine_allocations(w.engine), 0);
        world_end(&w);
    }
}

TEST(two_addresses_end_with_their_allocation)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = ann(&w);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
    world_pass(&w, 601000);
    CHECK_INT(w.told[EVENT_CLOSED].count, 1);
    CHECK_INT(w.open_sockets, 0);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
    engine_close_all(w.engine, "shutdown", w.now);
    CHECK_INT(w.open_sockets, 0);
    CHECK_INT(allocate_dual(&c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2), 0);
    world_end(&w); /* and with the engine */
}

TEST_LIST(RUN(one_allocation_has_an_address_of_each_family) RUN(peers_of_both_families_are_reached_each_from_its_own_address)
              RUN(what_contradicts_it_is_400) RUN(a_family_that_is_not_there_is_named_and_the_other_given)
                  RUN(a_family_without_a_free_port_is_named_and_without_any_it_is_508) RUN(one_of_the_two_can_be_given_back)
                      RUN(two_addresses_end_with_their_allocation))
