/* data.c: what is relayed, byte for byte, and how much of it. RFC 8656 sections 11, 12.4 to 12.7. */
#include "turn/state.h"
#include "world.h"

static struct client bound(struct world *w, enum transport transport)
{
    struct client c = client_over(w, transport, "198.18.0.1:5000", SERVER_V4, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    return c;
}

TEST(a_send_indication_goes_to_the_peer_from_the_relayed_socket)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    const struct addr peer = addr_of(PEER);
    const struct send send = client_says_to(&c, PEER, 100);
    CHECK_INT(send.to, SEND_TO_PEER);
    CHECK(addr_equal(&send.peer, &peer));
    CHECK_INT(w.sockets[send.sock].local.port, c.relayed.port);
    CHECK_INT(send.bytes.len, 100);
    CHECK_INT(send.bytes.at[99], 'x');
    world_end(&w);
}

TEST(a_send_indication_may_be_empty)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    const struct send send = client_says_to(&c, PEER, 0);
    CHECK_INT(send.to, SEND_TO_PEER);
    CHECK_INT(send.bytes.len, 0);
    world_end(&w);
}

static struct send refused(struct client *c, const char *peer, uint8_t type, uint8_t code)
{
    struct world *w = c->world;
    const struct peer_error error = {.peer = addr_of(peer), .type = type, .code = code, .data = 1300};
    const struct allocation *a = allocation_find(w->engine, &c->flow);
    return engine_peer_error(w->engine, a ? a->self : (struct handle){0}, &error, w->now);
}

static struct send indication(struct client *c, const uint16_t *types, size_t count)
{
    const struct addr peer = addr_of(PEER);
    build_begin(&c->build, slab_over(c->request, sizeof c->request), METHOD_SEND, STUN_INDICATION, c->tid);
    for (size_t i = 0; i < count; i++)
        if (types[i] == ATTR_XOR_PEER_ADDRESS)
            build_xor_addr(&c->build, types[i], &peer);
        else
            build_attr_text(&c->build, types[i], types[i] == ATTR_DATA ? "data" : "");
    return engine_from_client(c->world->engine, &c->flow, packet_of(build_end(&c->build)), c->world->now);
}

TEST(a_send_indication_that_is_not_in_order_is_dropped)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA}, 2).to, SEND_TO_PEER);
    CHECK_INT(indication(&c, (uint16_t[]){ATTR_DATA}, 1).to, SEND_NOTHING);
    CHECK_INT(indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS}, 1).to, SEND_NOTHING);
    CHECK_INT(indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA, 0x7777}, 3).to, SEND_NOTHING);
    CHECK_INT(indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA, 0x8777}, 3).to, SEND_TO_PEER);
    CHECK_INT(engine_counts(w.engine)->dropped_malformed, 3);
    world_end(&w);
}

/* section 14 */
TEST(only_a_send_indication_with_dont_fragment_is_sent_with_df)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK(indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA, ATTR_DONT_FRAGMENT}, 3).dont_fragment);
    CHECK(indication(&c, (uint16_t[]){ATTR_DONT_FRAGMENT, ATTR_XOR_PEER_ADDRESS, ATTR_DATA}, 3).to == SEND_TO_PEER);
    CHECK(!indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA}, 2).dont_fragment);
    CHECK(!client_says_on(&c, 0x4000, 100).dont_fragment);
    world_end(&w);
}

