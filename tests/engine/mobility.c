/* mobility.c: an allocation follows its client from one 5-tuple to another, RFC 8016. */
#include "turn/state.h"
#include "world.h"

#define HOME "198.18.0.1:5000"
#define AWAY "198.18.7.7:6000"
#define FURTHER "198.18.9.9:7000"

static void mobile(struct engine_config *config, struct world *w)
{
    (void)w;
    config->mobility = true;
}

static int ask(struct client *c, const char *ticket)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    build_attr_text(&c->build, ATTR_MOBILITY_TICKET, ticket);
    return client_call(c);
}

static struct client held(struct world *w, const char *address)
{
    struct client c = client_at(w, address, "ann");
    CHECK_INT(ask(&c, ""), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    return c;
}

static int refresh(struct client *c, const char *ticket, uint32_t lifetime_s)
{
    client_begin(c, METHOD_REFRESH);
    build_attr_u32(&c->build, ATTR_LIFETIME, lifetime_s);
    build_attr_text(&c->build, ATTR_MOBILITY_TICKET, ticket);
    return client_call(c);
}

/* moved: the same client elsewhere; it keeps what it knows, its nonce too, which is stale there. */
static struct client moved(const struct client *c, const char *address)
{
    struct client elsewhere = *c;
    elsewhere.flow.client = addr_of(address);
    elsewhere.flow.link++;
    return elsewhere;
}

static bool is_at(const struct send *send, const struct client *c)
{
    return send->to == SEND_TO_CLIENT && flow_equal(send->flow, &c->flow) && send->flow->link == c->flow.link;
}

TEST(section_3_1_2_an_empty_ticket_in_allocate_is_answered_with_a_ticket)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_at(&w, HOME, "ann"), d = client_at(&w, AWAY, "ann"), plain = client_at(&w, FURTHER, "ann");
    CHECK_INT(ask(&c, ""), 0);
    CHECK_INT(strlen(c.ticket), 32);
    char first[64];
    snprintf(first, sizeof first, "%s", c.ticket);
    CHECK_INT(client_resend(&c), 0);
    CHECK_TEXT(c.ticket, first);
    world_skip(&w, 50000); /* the answer is not remembered any more, and made anew */
    CHECK_INT(client_resend(&c), 0);
    CHECK_TEXT(c.ticket, first);
    CHECK_INT(ask(&d, ""), 0);
    CHECK(strcmp(c.ticket, d.ticket) != 0);
    CHECK_INT(client_allocate(&plain), 0);
    CHECK_TEXT(plain.ticket, "");
    CHECK_INT(client_refresh(&c, 600), 0); /* without a move there is no new one */
    CHECK(!message_has(&c.reply, SLOT_MOBILITY_TICKET));
    world_end(&w);
}

TEST(section_3_1_2_a_ticket_with_something_in_it_is_no_wish_400)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_at(&w, HOME, "ann");
    CHECK_INT(ask(&c, "x"), STUN_BAD_REQUEST);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(section_3_1_2_where_it_is_off_tickets_are_405)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, HOME, "ann");
    CHECK_INT(ask(&c, ""), STUN_MOBILITY_FORBIDDEN);
    CHECK_INT(client_allocate(&c), 0);
    struct client away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, "12345678901234567890123456789012", 600), STUN_MOBILITY_FORBIDDEN);
    CHECK_INT(refresh(&c, "", 600), STUN_MOBILITY_FORBIDDEN);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(over_dtls_tickets_are_405)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_over(&w, TRANSPORT_DTLS, HOME, SERVER_V4, "ann"), d = held(&w, HOME), away = moved(&d, AWAY);
    CHECK_INT(ask(&c, ""), STUN_MOBILITY_FORBIDDEN);
    away.flow.transport = TRANSPORT_DTLS;
    CHECK_INT(refresh(&away, d.ticket, 600), STUN_MOBILITY_FORBIDDEN);
    world_end(&w);
}

