/* handover.c: what one allocation sends to another of this server is handed over inside: nothing but the sockets is left out. */
#include "turn/state.h"
#include "world.h"

static const char *const users[] = {"ann", "bob", "cleo"};

static const char *shown(const struct client *c)
{
    static char text[4][ADDR_TEXT_MAX];
    static int turn;
    return addr_format(&c->relayed, text[turn++ % 4]);
}

static struct allocation *allocation_of(const struct client *c)
{
    return allocation_find(c->engine, &c->flow);
}

static struct client player_of(struct world *w, struct engine *engine, enum transport transport)
{
    static int next;
    char address[32];
    snprintf(address, sizeof address, "198.18.0.9:%d", 5000 + next++ % 5000);
    struct client c = client_over(w, transport, address, SERVER_V4, users[next % 3]);
    c.engine = engine;
    CHECK_INT(client_allocate(&c), 0);
    return c;
}

static struct client player(struct world *w)
{
    return player_of(w, w->engine, TRANSPORT_UDP);
}

static void meet(struct client *a, struct client *b)
{
    CHECK_INT(client_permit(a, shown(b)), 0);
    CHECK_INT(client_permit(b, shown(a)), 0);
}

/* says: what comes of `len` bytes to another client. */
static struct send says(struct client *from, const struct client *to, size_t len)
{
    return client_says_to(from, shown(to), len);
}

static bool is_for(const struct send *send, const struct client *c)
{
    return send->to == SEND_TO_CLIENT && flow_equal(send->flow, &c->flow);
}

TEST(a_packet_to_another_client_leaves_for_it_from_where_it_lies)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w), b = player(&w);
    meet(&a, &b);
    CHECK_INT(client_bind(&b, 0x4001, shown(&a)), 0);
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    uint8_t buffer[ENGINE_HEADROOM + 64] = {0}, *at = buffer + ENGINE_HEADROOM;
    memcpy(at, "\x40\x00\x00\x05hello", 9);
    test_fail_malloc_after(0);
    const struct send send = engine_from_client(w.engine, &a.flow, (struct packet){at, 9, 0}, w.now);
    test_fail_malloc_after(-1);
    CHECK(is_for(&send, &b) && send.is_relayed);
    CHECK(send.bytes.at == at && send.bytes.len == 9);
    CHECK(memcmp(at, "\x40\x01\x00\x05hello", 9) == 0);
    CHECK_INT(engine_counts(w.engine)->handed_over[HANDOVER_SAME], 1);
    const struct usage *in = &allocation_of(&a)->usage, *out = &allocation_of(&b)->usage;
    CHECK(in->bytes_in == 5 && in->packets_in == 1 && in->bytes_out == 0 && in->packets_out == 0);
    CHECK(out->bytes_out == 5 && out->packets_out == 1 && out->bytes_in == 0 && out->packets_in == 0);
    world_end(&w);
}

TEST(another_workers_allocation_gets_it_from_its_worker)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = player(&w), b = player_of(&w, w.second, TRANSPORT_UDP);
    meet(&a, &b);
    const struct send send = says(&a, &b, 20);
    CHECK_INT(send.to, SEND_TO_HOLDER);
    CHECK(send.is_relayed && send.bytes.len == 20 && addr_equal(&send.peer, &allocation_of(&a)->relayed));
    CHECK_INT(engine_counts(w.engine)->handed_over[HANDOVER_OTHER], 1);
    CHECK_INT(engine_counts(w.engine)->relayed_in, 1);
    CHECK_INT(engine_counts(w.second)->relayed_out, 0);
    const struct send got = client_takes_over(&b, &send);
    CHECK(is_for(&got, &b));
    CHECK_INT(engine_counts(w.second)->relayed_out, 1);
    CHECK_INT(allocation_of(&a)->usage.bytes_in, 20);
    CHECK_INT(allocation_of(&b)->usage.bytes_out, 20);
    world_end(&w);
}

