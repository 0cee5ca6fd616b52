/* permission.c: CreatePermission and ChannelBind. RFC 8656 sections 9, 10, 12. */
#include "turn/state.h"
#include "world.h"

static void few(struct engine_config *config, struct world *w)
{
    (void)w;
    config->max_permissions = 5;
    config->max_channels = 3;
}

static void strict(struct engine_config *config, struct world *w)
{
    (void)w;
    config->strict_channels = true;
}

static struct client held(struct world *w)
{
    struct client c = client_at(w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_refresh(&c, 3600), 0);
    return c;
}

static bool is_permitted(struct client *c, const char *peer)
{
    const bool in = client_says_to(c, peer, 1).to == SEND_TO_PEER, out = peer_says(c, peer, 1).to == SEND_TO_CLIENT;
    CHECK(in == out);
    return in;
}

TEST(without_a_permission_nothing_passes)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK(!is_permitted(&c, PEER));
    CHECK_INT(engine_counts(w.engine)->dropped_no_permission, 2);
    world_end(&w);
}

TEST(a_permission_is_for_an_address_whatever_the_port)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, PEER_IP ":1"), 0);
    CHECK(c.was_signed);
    CHECK(is_permitted(&c, PEER_IP ":1"));
    CHECK(is_permitted(&c, PEER_IP ":65535"));
    CHECK(!is_permitted(&c, "9.9.9.2:1"));
    world_end(&w);
}

TEST(a_permission_expires_after_300_s_to_the_millisecond)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, PEER), 0);
    world_skip(&w, 299999);
    CHECK(is_permitted(&c, PEER));
    world_skip(&w, 1);
    CHECK(!is_permitted(&c, PEER));
    world_end(&w);
}

TEST(a_permission_is_refreshed_by_create_permission)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, PEER), 0);
    world_pass(&w, 200000);
    CHECK_INT(client_permit(&c, PEER), 0);
    world_pass(&w, 299999);
    CHECK(is_permitted(&c, PEER));
    world_pass(&w, 1);
    CHECK(!is_permitted(&c, PEER));
    world_end(&w);
}

TEST(data_does_not_refresh_a_permission_or_a_channel)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    for (int i = 0; i < 299; i++) {
        world_pass(&w, 1000);
        CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    }
    world_pass(&w, 1000);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    world_end(&w);
}

TEST(several_addresses_are_permitted_at_once)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, "9.9.9.1:1");
    client_peer(&c, "9.9.9.2:2");
    client_peer(&c, "9.9.9.1:3"); /* again */
    CHECK_INT(client_call(&c), 0);
    CHECK(is_permitted(&c, "9.9.9.1:9") && is_permitted(&c, "9.9.9.2:9"));
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 2);
    CHECK_INT(w.told[EVENT_PERMISSION].count, 2);
    world_end(&w);
}

TEST(one_bad_address_refuses_the_whole_request)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, "9.9.9.9:1"), 0);
    world_skip(&w, 100000);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, "9.9.9.9:1");
    client_peer(&c, "9.9.9.1:1");
    client_peer(&c, "9.9.9.2:1");
    client_peer(&c, "192.168.1.1:1");
    CHECK_INT(client_call(&c), STUN_FORBIDDEN);
    CHECK(!is_permitted(&c, "9.9.9.1:9") && !is_permitted(&c, "9.9.9.2:9"));
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 1);
    CHECK_INT(w.told[EVENT_PERMISSION].code, STUN_FORBIDDEN);
    CHECK(addr_equal(&w.told[EVENT_DENIED].peer, &w.told[EVENT_PERMISSION].peer));
    world_skip(&w, 200000);
    CHECK(!is_permitted(&c, "9.9.9.9:9")); /* nor was the old one refreshed */
    world_end(&w);
}

TEST(create_permission_without_an_address_or_with_a_broken_one_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, PEER);
    build_attr(&c.build, ATTR_XOR_PEER_ADDRESS, view_text("\0\1\2\3"));
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    CHECK(!is_permitted(&c, PEER));
    world_end(&w);
}

TEST(a_peer_of_the_other_family_is_443)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, PEER_V6), STUN_PEER_FAMILY_MISMATCH);
    CHECK_INT(client_bind(&c, 0x4000, PEER_V6), STUN_PEER_FAMILY_MISMATCH);
    struct client d = client_over(&w, TRANSPORT_UDP, "[2a00:9::9]:1", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&d), 0);
    CHECK_INT(client_permit(&d, PEER), STUN_PEER_FAMILY_MISMATCH);
    CHECK_INT(client_permit(&d, PEER_V6), 0);
    CHECK(is_permitted(&d, PEER_V6));
    world_end(&w);
}