TEST(section_3_2_2_the_allocation_moves_and_keeps_all_that_it_has)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME);
    const struct allocation *a = engine_allocation_at(w.engine, 0);
    const uint64_t id = a->id;
    const struct addr relayed = a->relayed;
    char first[64];
    snprintf(first, sizeof first, "%s", c.ticket);
    struct client away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 700), 0);
    CHECK_INT(away.lifetime_s, 700);
    CHECK(strcmp(away.ticket, first) != 0);
    CHECK_INT(strlen(away.ticket), 32);
    CHECK_INT(w.told[EVENT_REFRESHED].count, 1);
    world_check_books(&w);
    struct send send = client_says_on(&away, 0x4000, 100);
    CHECK_INT(send.to, SEND_TO_PEER);
    CHECK_INT(client_says_to(&away, PEER, 100).to, SEND_TO_PEER);
    send = peer_says(&away, PEER, 100);
    CHECK(is_at(&send, &away));
    CHECK_INT(a->id, id);
    CHECK(addr_equal(&a->relayed, &relayed));
    CHECK(flow_equal(&a->flow, &away.flow));
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(w.most_sockets, 1);
    CHECK_INT(client_says_on(&c, 0x4000, 100).to, SEND_NOTHING);
    CHECK_INT(client_refresh(&c, 600), STUN_MISMATCH);
    CHECK_INT(client_refresh(&away, 600), 0);
    CHECK_INT(w.told[EVENT_ALLOCATED].count, 1);
    CHECK_INT(w.told[EVENT_CLOSED].count, 0);
    world_end(&w);
}

TEST(section_3_2_2_the_old_5_tuple_goes_on_until_the_client_is_seen_on_the_new_one)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    struct send send = peer_says(&c, PEER, 1);
    CHECK(is_at(&send, &c));
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.held, 2);
    CHECK_INT(client_says_to(&away, PEER, 1).to, SEND_TO_PEER); /* here it is */
    CHECK_INT(w.held, 1);
    send = peer_says(&away, PEER, 1);
    CHECK(is_at(&send, &away));
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    world_end(&w);
}

TEST(another_request_from_the_new_5_tuple_is_the_client_seen_there_too_but_not_a_strangers)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    struct client stranger = client_at(&w, AWAY, "bob");
    CHECK_INT(client_permit(&stranger, PEER), STUN_WRONG_CREDENTIALS);
    CHECK_INT(w.held, 2);
    CHECK_INT(client_permit(&away, PEER), 0);
    CHECK_INT(w.held, 1);
    world_end(&w);
}

TEST(section_3_2_2_a_move_that_is_sent_again_is_answered_again)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    char old[64], new[64];
    snprintf(old, sizeof old, "%s", c.ticket);
    CHECK_INT(refresh(&away, old, 600), 0);
    snprintf(new, sizeof new, "%s", away.ticket);
    CHECK_INT(client_resend(&away), 0); /* the same bytes */
    CHECK_TEXT(away.ticket, new);
    world_skip(&w, 50000);
    CHECK_INT(client_resend(&away), 0); /* its answer is forgotten */
    CHECK_TEXT(away.ticket, new);
    CHECK_INT(refresh(&away, old, 600), 0); /* another transaction */
    CHECK_TEXT(away.ticket, new);
    CHECK_INT(client_says_on(&away, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(refresh(&away, old, 600), 0);
    CHECK_INT(refresh(&away, new, 600), 0);
    CHECK_TEXT(away.ticket, new);
    world_end(&w);
}

TEST(an_old_ticket_moves_nothing_437)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY), further = moved(&c, FURTHER);
    char old[64];
    snprintf(old, sizeof old, "%s", c.ticket);
    CHECK_INT(refresh(&away, old, 600), 0);
    CHECK_INT(refresh(&further, old, 600), STUN_MISMATCH);
    CHECK_INT(refresh(&further, away.ticket, 600), 0);
    CHECK_INT(client_says_on(&further, 0x4000, 1).to, SEND_TO_PEER);
    CHECK_INT(client_says_on(&away, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_NOTHING);
    CHECK_INT(refresh(&further, old, 600), STUN_MISMATCH); /* the one before the last */
    world_end(&w);
}