TEST(by_whatever_transports_they_come_they_get_what_sockets_would_have_brought)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    for (int from = 0; from < TRANSPORT_COUNT; from++)
        for (int to = 0; to < TRANSPORT_COUNT; to++)
            for (int across = 0; across < 2; across++) {
                struct client a = player_of(&w, w.engine, (enum transport)from);
                struct client b = player_of(&w, across ? w.second : w.engine, (enum transport)to);
                meet(&a, &b);
                for (size_t len = 0; len < 6; len++) {
                    const struct send send = client_reaches(&a, &b, (struct said){.peer = shown(&b), .len = len});
                    CHECK(is_for(&send, &b) && send.bytes.len % 4 == 0);
                }
                CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
                CHECK_INT(client_bind(&b, 0x4001, shown(&a)), 0);
                for (size_t len = 0; len < 6; len++) {
                    const struct send send = client_reaches(&a, &b, (struct said){.channel = 0x4000, .len = len});
                    CHECK_INT(get_u16(send.bytes.at), 0x4001);
                    CHECK_INT(send.bytes.len, 4 + (flow_is_stream(&b.flow) ? (len + 3) / 4 * 4 : len));
                }
                const struct send answer = client_reaches(&b, &a, (struct said){.channel = 0x4001, .len = 1000});
                CHECK(is_for(&answer, &a));
            }
    world_end(&w);
}

TEST(nothing_passes_without_a_permission_on_either_side)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    for (int across = 0; across < 2; across++) {
        struct client a = player(&w), b = player_of(&w, across ? w.second : w.engine, TRANSPORT_UDP);
        const struct engine_counts *at = engine_counts(b.engine);
        const uint64_t before = at->dropped_no_permission;
        const struct said said = {.peer = shown(&b), .len = 20};
        CHECK_INT(client_reaches(&a, &b, said).to, SEND_NOTHING);
        CHECK_INT(allocation_of(&a)->usage.packets_in, 0);
        CHECK_INT(client_permit(&a, said.peer), 0);
        CHECK_INT(client_reaches(&a, &b, said).to, SEND_NOTHING);
        CHECK_INT(allocation_of(&a)->usage.packets_in, 2); /* it was relayed: nobody took it, and the receiver's worker counts that */
        CHECK_INT(at->dropped_no_permission - before, across ? 2 : 4);
        CHECK_INT(client_permit(&b, shown(&a)), 0);
        CHECK_INT(client_reaches(&a, &b, said).to, SEND_TO_CLIENT);
        world_skip(&w, 299999);
        CHECK_INT(client_reaches(&a, &b, said).to, SEND_TO_CLIENT);
        world_skip(&w, 1);
        CHECK_INT(client_reaches(&a, &b, said).to, SEND_NOTHING);
    }
    world_end(&w);
}

/* limit: of ann alone. */
static void limit(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    verdict->kind = VERDICT_ALLOW;
    if (view_equal(question->request->username, view_text("ann")))
        verdict->limits.max_bps = 8000; /* 1000 bytes */
}

TEST(the_limits_of_both_hold_in_the_order_in_which_sockets_would_meet_them)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    world_answer(&w, HOOK_authorize, limit);
    for (int across = 0; across < 2; across++) {
        struct client ann = client_at(&w, across ? "198.18.0.1:2" : "198.18.0.1:1", "ann");
        struct client bob = client_at(&w, across ? "198.18.0.2:2" : "198.18.0.2:1", "bob");
        bob.engine = across ? w.second : w.engine;
        CHECK_INT(client_allocate(&ann), 0);
        CHECK_INT(client_allocate(&bob), 0);
        meet(&ann, &bob);
        uint64_t got = 0;
        for (int i = 0; i < 12; i++) {
            struct send send = says(&ann, &bob, 100);
            if (send.to == SEND_TO_HOLDER)
                send = client_takes_over(&bob, &send);
            got += send.to == SEND_TO_CLIENT;
        }
        CHECK_INT(got, 10);
        CHECK_INT(allocation_of(&ann)->usage.packets_in, 10); /* what was dropped at the sender's never came to the other */
        CHECK_INT(allocation_of(&bob)->usage.packets_out, 10);
        got = 0;
        for (int i = 0; i < 12; i++) {
            struct send send = says(&bob, &ann, 100);
            if (send.to == SEND_TO_HOLDER)
                send = client_takes_over(&ann, &send);
            got += send.to == SEND_TO_CLIENT;
        }
        CHECK_INT(got, 10);
        CHECK_INT(allocation_of(&bob)->usage.packets_in, 12); /* relayed, and dropped at the receiver's */
        CHECK_INT(allocation_of(&ann)->usage.packets_out, 10);
        CHECK_INT(engine_counts(w.engine)->paced[PACE_BPS], (across + 1) * 4);
    }
    CHECK_INT(engine_counts(w.second)->paced[PACE_BPS], 0); /* they were ann's, whose worker is the first */
    world_end(&w);
}