/* sections 13 and 15: over TCP it holds for every family, over UDP for IPv4 on both sides */
TEST(dont_fragment_is_ignored_between_datagrams_where_one_side_is_ipv6)
{
    const struct {
        enum transport transport;
        const char *client, *server;
        bool whole;
    } rows[] = {
        {TRANSPORT_UDP, "198.18.0.1:5000", SERVER_V4, true}, {TRANSPORT_DTLS, "198.18.0.1:5000", SERVER_V4, true},
        {TRANSPORT_UDP, "[2a00::1]:5000", SERVER_V6, false}, {TRANSPORT_DTLS, "[2a00::1]:5000", SERVER_V6, false},
        {TRANSPORT_TCP, "198.18.0.1:5000", SERVER_V4, true}, {TRANSPORT_TLS, "[2a00::1]:5000", SERVER_V6, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world w;
        world_start(&w, NULL);
        struct client c = client_over(&w, rows[i].transport, rows[i].client, rows[i].server, "ann");
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        client_byte(&c, ATTR_REQUESTED_ADDRESS_FAMILY, 1);
        CHECK_INT(client_call(&c), 0);
        CHECK_INT(client_permit(&c, PEER), 0);
        const struct send send = indication(&c, (uint16_t[]){ATTR_XOR_PEER_ADDRESS, ATTR_DATA, ATTR_DONT_FRAGMENT}, 3);
        CHECK_INT(send.to, SEND_TO_PEER);
        CHECK_INT(send.dont_fragment, rows[i].whole);
        world_end(&w);
    }
}

/* sections 13 to 15 */
TEST(what_is_relayed_keeps_its_mark_and_answers_have_none)
{
    static uint8_t buffer[ENGINE_HEADROOM + 64];
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    const struct addr peer = addr_of(PEER);
    const struct handle owner = allocation_find(w.engine, &c.flow)->self;
    for (uint8_t mark = 0; mark < 192; mark = (uint8_t)(mark + 47)) {
        struct packet packet = {.at = buffer + ENGINE_HEADROOM, .len = 10, .mark = mark};
        c.flow.mark = mark;
        CHECK_INT(client_says_to(&c, PEER, 10).mark, mark);
        CHECK_INT(engine_from_peer(w.engine, owner, &peer, packet, w.now).mark, mark);
        CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
        CHECK_INT(client_says_on(&c, 0x4000, 10).mark, mark);
        CHECK_INT(engine_from_peer(w.engine, owner, &peer, packet, w.now).mark, mark);
        client_begin(&c, METHOD_BINDING);
        CHECK_INT(engine_from_client(w.engine, &c.flow, packet_of(build_end(&c.build)), w.now).mark, 0);
        CHECK_INT(refused(&c, PEER, 3, 3).mark, 0);
    }
    world_end(&w);
}

TEST(without_an_allocation_data_is_dropped)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_NOTHING);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(peer_says(&c, PEER, 1).to, SEND_NOTHING);
    world_end(&w);
}

TEST(a_peers_packet_becomes_a_data_indication)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    for (size_t len = 0; len <= 1500; len += 7) {
        struct message message;
        struct addr from;
        const struct send send = peer_says(&c, PEER, len);
        CHECK_INT(send.to, SEND_TO_CLIENT);
        CHECK_INT(message_open(&message, send.bytes), 0);
        CHECK_INT(message.method, METHOD_DATA);
        CHECK_INT(message.class, STUN_INDICATION);
        CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &from), 0);
        const struct addr peer = addr_of(PEER);
        CHECK(addr_equal(&from, &peer));
        const struct view data = message_attr(&message, SLOT_DATA);
        CHECK_INT(data.len, len);
        for (size_t i = len; i < ((len + 3) & ~(size_t)3); i++)
            CHECK_INT(data.at[i], 0);
        CHECK(memcmp(send.flow, &c.flow, FLOW_KEY_LEN) == 0 && send.flow->link == 7);
    }
    world_end(&w);
}

TEST(transaction_ids_of_data_indications_differ)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    uint8_t tids[100][STUN_TID_LEN];
    for (int i = 0; i < 100; i++) {
        memcpy(tids[i], peer_says(&c, PEER, 4).bytes.at + 8, STUN_TID_LEN);
        for (int j = 0; j < i; j++)
            CHECK(memcmp(tids[i], tids[j], 8) != 0);
    }
    world_end(&w);
}

TEST(a_peers_packet_becomes_channel_data_when_a_channel_is_bound)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4abc, PEER), 0);
    for (size_t len = 0; len < 9; len++) {
        const struct send send = peer_says(&c, PEER, len);
        CHECK_INT(send.bytes.len, 4 + len); /* no padding on datagrams */
        CHECK_INT(get_u16(send.bytes.at), 0x4abc);
        CHECK_INT(get_u16(send.bytes.at + 2), len);
    }
    CHECK(peer_says(&c, PEER_IP ":7001", 8).bytes.len > 12); /* another port has no channel */
    world_end(&w);
}

TEST(channel_data_is_padded_with_zeros_on_streams_only)
{
    struct world w;
    for (int transport = TRANSPORT_UDP; transport <= TRANSPORT_DTLS; transport++) {
        world_start(&w, NULL);
        struct client c = bound(&w, (enum transport)transport);
        CHECK_INT(client_bind(&c, 0x4abc, PEER), 0);
        for (size_t len = 0; len < 9; len++) {
            const struct send send = peer_says(&c, PEER, len);
            const bool stream = transport == TRANSPORT_TCP || transport == TRANSPORT_TLS;
            CHECK_INT(send.bytes.len, 4 + (stream ? (len + 3) / 4 * 4 : len));
            CHECK_INT(get_u16(send.bytes.at + 2), len);
            for (size_t i = 4 + len; i < send.bytes.len; i++)
                CHECK_INT(send.bytes.at[i], 0);
        }
        world_end(&w);
    }
}