TEST(a_ticket_that_is_changed_anywhere_is_none_437)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, "", 600), STUN_BAD_REQUEST);
    for (size_t i = 0; i < 32; i++) {
        char bad[64];
        snprintf(bad, sizeof bad, "%s", c.ticket);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        CHECK_INT(refresh(&away, bad, 600), STUN_MISMATCH);
        bad[i] = 0;
        if (i)
            CHECK_INT(refresh(&away, bad, 600), STUN_MISMATCH);
    }
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    world_end(&w);
}

TEST(section_3_2_2_another_users_ticket_is_441_and_moves_nothing)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), thief = client_at(&w, AWAY, "bob"), guesser = client_at(&w, FURTHER, "ann");
    CHECK_INT(refresh(&thief, c.ticket, 600), STUN_WRONG_CREDENTIALS);
    CHECK_INT(refresh(&thief, c.ticket, 0), STUN_WRONG_CREDENTIALS);
    snprintf(guesser.password, sizeof guesser.password, "wrong");
    CHECK_INT(refresh(&guesser, c.ticket, 600), STUN_UNAUTHENTICATED);
    CHECK_INT(w.held, 1);
    CHECK_INT(client_says_on(&c, 0x4000, 1).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(the_nonce_of_the_old_5_tuple_is_stale_on_the_new_one)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    client_begin(&away, METHOD_REFRESH);
    build_attr_text(&away.build, ATTR_MOBILITY_TICKET, c.ticket);
    CHECK_INT(client_send(&away), STUN_STALE_NONCE);
    CHECK_INT(w.held, 1);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    world_end(&w);
}

TEST(a_5_tuple_with_an_allocation_takes_no_other_437)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), other = held(&w, AWAY);
    CHECK_INT(refresh(&other, c.ticket, 600), STUN_MISMATCH);
    CHECK_INT(engine_allocations(w.engine), 2);
    CHECK_INT(w.held, 2);
    struct client away = moved(&c, FURTHER);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    CHECK_INT(client_allocate(&away), STUN_MISMATCH);
    world_end(&w);
}

TEST(lifetime_0_with_a_ticket_ends_the_allocation_from_elsewhere)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 0), 0);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "released");
    CHECK_INT(refresh(&away, c.ticket, 600), STUN_MISMATCH);
    CHECK_INT(w.held, 0);
    world_end(&w);
}

TEST(an_expired_allocation_moves_no_more)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    world_skip(&w, 600000);
    CHECK_INT(refresh(&away, c.ticket, 600), STUN_MISMATCH);
    engine_sweep(w.engine, w.now);
    struct client again = held(&w, FURTHER); /* perhaps in its place */
    CHECK_INT(refresh(&away, c.ticket, 600), STUN_MISMATCH);
    CHECK(strcmp(again.ticket, c.ticket) != 0);
    world_end(&w);
}

TEST(an_allocation_without_a_ticket_ends_with_its_connection_and_one_with_a_ticket_waits)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_over(&w, TRANSPORT_TCP, HOME, SERVER_V4, "ann"),
                  plain = client_over(&w, TRANSPORT_TCP, AWAY, SERVER_V4, "ann");
    CHECK_INT(ask(&c, ""), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_allocate(&plain), 0);
    engine_flow_closed(w.engine, &plain.flow, w.now);
    const struct handle self = engine_allocation_at(w.engine, 0)->self;
    engine_flow_closed(w.engine, &c.flow, w.now);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(w.held, 0);
    world_check_books(&w);
    uint8_t buffer[ENGINE_HEADROOM + 8] = {0};
    const struct addr peer = addr_of(PEER);
    CHECK_INT(engine_from_peer(w.engine, self, &peer, (struct packet){buffer + ENGINE_HEADROOM, 1, 0}, w.now).to, SEND_NOTHING);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_NOTHING); /* a new connection from the same port is nobody's */

    struct client away = moved(&c, FURTHER);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    const struct send send = peer_says(&away, PEER, 1);
    CHECK(is_at(&send, &away)); /* at once: there is no other way */
    world_check_books(&w);
    engine_flow_closed(w.engine, &away.flow, w.now);
    world_pass(&w, 600000);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "expired");
    world_end(&w);
}