static int allocate_both(struct client *c)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    client_byte(c, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2);
    return client_call(c);
}

static const char *shown_v6(const struct client *c)
{
    static char text[2][ADDR_TEXT_MAX];
    static int turn;
    return addr_format(&allocation_of(c)->rare->other.shown, text[turn++ % 2]);
}

TEST(who_has_two_relayed_addresses_is_reached_and_known_by_each)
{
    struct world w;
    struct addr peer;
    struct message message;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = client_at(&w, "198.18.0.1:1", "ann"), b = client_at(&w, "198.18.0.2:1", "bob");
    b.engine = w.second;
    CHECK_INT(allocate_both(&a), 0);
    CHECK_INT(allocate_both(&b), 0);
    CHECK_INT(client_permit(&a, shown_v6(&b)), 0);
    CHECK_INT(client_permit(&b, shown_v6(&a)), 0);
    struct send send = client_reaches(&a, &b, (struct said){.peer = shown_v6(&b), .len = 20});
    CHECK_INT(message_open(&message, send.bytes), 0);
    CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &peer), 0);
    CHECK(addr_equal(&peer, &allocation_of(&a)->rare->other.shown));
    meet(&a, &b);
    send = client_reaches(&a, &b, (struct said){.peer = shown(&b), .len = 20});
    CHECK_INT(message_open(&message, send.bytes), 0);
    CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &peer), 0);
    CHECK(addr_equal(&peer, &a.relayed) && !addr_equal(&peer, &allocation_of(&a)->relayed)); /* shown, not as bound */
    world_end(&w);
}

TEST(who_comes_too_late_meets_nobody_or_nobody_else)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = player(&w), b = player_of(&w, w.second, TRANSPORT_UDP);
    meet(&a, &b);
    const struct send late = says(&a, &b, 20);
    CHECK_INT(late.to, SEND_TO_HOLDER);
    CHECK_INT(client_refresh(&b, 0), 0);
    CHECK_INT(client_takes_over(&b, &late).to, SEND_NOTHING);
    struct client next = player_of(&w, w.second, TRANSPORT_UDP); /* in its place in the pool */
    CHECK_INT(allocation_of(&next)->self.index, late.holder.allocation.index);
    CHECK_INT(client_permit(&next, shown(&a)), 0);
    CHECK_INT(client_takes_over(&next, &late).to, SEND_NOTHING);
    if (next.relayed.port != b.relayed.port)
        CHECK_INT(says(&a, &b, 20).to, SEND_NOTHING); /* nor does a packet go to a port that nobody holds */
    world_skip(&w, 3600 * 1000);
    CHECK_INT(client_takes_over(&next, &late).to, SEND_NOTHING);
    world_end(&w);
}