TEST(more_permissions_than_allowed_are_508)
{
    struct world w;
    world_start(&w, few);
    struct client c = held(&w);
    char peer[32];
    for (int i = 1; i <= 5; i++) {
        snprintf(peer, sizeof peer, "9.9.9.%d:1", i);
        CHECK_INT(client_permit(&c, peer), 0);
    }
    CHECK_INT(client_permit(&c, "9.9.9.6:1"), STUN_CAPACITY);
    CHECK_INT(client_permit(&c, "9.9.9.5:1"), 0); /* is one of them */
    world_skip(&w, 300000);
    CHECK_INT(client_permit(&c, "9.9.9.6:1"), 0); /* they expired, though nobody swept */
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 1);
    world_end(&w);
}

TEST(permissions_of_one_allocation_are_not_anothers)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w), d = client_at(&w, "198.18.0.2:5000", "bob");
    CHECK_INT(client_allocate(&d), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK(!is_permitted(&d, PEER));
    CHECK_INT(client_says_on(&d, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(client_bind(&d, 0x4000, "9.9.9.2:1"), 0);
    CHECK_INT(client_says_on(&c, 0x4000, 1).peer.port, 7000);
    CHECK_INT(client_says_on(&d, 0x4000, 1).peer.port, 1);
    world_end(&w);
}

TEST(channel_bind_binds_and_permits)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK(c.was_signed);
    const struct send send = client_says_on(&c, 0x4000, 5);
    const struct addr peer = addr_of(PEER);
    CHECK_INT(send.to, SEND_TO_PEER);
    CHECK(addr_equal(&send.peer, &peer));
    CHECK_INT(send.bytes.len, 5);
    CHECK(is_permitted(&c, PEER_IP ":1"));
    world_end(&w);
}

TEST(channel_numbers_outside_the_range_are_400)
{
    static const uint16_t bad[] = {0, 1, 0x3fff, 0x8000, 0xffff};
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(client_bind(&c, bad[i], PEER), STUN_BAD_REQUEST);
    CHECK_INT(client_bind(&c, 0x7fff, "9.9.9.2:1"), 0); /* what older clients use */
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    world_end(&w);
    world_start(&w, strict);
    struct client d = held(&w);
    CHECK_INT(client_bind(&d, 0x5000, PEER), STUN_BAD_REQUEST);
    CHECK_INT(client_bind(&d, 0x4fff, PEER), 0);
    world_end(&w);
}

TEST(channel_bind_without_a_number_or_a_peer_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    client_begin(&c, METHOD_CHANNEL_BIND);
    client_peer(&c, PEER);
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    client_begin(&c, METHOD_CHANNEL_BIND);
    build_attr_u32(&c.build, ATTR_CHANNEL_NUMBER, 0x40000000);
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    CHECK(!is_permitted(&c, PEER));
    world_end(&w);
}

/* section 12.2 */
TEST(a_number_is_not_bound_to_two_peers_nor_a_peer_to_two_numbers)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.2:7000"), STUN_BAD_REQUEST);
    CHECK_INT(client_bind(&c, 0x4000, PEER_IP ":7001"), STUN_BAD_REQUEST);
    CHECK_INT(client_bind(&c, 0x4001, PEER), STUN_BAD_REQUEST);
    CHECK_INT(client_bind(&c, 0x4001, PEER_IP ":7001"), 0); /* another port is another peer */
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK(!is_permitted(&c, "9.9.9.2:7000"));
    world_end(&w);
}

TEST(a_channel_expires_after_600_s_to_the_millisecond_and_is_then_free)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    world_skip(&w, 400000);
    CHECK_INT(client_permit(&c, PEER), 0);
    world_skip(&w, 199999);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(peer_says(&c, PEER, 1).bytes.len, 5);
    world_skip(&w, 1);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK(peer_says(&c, PEER, 1).bytes.len > 5); /* a Data indication: the permission still lives */
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.2:1"), 0);
    CHECK_INT(client_bind(&c, 0x4001, PEER), 0);
    world_end(&w);
}

TEST(binding_again_refreshes_channel_and_permission)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    for (int i = 0; i < 5; i++) {
        world_pass(&w, 250000);
        CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
        CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    }
    CHECK_INT(w.told[EVENT_PERMISSION].count, 1);
    CHECK_INT(engine_allocation_at(w.engine, 0)->channels, 1);
    world_end(&w);
}