TEST(the_end_of_either_connection_leaves_the_other)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_over(&w, TRANSPORT_TCP, HOME, SERVER_V4, "ann");
    CHECK_INT(ask(&c, ""), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    struct client away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    engine_flow_closed(w.engine, &away.flow, w.now);
    struct send send = peer_says(&c, PEER, 1);
    CHECK(is_at(&send, &c));
    world_check_books(&w);
    struct client further = moved(&c, FURTHER);
    CHECK_INT(refresh(&further, away.ticket, 600), 0);
    engine_flow_closed(w.engine, &c.flow, w.now);
    send = peer_says(&further, PEER, 1);
    CHECK(is_at(&send, &further));
    CHECK_INT(w.told[EVENT_CLOSED].count, 0);
    world_end(&w);
}

TEST(a_request_for_another_workers_allocation_goes_there)
{
    struct world w;
    world_start(&w, mobile);
    world_second(&w);
    static const enum transport transports[] = {TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS};
    for (size_t i = 0; i < 3; i++) {
        struct client c = client_over(&w, transports[i], HOME, SERVER_V4, "ann");
        CHECK_INT(ask(&c, ""), 0);
        CHECK_INT(client_permit(&c, PEER), 0);
        struct client away = moved(&c, AWAY);
        away.engine = w.second;
        CHECK_INT(refresh(&away, c.ticket, 600), 0);
        CHECK_INT(engine_allocations(w.second), 0);
        CHECK(away.engine == (i == 0 ? w.second : w.engine)); /* a connection stays there */
        away.engine = w.engine;                               /* as workers pass datagrams on now */
        const struct send send = client_says_to(&away, PEER, 1);
        CHECK_INT(send.to, SEND_TO_PEER);
        CHECK_INT(refresh(&away, away.ticket, 0), 0);
        CHECK_INT(w.held, 0);
    }
    struct client garbage = client_at(&w, AWAY, "ann"); /* answered where it came in */
    garbage.engine = w.second;
    CHECK_INT(refresh(&garbage, "12345678901234567890123456789012", 600), STUN_MISMATCH);
    world_end(&w);
}