TEST(an_allocation_that_has_expired_or_waits_for_its_client_gets_nothing)
{
    struct world w;
    world_start(&w, NULL);
    w.config.mobility = true;
    struct client a = player(&w), b = client_over(&w, TRANSPORT_TCP, "198.18.0.3:1", SERVER_V4, "bob");
    client_begin(&b, METHOD_ALLOCATE);
    client_wish_udp(&b);
    build_attr(&b.build, ATTR_MOBILITY_TICKET, view_of("", 0));
    CHECK_INT(client_call(&b), 0);
    meet(&a, &b);
    const struct said said = {.peer = shown(&b), .len = 20};
    CHECK_INT(client_reaches(&a, &b, said).to, SEND_TO_CLIENT);
    engine_flow_closed(w.engine, &b.flow, w.now);
    CHECK_INT(client_says_to(&a, said.peer, 20).to, SEND_NOTHING);
    CHECK_INT(allocation_of(&a)->usage.packets_in, 3);

    struct client c = player(&w);
    meet(&a, &c);
    CHECK_INT(client_refresh(&a, 3600), 0);
    CHECK_INT(client_refresh(&c, 600), 0);
    world_skip(&w, 600 * 1000 - 1);
    CHECK_INT(client_permit(&a, shown(&c)), 0);
    CHECK_INT(client_permit(&c, shown(&a)), 0);
    CHECK_INT(client_reaches(&a, &c, (struct said){.peer = shown(&c), .len = 20}).to, SEND_TO_CLIENT);
    world_skip(&w, 1);
    CHECK_INT(says(&a, &c, 20).to, SEND_NOTHING); /* its port is held until it is swept */
    world_end(&w);
}

TEST(a_drain_lets_matches_go_on)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w), b = player(&w);
    meet(&a, &b);
    engine_drain(w.engine, w.now + 100000);
    CHECK_INT(client_reaches(&a, &b, (struct said){.peer = shown(&b), .len = 20}).to, SEND_TO_CLIENT);
    world_end(&w);
}

TEST(a_packet_keeps_its_mark_and_may_ask_not_to_be_fragmented)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = player(&w), b = player(&w), c = player_of(&w, w.second, TRANSPORT_UDP);
    meet(&a, &b);
    meet(&a, &c);
    a.flow.mark = 46 << 2 | 1;
    CHECK_INT(says(&a, &b, 20).mark, a.flow.mark);
    const struct send send = says(&a, &c, 20);
    CHECK_INT(send.mark, a.flow.mark);
    CHECK_INT(client_takes_over(&c, &send).mark, a.flow.mark);
    uint8_t buffer[ENGINE_HEADROOM + 128];
    struct build build;
    build_begin(&build, slab_over(buffer + ENGINE_HEADROOM, 100), METHOD_SEND, STUN_INDICATION, a.tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, &b.relayed);
    build_attr(&build, ATTR_DONT_FRAGMENT, view_of("", 0));
    build_attr(&build, ATTR_DATA, view_of("whole", 5));
    const struct send whole = engine_from_client(w.engine, &a.flow, packet_of(build_end(&build)), w.now);
    CHECK(is_for(&whole, &b));
    world_end(&w);
}

TEST(what_is_too_long_for_an_indication_is_dropped_and_counted)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player_of(&w, w.engine, TRANSPORT_TCP), b = player_of(&w, w.engine, TRANSPORT_TCP);
    meet(&a, &b);
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 65535).to, SEND_NOTHING);
    CHECK_INT(engine_counts(w.engine)->dropped_malformed, 1);
    CHECK_INT(client_bind(&b, 0x4000, shown(&a)), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 65535).bytes.len, 65540);
    world_end(&w);
}

TEST(it_may_be_switched_off)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w), b = player(&w);
    meet(&a, &b);
    w.config.no_local_handover = true;
    const struct send send = says(&a, &b, 20);
    CHECK_INT(send.to, SEND_TO_PEER);
    CHECK(addr_equal(&send.peer, &allocation_of(&b)->relayed));
    CHECK_INT(engine_counts(w.engine)->handed_over[HANDOVER_SAME], 0);
    world_end(&w);
}

/* Nobody holds the UDP port of a TCP allocation. */
TEST(tcp_allocations_are_not_concerned)
{
    struct world w;
    struct client tcp = world_with_tcp(&w), a = player(&w);
    while (a.relayed.port == tcp.relayed.port) { /* whom it reaches there is itself */
        CHECK_INT(client_refresh(&a, 0), 0);
        a = player(&w);
    }
    CHECK_INT(client_permit(&a, shown(&tcp)), 0);
    CHECK_INT(says(&a, &tcp, 20).to, SEND_NOTHING);
    world_end(&w);
}