TEST(a_channel_without_its_permission_relays_nothing)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    world_pass(&w, 300000);
    CHECK_INT(engine_allocation_at(w.engine, 0)->channels, 1);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_NOTHING);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(a_permission_that_a_channel_knows_ends_all_the_same)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_TO_CLIENT);
    world_skip(&w, 300000);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_NOTHING);
    world_pass(&w, 1000); /* it is gone from its place, which another takes */
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_NOTHING);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(peer_says(&c, PEER, 1).bytes.len, 5);
    world_end(&w);
}

TEST(more_channels_than_allowed_are_508_and_leave_no_permission)
{
    struct world w;
    world_start(&w, few);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.1:1"), 0);
    CHECK_INT(client_bind(&c, 0x4001, "9.9.9.1:2"), 0);
    CHECK_INT(client_bind(&c, 0x4002, "9.9.9.1:3"), 0);
    CHECK_INT(client_bind(&c, 0x4003, "9.9.9.2:4"), STUN_CAPACITY);
    CHECK(!is_permitted(&c, "9.9.9.2:4"));
    CHECK_INT(client_bind(&c, 0x4002, "9.9.9.1:3"), 0);
    world_end(&w);
}

TEST(thousands_of_permissions_stay_cheap_to_keep)
{
    struct world w;
    world_start(&w, NULL);
    w.config.max_permissions = 3000;
    struct client c = held(&w);
    char peer[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(peer, sizeof peer, "9.9.%d.%d:1", i / 200, i % 200);
        CHECK_INT(client_permit(&c, peer), 0);
    }
    CHECK_INT(client_permit(&c, "9.8.7.6:1"), STUN_CAPACITY);
    CHECK(is_permitted(&c, "9.9.0.0:1") && is_permitted(&c, "9.9.14.199:1"));
    CHECK_INT(client_refresh(&c, 0), 0);
    CHECK_INT(w.engine->permissions.live, 0);
    CHECK_INT(w.engine->by_permission.count, 0);
    world_end(&w);
}

TEST(any_malloc_of_a_binding_may_fail)
{
    struct world w;
    world_start(&w, NULL);
    int failed = 0;
    for (long n = 0; n < 20; n++) {
        struct client c = held(&w);
        client_begin(&c, METHOD_CHANNEL_BIND);
        build_attr_u32(&c.build, ATTR_CHANNEL_NUMBER, 0x40000000);
        client_peer(&c, PEER);
        test_fail_malloc_after(n);
        const int code = client_send(&c);
        test_fail_malloc_after(-1);
        CHECK(code == 0 || code == STUN_CAPACITY || code == STUN_UNAUTHENTICATED || code == NO_ANSWER);
        failed += code != 0;
        CHECK(is_permitted(&c, PEER) == (code == 0));
        CHECK((client_says_on(&c, 0x4000, 1).to == SEND_TO_PEER) == (code == 0));
        CHECK_INT(client_refresh(&c, 0), 0);
        CHECK_INT(w.engine->permissions.live + w.engine->channels.live, 0);
    }
    CHECK(failed >= 4);
    world_end(&w);
}

TEST_LIST(RUN(without_a_permission_nothing_passes) RUN(a_permission_is_for_an_address_whatever_the_port)
          RUN(a_permission_expires_after_300_s_to_the_millisecond) RUN(a_permission_is_refreshed_by_create_permission)
          RUN(data_does_not_refresh_a_permission_or_a_channel) RUN(several_addresses_are_permitted_at_once)
          RUN(one_bad_address_refuses_the_whole_request) RUN(create_permission_without_an_address_or_with_a_broken_one_is_400)
          RUN(a_peer_of_the_other_family_is_443) RUN(more_permissions_than_allowed_are_508)
          RUN(permissions_of_one_allocation_are_not_anothers) RUN(channel_bind_binds_and_permits)
          RUN(channel_numbers_outside_the_range_are_400) RUN(channel_bind_without_a_number_or_a_peer_is_400)
          RUN(a_number_is_not_bound_to_two_peers_nor_a_peer_to_two_numbers)
          RUN(a_channel_expires_after_600_s_to_the_millisecond_and_is_then_free) RUN(binding_again_refreshes_channel_and_permission)
          RUN(a_permission_that_a_channel_knows_ends_all_the_same)
          RUN(a_channel_without_its_permission_relays_nothing) RUN(more_channels_than_allowed_are_508_and_leave_no_permission)
          RUN(thousands_of_permissions_stay_cheap_to_keep) RUN(any_malloc_of_a_binding_may_fail))
