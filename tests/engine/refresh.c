/* refresh.c: Refresh, the end of allocations, and time. RFC 8656 section 8; SECURITY: every timer is monotonic and exact. */
#include "turn/state.h"
#include "world.h"

static void short_lives(struct engine_config *config, struct world *w)
{
    (void)w;
    config->permission_lifetime_s = 2;
    config->channel_lifetime_s = 4;
}

static struct client held(struct world *w, const char *address)
{
    struct client c = client_at(w, address, "ann");
    CHECK_INT(client_allocate(&c), 0);
    return c;
}

TEST(refresh_extends_the_lifetime)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    world_pass(&w, 500000);
    CHECK_INT(client_refresh(&c, 1000), 0);
    CHECK_INT(c.lifetime_s, 1000);
    CHECK_INT(w.told[EVENT_REFRESHED].count, 1);
    world_pass(&w, 999000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_pass(&w, 1000);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(refresh_without_a_lifetime_gives_the_default)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    client_begin(&c, METHOD_REFRESH);
    CHECK_INT(client_call(&c), 0);
    CHECK_INT(c.lifetime_s, 600);
    world_end(&w);
}

TEST(refresh_may_shorten_the_lifetime)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_refresh(&c, 3600), 0);
    world_pass(&w, 1000000); /* it has moved on in the wheel */
    CHECK_INT(client_refresh(&c, 700), 0);
    world_pass(&w, 699000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_pass(&w, 1000);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(refresh_with_zero_lifetime_closes_the_socket)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    world_answer(&w, HOOK_refresh, world_says);
    CHECK_INT(client_refresh(&c, 0), 0);
    CHECK_INT(c.lifetime_s, 0);
    CHECK(c.was_signed);
    CHECK_INT(w.open_sockets, 0);
    CHECK_INT(w.asked[HOOK_refresh], 0);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "released");
    CHECK_INT(w.told[EVENT_REFRESHED].count, 0);
    world_end(&w);
}

TEST(refresh_without_an_allocation_is_437)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_refresh(&c, 600), STUN_MISMATCH);
    CHECK_INT(client_refresh(&c, 0), STUN_MISMATCH);
    CHECK_INT(client_permit(&c, PEER), STUN_MISMATCH);
    CHECK_INT(client_bind(&c, 0x4000, PEER), STUN_MISMATCH);
    CHECK(c.was_signed);
    world_end(&w);
}

TEST(refresh_for_another_family_is_443)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    for (int family = 1; family <= 3; family++) {
        client_begin(&c, METHOD_REFRESH);
        client_byte(&c, ATTR_REQUESTED_ADDRESS_FAMILY, (uint8_t)family);
        CHECK_INT(client_call(&c), family == 1 ? 0 : STUN_PEER_FAMILY_MISMATCH);
    }
    client_begin(&c, METHOD_REFRESH);
    build_attr(&c.build, ATTR_REQUESTED_ADDRESS_FAMILY, view_text("x"));
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    client_begin(&c, METHOD_REFRESH);
    build_attr(&c.build, ATTR_LIFETIME, view_text("x"));
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(an_allocation_ends_to_the_millisecond)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_refresh(&c, 700), 0);
    world_skip(&w, 300000);
    CHECK_INT(client_permit(&c, PEER), 0);
    world_skip(&w, 150000);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    world_skip(&w, 249999);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_TO_PEER);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_TO_CLIENT);
    world_skip(&w, 1);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_NOTHING);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_NOTHING);
    CHECK_INT(engine_allocations(w.engine), 1); /* nobody looked yet */
    CHECK_INT(client_refresh(&c, 600), STUN_MISMATCH);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "expired");
    world_end(&w);
}

TEST(an_expired_allocation_gives_its_5_tuple_back)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    world_skip(&w, 600000);
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(w.told[EVENT_CLOSED].count, 1);
    world_end(&w);
}

TEST(a_sweep_ends_what_has_expired_within_a_second)
{
    struct world w;
    world_start(&w, NULL);
    for (int i = 0; i < 900; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.18.0.1:%d", 1 + i);
        held(&w, address);
        world_skip(&w, 7);
    }
    const msec_t first = START_MS + 600000;
    w.now = first - 1;
    engine_sweep(w.engine, w.now);
    CHECK_INT(engine_allocations(w.engine), 900);
    for (int i = 0; w.now < first + 900 * 7; i++) {
        world_skip(&w, 100);
        engine_sweep(w.engine, w.now);
        const msec_t overdue = w.now - 1000 - first;
        if (overdue >= 0)
            CHECK(engine_allocations(w.engine) <= 900u - (unsigned)(overdue / 7));
    }
    world_pass(&w, 1000);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(w.told[EVENT_CLOSED].count, 900);
    world_end(&w);
}

TEST(what_was_refreshed_is_not_swept)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    for (int i = 0; i < 100; i++) {
        world_pass(&w, 500000);
        CHECK_INT(client_refresh(&c, 600), 0);
    }
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(w.told[EVENT_CLOSED].count, 0);
    world_end(&w);
}

static void long_lives(struct engine_config *config, struct world *w)
{
    (void)w;
    config->max_lifetime_s = 100000; /* longer than the wheel is round */
}