TEST(the_sender_is_looked_at_again_where_the_packet_arrives)
{
    static uint16_t taken[LAST_PORT - FIRST_PORT + 1];
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    w.verdict = (struct verdict){.kind = VERDICT_ALLOW, .labels.group = "red"};
    world_answer(&w, HOOK_authorize, world_says);
    struct client a = player(&w), b = player_of(&w, w.second, TRANSPORT_UDP);
    meet(&a, &b);
    const struct send late = says(&a, &b, 20);
    CHECK_INT(client_takes_over(&b, &late).to, SEND_TO_CLIENT);
    uint32_t count = 0;
    while (ports_take(w.shared.ports, 0, PORTS_ANY, 0, &taken[count]) == 0)
        count++;
    CHECK_INT(client_refresh(&a, 0), 0);
    w.verdict.labels.group[0] = 'b';
    struct client stranger = player(&w); /* on the port of the sender */
    CHECK(addr_equal(&stranger.relayed, &a.relayed));
    CHECK_INT(client_takes_over(&b, &late).to, SEND_NOTHING);
    CHECK_INT(engine_counts(w.second)->dropped_not_in_group, 1);
    while (count > 0)
        ports_give(w.shared.ports, 0, taken[--count]);
    world_end(&w);
}

#define CROWD 12

static uint32_t dice(uint32_t *state, uint32_t sides)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % sides;
}

/* Whatever they have of permissions and channels, wherever they are: inside comes to what sockets come to. */
TEST(a_crowd_gets_inside_what_it_would_get_by_sockets)
{
    struct world w;
    uint32_t state = 7, arrived = 0;
    struct client crowd[CROWD];
    world_start(&w, NULL);
    world_second(&w);
    world_answer(&w, HOOK_authorize, world_says);
    for (uint32_t i = 0; i < CROWD; i++) {
        static const char *const groups[] = {"", "", "red", "blue"};
        w.verdict = (struct verdict){.kind = VERDICT_ALLOW};
        view_copy(view_text(groups[dice(&state, 4)]), w.verdict.labels.group, sizeof w.verdict.labels.group);
        crowd[i] = player_of(&w, dice(&state, 2) ? w.second : w.engine, (enum transport)dice(&state, TRANSPORT_COUNT));
    }
    for (int turn = 0; turn < 20000; turn++) {
        struct client *from = &crowd[dice(&state, CROWD)], *to = &crowd[dice(&state, CROWD)];
        struct said said = {.peer = shown(to), .len = dice(&state, 1400)};
        switch (dice(&state, 40)) {
            case 0:
                client_permit(from, said.peer);
                break;
            case 1:
                client_bind(from, (uint16_t)(0x4000 + (to - crowd)), said.peer);
                break;
            case 2:
                world_pass(&w, dice(&state, 5000));
                break;
            default:
                said.channel = (uint16_t)(0x4000 + (to - crowd));
                said.peer = dice(&state, 2) ? said.peer : NULL;
                arrived += allocation_of(to) && client_reaches(from, to, said).to == SEND_TO_CLIENT;
        }
    }
    CHECK(arrived > 1000);
    world_end(&w);
}

TEST_LIST(RUN(a_packet_to_another_client_leaves_for_it_from_where_it_lies) RUN(another_workers_allocation_gets_it_from_its_worker)
              RUN(by_whatever_transports_they_come_they_get_what_sockets_would_have_brought)
                  RUN(nothing_passes_without_a_permission_on_either_side)
                      RUN(the_limits_of_both_hold_in_the_order_in_which_sockets_would_meet_them)
                          RUN(who_has_two_relayed_addresses_is_reached_and_known_by_each) RUN(who_comes_too_late_meets_nobody_or_nobody_else)
                              RUN(an_allocation_that_has_expired_or_waits_for_its_client_gets_nothing) RUN(a_drain_lets_matches_go_on)
                                  RUN(a_packet_keeps_its_mark_and_may_ask_not_to_be_fragmented)
                                      RUN(what_is_too_long_for_an_indication_is_dropped_and_counted) RUN(it_may_be_switched_off)
                                          RUN(tcp_allocations_are_not_concerned)
                                              RUN(the_sender_is_looked_at_again_where_the_packet_arrives)
                                                  RUN(a_crowd_gets_inside_what_it_would_get_by_sockets))