TEST(channel_data_that_lies_about_its_length_is_dropped)
{
    static const uint8_t lie[] = {0x40, 0x00, 0x00, 0x05, 1, 2, 3, 4}, padded[] = {0x40, 0x00, 0x00, 0x03, 1, 2, 3, 0};
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(engine_from_client(w.engine, &c.flow, packet_of(view_of(lie, sizeof lie)), w.now).to, SEND_NOTHING);
    CHECK_INT(engine_from_client(w.engine, &c.flow, packet_of(view_of(padded, sizeof padded)), w.now).bytes.len, 3);
    CHECK_INT(client_says_on(&c, 0x4001, 4).to, SEND_NOTHING);
    CHECK_INT(client_says_on(&c, 0x4000, 0).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(what_is_relayed_is_counted_without_framing)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    client_says_to(&c, PEER, 100);
    client_says_on(&c, 0x4000, 50);
    client_says_to(&c, "9.9.9.77:1", 1000); /* dropped: not counted */
    peer_says(&c, PEER, 10);
    const struct usage *usage = &engine_allocation_at(w.engine, 0)->usage;
    CHECK_INT(usage->bytes_in, 150);
    CHECK_INT(usage->packets_in, 2);
    CHECK_INT(usage->bytes_out, 10);
    CHECK_INT(usage->packets_out, 1);
    CHECK_INT(engine_counts(w.engine)->relayed_in, 2);
    CHECK_INT(engine_counts(w.engine)->relayed_out, 1);
    world_end(&w);
}

struct tally {
    unsigned calls;
    struct usage sum;
};

static void tally_up(void *ctx, const struct allocation *allocation, const struct usage *delta)
{
    struct tally *tally = ctx;
    (void)allocation;
    tally->calls++;
    tally->sum.bytes_in += delta->bytes_in;
    tally->sum.packets_out += delta->packets_out;
}

TEST(usage_is_told_as_differences_of_those_that_moved)
{
    struct world w;
    struct tally tally = {0};
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP), d = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&d), 0);
    engine_usage(w.engine, tally_up, &tally, w.now);
    CHECK_INT(tally.calls, 0);
    client_says_to(&c, PEER, 100);
    client_says_to(&c, PEER, 100);
    peer_says(&c, PEER, 1);
    engine_usage(w.engine, tally_up, &tally, w.now);
    engine_usage(w.engine, tally_up, &tally, w.now);
    CHECK_INT(tally.calls, 1);
    CHECK_INT(tally.sum.bytes_in, 200);
    CHECK_INT(tally.sum.packets_out, 1);
    client_says_to(&c, PEER, 30);
    CHECK_INT(client_refresh(&c, 0), 0); /* while it is among those that moved */
    CHECK_INT(w.told[EVENT_CLOSED].delta.bytes_in, 30);
    engine_usage(w.engine, tally_up, &tally, w.now);
    CHECK_INT(tally.calls, 1);
    world_end(&w);
}

TEST(the_data_path_does_not_allocate)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    test_fail_malloc_after(0);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(client_says_to(&c, PEER, 100).to, SEND_TO_PEER);
        CHECK_INT(client_says_on(&c, 0x4000, 100).to, SEND_TO_PEER);
        CHECK_INT(peer_says(&c, PEER, 100).to, SEND_TO_CLIENT);
        CHECK_INT(peer_says(&c, PEER_IP ":1", 100).to, SEND_TO_CLIENT);
        CHECK_INT(peer_says(&c, "9.9.9.66:1", 100).to, SEND_NOTHING);
    }
    CHECK_INT(test_mallocs(), 0);
    test_fail_malloc_after(-1);
    world_end(&w);
}

static void limited(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    (void)question;
    verdict->kind = VERDICT_ALLOW;
    verdict->limits.max_bps = 80000; /* 10,000 bytes a second */
}

TEST(a_bit_rate_is_kept_exactly_in_each_direction)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, limited);
    struct client c = bound(&w, TRANSPORT_UDP);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    int in = 0, out = 0;
    for (int ms = 0; ms < 100000; ms++) {
        in += client_says_to(&c, PEER, 60).to == SEND_TO_PEER;
        in += client_says_on(&c, 0x4000, 40).to == SEND_TO_PEER;
        out += peer_says(&c, PEER, 100).to == SEND_TO_CLIENT;
        world_skip(&w, 1);
    }
    /* a second's worth at the start, and 100 s at 10 bytes a millisecond */
    CHECK_INT(out, (10000 + 99999 * 10) / 100);
    const uint64_t bytes = engine_allocation_at(w.engine, 0)->usage.bytes_in;
    CHECK(bytes <= 10000 + 999990 && bytes > 10000 + 999990 - 60);
    CHECK(in > 0 && engine_counts(w.engine)->paced[PACE_BPS] > 0);
    world_end(&w);
}