TEST(a_lifetime_longer_than_a_turn_of_the_wheel_is_kept)
{
    struct world w;
    world_start(&w, long_lives);
    struct client c = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_refresh(&c, 99999), 0);
    world_pass(&w, 99998000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_pass(&w, 1000);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(the_virtual_clock_may_jump_a_day)
{
    struct world w;
    world_start(&w, NULL);
    for (int i = 0; i < 100; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.18.0.1:%d", 1 + i);
        held(&w, address);
    }
    world_skip(&w, 86400000);
    engine_sweep(w.engine, w.now);
    CHECK_INT(engine_allocations(w.engine), 0);
    struct client c = held(&w, "198.18.0.1:5000");
    world_pass(&w, 599000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_pass(&w, 1000);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(client_refresh(&c, 600), STUN_MISMATCH);
    world_end(&w);
}

TEST(a_jump_of_the_wall_clock_ends_nothing)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_permit(&c, PEER), 0);
    engine_clock(w.engine, w.now, START_UNIX_MS + 86400000);
    engine_sweep(w.engine, w.now);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_TO_PEER);
    engine_clock(w.engine, w.now, START_UNIX_MS - 2 * 86400000);
    engine_sweep(w.engine, w.now);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_TO_PEER);
    CHECK_INT(client_refresh(&c, 600), 0);
    world_end(&w);
}

TEST(ids_are_never_the_same_twice_whatever_the_wall_clock_does)
{
    struct world w;
    world_start(&w, NULL);
    uint64_t last = 0;
    for (int i = 0; i < 20000; i++) {
        if (i % 1000 == 0)
            engine_clock(w.engine, w.now, START_UNIX_MS - i);
        const uint64_t id = engine_id(w.engine, w.now);
        CHECK(id > last && (int64_t)id > 0 && (id & 0xff) == 3);
        last = id;
    }
    world_end(&w);
}

TEST(the_sweep_frees_expired_permissions_and_channels)
{
    struct world w;
    world_start(&w, short_lives);
    struct client c = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.2:7"), 0);
    CHECK_INT(w.engine->permissions.live, 2);
    CHECK_INT(w.engine->channels.live, 1);
    world_pass(&w, 3000);
    CHECK_INT(w.engine->permissions.live, 0);
    CHECK_INT(w.engine->channels.live, 1);
    world_pass(&w, 2000);
    CHECK_INT(w.engine->channels.live, 0);
    CHECK_INT(w.engine->by_permission.count + w.engine->by_number.count + w.engine->by_peer.count, 0);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(a_closed_connection_ends_its_allocation)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_over(&w, TRANSPORT_TCP, "198.18.0.1:5000", SERVER_V4, "ann"), d = held(&w, "198.18.0.1:5000");
    CHECK_INT(client_allocate(&c), 0);
    engine_flow_closed(w.engine, &c.flow, w.now);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "client_closed");
    engine_flow_closed(w.engine, &c.flow, w.now);
    CHECK_INT(client_refresh(&d, 600), 0);
    world_end(&w);
}

TEST(an_allocation_is_closed_by_its_handle_once)
{
    struct world w;
    world_start(&w, NULL);
    held(&w, "198.18.0.1:5000");
    const struct handle self = engine_allocation_at(w.engine, 0)->self;
    const struct verdict verdict = {.kind = VERDICT_CLOSE, .reason = "enough", .by = "test.lua:7"};
    CHECK(engine_close(w.engine, self, &verdict, w.now));
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "enough");
    CHECK_TEXT(w.told[EVENT_CLOSED].by, "test.lua:7");
    CHECK(!engine_close(w.engine, self, &verdict, w.now));
    CHECK(!engine_limit(w.engine, self, 1, w.now));
    held(&w, "198.18.0.1:5000"); /* perhaps in the same place */
    CHECK(!engine_close(w.engine, self, &verdict, w.now));
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(shutdown_ends_them_all_with_events)
{
    struct world w;
    world_start(&w, NULL);
    for (int i = 0; i < 50; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.18.0.1:%d", 1 + i);
        held(&w, address);
    }
    engine_close_all(w.engine, "shutdown", w.now);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(w.told[EVENT_CLOSED].count, 50);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "shutdown");
    CHECK(engine_allocation_at(w.engine, 0) == NULL);
    world_end(&w);
}

TEST_LIST(RUN(refresh_extends_the_lifetime) RUN(refresh_without_a_lifetime_gives_the_default) RUN(refresh_may_shorten_the_lifetime)
          RUN(refresh_with_zero_lifetime_closes_the_socket) RUN(refresh_without_an_allocation_is_437)
          RUN(refresh_for_another_family_is_443) RUN(an_allocation_ends_to_the_millisecond)
          RUN(an_expired_allocation_gives_its_5_tuple_back) RUN(a_sweep_ends_what_has_expired_within_a_second)
          RUN(what_was_refreshed_is_not_swept) RUN(a_lifetime_longer_than_a_turn_of_the_wheel_is_kept)
          RUN(the_virtual_clock_may_jump_a_day) RUN(a_jump_of_the_wall_clock_ends_nothing)
          RUN(ids_are_never_the_same_twice_whatever_the_wall_clock_does) RUN(the_sweep_frees_expired_permissions_and_channels)
          RUN(a_closed_connection_ends_its_allocation) RUN(an_allocation_is_closed_by_its_handle_once)
          RUN(shutdown_ends_them_all_with_events))