TEST(a_policy_that_answers_later_finds_the_moving_allocation_again)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = held(&w, HOME), away = moved(&c, AWAY);
    CHECK_INT(refresh(&away, c.ticket, 600), 0); 
    struct client further = moved(&away, FURTHER);
    CHECK_INT(client_refresh(&further, 600), STUN_MISMATCH);
    ((struct allocation *)(uintptr_t)engine_allocation_at(w.engine, 0))->key.len = 0; /* forgotten: the hook is asked */
    world_answer(&w, HOOK_authenticate, world_later);
    client_begin(&further, METHOD_REFRESH);
    build_attr_text(&further.build, ATTR_MOBILITY_TICKET, away.ticket);
    CHECK_INT(client_send(&further), NO_ANSWER);
    const struct verdict verdict = verdict_key(&w, "ann", "secret of ann");
    CHECK_INT(client_take(&further, engine_resume(w.engine, w.ticket, &verdict, w.now)), 0);
    CHECK_INT(client_says_on(&further, 0x4000, 1).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(storm_quota_sockets_and_books_stay_as_they_are_whatever_moves)
{
    struct world w;
    world_start(&w, mobile);
    struct client clients[20];
    for (int i = 0; i < 20; i++) {
        char address[32];
        snprintf(address, sizeof address, "198.18.1.%d:5000", i + 1);
        clients[i] = held(&w, address);
    }
    for (int round = 0; round < 2000; round++) {
        struct client *c = &clients[(unsigned)round * 7 % 20];
        char address[32];
        snprintf(address, sizeof address, "198.18.2.%d:%d", round % 200 + 1, 1000 + round);
        struct client away = moved(c, address);
        CHECK_INT(refresh(&away, c->ticket, 600), 0);
        if (round % 3 == 0)
            CHECK_INT(client_says_on(&away, 0x4000, 1).to, SEND_TO_PEER);
        if (round % 5 == 0)
            engine_flow_closed(w.engine, &c->flow, w.now);
        *c = away;
        world_check_books(&w);
        CHECK_INT(quota_total(w.shared.quota), 20);
        CHECK_INT(w.open_sockets, 20);
    }
    for (int i = 0; i < 20; i++)
        CHECK_INT(client_refresh(&clients[i], 0), 0);
    CHECK_INT(w.held, 0);
    CHECK_INT(w.told[EVENT_CLOSED].count, 20);
    world_end(&w);
}

TEST(an_allocation_for_tcp_moves_to_connections_only)
{
    struct world w;
    world_start(&w, mobile);
    struct client c = client_over(&w, TRANSPORT_TCP, HOME, SERVER_V4, "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_byte(&c, ATTR_REQUESTED_TRANSPORT, PROTOCOL_TCP);
    build_attr_text(&c.build, ATTR_MOBILITY_TICKET, "");
    CHECK_INT(client_call(&c), 0);
    struct client away = moved(&c, AWAY);
    away.flow.transport = TRANSPORT_UDP;
    CHECK_INT(refresh(&away, c.ticket, 600), STUN_MOBILITY_FORBIDDEN);
    away.flow.transport = TRANSPORT_TLS;
    CHECK_INT(refresh(&away, c.ticket, 600), 0);
    CHECK_INT(client_permit(&away, PEER), 0);
    int conn = -1;
    CHECK_INT(world_accept(&w, &away.flow, PEER, &conn).to, SEND_TO_CLIENT);
    engine_flow_closed(w.engine, &away.flow, w.now);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST_LIST(RUN(an_allocation_for_tcp_moves_to_connections_only) 
    RUN(section_3_1_2_an_empty_ticket_in_allocate_is_answered_with_a_ticket) RUN(section_3_1_2_a_ticket_with_something_in_it_is_no_wish_400)
        RUN(section_3_1_2_where_it_is_off_tickets_are_405) RUN(over_dtls_tickets_are_405)
            RUN(section_3_2_2_the_allocation_moves_and_keeps_all_that_it_has)
                RUN(section_3_2_2_the_old_5_tuple_goes_on_until_the_client_is_seen_on_the_new_one)
                    RUN(another_request_from_the_new_5_tuple_is_the_client_seen_there_too_but_not_a_strangers)
                        RUN(section_3_2_2_a_move_that_is_sent_again_is_answered_again) RUN(an_old_ticket_moves_nothing_437)
                            RUN(a_ticket_that_is_changed_anywhere_is_none_437)
                                RUN(section_3_2_2_another_users_ticket_is_441_and_moves_nothing)
                                    RUN(the_nonce_of_the_old_5_tuple_is_stale_on_the_new_one)
                                        RUN(a_5_tuple_with_an_allocation_takes_no_other_437)
                                            RUN(lifetime_0_with_a_ticket_ends_the_allocation_from_elsewhere)
                                                RUN(an_expired_allocation_moves_no_more)
                                                    RUN(an_allocation_without_a_ticket_ends_with_its_connection_and_one_with_a_ticket_waits)
                                                        RUN(the_end_of_either_connection_leaves_the_other)
                                                            RUN(a_request_for_another_workers_allocation_goes_there)
                                                                RUN(a_policy_that_answers_later_finds_the_moving_allocation_again)
                                                                    RUN(storm_quota_sockets_and_books_stay_as_they_are_whatever_moves))