TEST(a_bit_rate_can_be_changed_while_it_runs)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    const struct handle self = engine_allocation_at(w.engine, 0)->self;
    for (int i = 0; i < 1000; i++)
        CHECK_INT(client_says_to(&c, PEER, 1000).to, SEND_TO_PEER);
    CHECK(engine_limit(w.engine, self, 8000, w.now));
    world_skip(&w, 60000);
    int passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += client_says_to(&c, PEER, 100).to == SEND_TO_PEER;
    CHECK_INT(passed, 10);
    CHECK(engine_limit(w.engine, self, 0, w.now));
    CHECK_INT(client_says_to(&c, PEER, 1000).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(a_bit_rate_is_never_raised_over_what_was_granted)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, limited);
    bound(&w, TRANSPORT_UDP);
    const struct handle self = engine_allocation_at(w.engine, 0)->self;
    static const uint64_t asked[] = {8000, 90000, 8000, 0}, given[] = {8000, 80000, 8000, 80000};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        CHECK(engine_limit(w.engine, self, asked[i], w.now));
        CHECK_INT(engine_allocation_at(w.engine, 0)->limits->max_bps, given[i]);
    }
    world_end(&w);
}

TEST(a_bucket_neither_drifts_nor_starves_nor_overflows)
{
    struct bucket bucket;
    bucket_fill(&bucket, 1000, 0);
    CHECK(bucket_take(&bucket, 1000, 125, 0) && !bucket_take(&bucket, 1000, 1, 0));
    CHECK(!bucket_take(&bucket, 1000, 1, 7) && bucket_take(&bucket, 1000, 1, 8));                 /* 8 bits take 8 ms */
    CHECK(!bucket_take(&bucket, 1000, 1500, 1007) && bucket_take(&bucket, 1000, 1500, 1008));     /* larger than the bucket: when full */
    CHECK(!bucket_take(&bucket, 1000, 1, 12008 + 7) && bucket_take(&bucket, 1000, 1, 12008 + 8)); /* its debt is paid: 12 s in all */
    bucket_fill(&bucket, UINT64_MAX, 0);
    CHECK(bucket_take(&bucket, UINT64_MAX, 65535, INT64_MAX / 2) && bucket_take(&bucket, UINT64_MAX, 65535, INT64_MAX));
    CHECK(bucket_take(&bucket, 0, SIZE_MAX, 0));
}

/* ---- section 11.5: what the network says of a datagram to a peer ---- */

static void expect_icmp(struct client *c, struct send send, const char *peer, const uint8_t value[8])
{
    struct message message;
    struct addr from;
    const struct addr to = addr_of(peer);
    CHECK_INT(send.to, SEND_TO_CLIENT);
    CHECK(memcmp(send.flow, &c->flow, FLOW_KEY_LEN) == 0 && send.flow->link == 7);
    CHECK_INT(message_open(&message, send.bytes), 0);
    CHECK_INT(message.method, METHOD_DATA);
    CHECK_INT(message.class, STUN_INDICATION);
    CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &from), 0);
    CHECK(addr_equal(&from, &to));
    CHECK(!message_has(&message, SLOT_DATA));
    CHECK_INT(message_attr(&message, SLOT_ICMP).len, 8);
    CHECK_BYTES(message_attr(&message, SLOT_ICMP).at, value, 8);
}

TEST(an_icmp_about_a_peer_becomes_a_data_indication)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    expect_icmp(&c, refused(&c, PEER, 3, 3), PEER, (const uint8_t[]){0, 0, 0x06, 0x03, 0, 0, 0, 0});
    expect_icmp(&c, refused(&c, PEER, 11, 0), PEER, (const uint8_t[]){0, 0, 0x16, 0x00, 0, 0, 0, 0});
    expect_icmp(&c, refused(&c, PEER, 3, 4), PEER, (const uint8_t[]){0, 0, 0x06, 0x04, 0, 0, 0x05, 0x14}); /* with the MTU */
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    expect_icmp(&c, refused(&c, PEER, 3, 1), PEER, (const uint8_t[]){0, 0, 0x06, 0x01, 0, 0, 0, 0}); /* there is no other form */
    CHECK_INT(engine_allocation_at(w.engine, 0)->usage.packets_out, 0);
    world_end(&w);
}

TEST(an_icmpv6_about_a_peer_becomes_a_data_indication)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_over(&w, TRANSPORT_UDP, "[2a00:9::1]:5000", SERVER_V6, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_permit(&c, PEER_V6), 0);
    expect_icmp(&c, refused(&c, PEER_V6, 1, 4), PEER_V6, (const uint8_t[]){0, 0, 0x02, 0x04, 0, 0, 0, 0});
    expect_icmp(&c, refused(&c, PEER_V6, 2, 0), PEER_V6, (const uint8_t[]){0, 0, 0x04, 0x00, 0, 0, 0x05, 0x14});
    expect_icmp(&c, refused(&c, PEER_V6, 3, 1), PEER_V6, (const uint8_t[]){0, 0, 0x06, 0x01, 0, 0, 0, 0});
    CHECK_INT(refused(&c, PEER_V6, 0, 0).to, SEND_NOTHING);
    CHECK_INT(refused(&c, PEER_V6, 4, 0).to, SEND_NOTHING);
    CHECK_INT(refused(&c, PEER_V6, 128, 0).to, SEND_NOTHING);
    world_end(&w);
}

TEST(an_icmp_of_another_type_or_without_permission_or_allocation_is_dropped)
{
    static const uint8_t types[] = {0, 1, 2, 4, 5, 8, 12, 255};
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP);
    for (size_t i = 0; i < sizeof types; i++)
        CHECK_INT(refused(&c, PEER, types[i], 0).to, SEND_NOTHING);
    CHECK_INT(refused(&c, "9.9.9.77:7000", 3, 3).to, SEND_NOTHING);
    CHECK_INT(engine_counts(w.engine)->dropped_no_permission, 1);
    world_skip(&w, 300000); /* the permission is over, the allocation is not */
    CHECK_INT(refused(&c, PEER, 3, 3).to, SEND_NOTHING);
    CHECK_INT(client_refresh(&c, 0), 0);
    CHECK_INT(refused(&c, PEER, 3, 3).to, SEND_NOTHING);
    world_end(&w);
}

TEST(icmp_reaches_a_client_ten_times_a_second_at_most)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = bound(&w, TRANSPORT_UDP), d = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&d), 0);
    CHECK_INT(client_permit(&d, PEER), 0);
    int told = 0;
    test_fail_malloc_after(0);
    for (int ms = 0; ms < 2000; ms++, world_skip(&w, 1))
        told += refused(&c, PEER, 3, 3).to == SEND_TO_CLIENT;
    CHECK_INT(test_mallocs(), 0);
    test_fail_malloc_after(-1);
    CHECK_INT(told, 10 + 19);
    CHECK_INT(refused(&d, PEER, 3, 3).to, SEND_TO_CLIENT); /* another's bound is its own */
    CHECK_INT(peer_says(&c, PEER, 100).to, SEND_TO_CLIENT);
    world_end(&w);
}

TEST_LIST(
    RUN(a_send_indication_goes_to_the_peer_from_the_relayed_socket) RUN(a_send_indication_may_be_empty)
        RUN(a_send_indication_that_is_not_in_order_is_dropped) RUN(only_a_send_indication_with_dont_fragment_is_sent_with_df)
            RUN(dont_fragment_is_ignored_between_datagrams_where_one_side_is_ipv6) RUN(what_is_relayed_keeps_its_mark_and_answers_have_none)
                RUN(without_an_allocation_data_is_dropped) RUN(a_peers_packet_becomes_a_data_indication)
                    RUN(transaction_ids_of_data_indications_differ) RUN(a_peers_packet_becomes_channel_data_when_a_channel_is_bound)
                        RUN(channel_data_is_padded_with_zeros_on_streams_only) RUN(channel_data_that_lies_about_its_length_is_dropped)
                            RUN(what_is_relayed_is_counted_without_framing) RUN(usage_is_told_as_differences_of_those_that_moved)
                                RUN(the_data_path_does_not_allocate) RUN(a_bit_rate_is_kept_exactly_in_each_direction)
                                    RUN(a_bit_rate_can_be_changed_while_it_runs) RUN(a_bit_rate_is_never_raised_over_what_was_granted)
                                    RUN(a_bucket_neither_drifts_nor_starves_nor_overflows)
                                        RUN(an_icmp_about_a_peer_becomes_a_data_indication)
                                            RUN(an_icmpv6_about_a_peer_becomes_a_data_indication)
                                                RUN(an_icmp_of_another_type_or_without_permission_or_allocation_is_dropped)
                                                    RUN(icmp_reaches_a_client_ten_times_a_second_at_most))
