/* group.c: an allocation of a group exchanges packets with relayed addresses of its group, and with nothing else. */
#include "turn/state.h"
#include "world.h"

static void in_group(struct world *w, const char *group)
{
    w->verdict = (struct verdict){.kind = VERDICT_ALLOW};
    view_copy(view_text(group), w->verdict.labels.group, sizeof w->verdict.labels.group);
    world_answer(w, HOOK_authorize, world_says);
}

static struct client player_at(struct world *w, const char *server, const char *group)
{
    static int next;
    char address[32];
    snprintf(address, sizeof address, strchr(server, '[') ? "[2a00:9::9]:%d" : "198.18.0.1:%d", 5000 + next++ % 1000);
    struct client c = client_over(w, TRANSPORT_UDP, address, server, "ann");
    in_group(w, group);
    CHECK_INT(client_allocate(&c), 0);
    return c;
}

static struct client player(struct world *w, const char *group)
{
    return player_at(w, SERVER_V4, group);
}

static char *shown(const struct client *c)
{
    static char text[4][ADDR_TEXT_MAX];
    static int turn;
    return addr_format(&c->relayed, text[turn++ % 4]);
}

static struct allocation *allocation_of(const struct client *c)
{
    return allocation_find(c->engine, &c->flow);
}

static char *bound(const struct client *c)
{
    static char text[4][ADDR_TEXT_MAX];
    static int turn;
    return addr_format(&allocation_of(c)->relayed, text[turn++ % 4]);
}

/* reaches: what one sends is for the other, whose client gets it. */
static bool reaches(struct client *from, struct client *to)
{
    const struct send got = client_reaches(from, to, (struct said){.peer = shown(to), .len = 20});
    return got.to == SEND_TO_CLIENT && flow_equal(got.flow, &to->flow);
}

static void meet(struct client *a, struct client *b)
{
    CHECK_INT(client_permit(a, shown(b)), 0);
    CHECK_INT(client_permit(b, shown(a)), 0);
}

/* apart: nothing passes, whichever of the two is careless. */
static void apart(struct client *a, struct client *b)
{
    CHECK(!reaches(a, b) && !reaches(b, a));
    CHECK_INT(peer_says(a, bound(b), 9).to, SEND_NOTHING);
    CHECK_INT(peer_says(b, bound(a), 9).to, SEND_NOTHING);
}

TEST(the_players_of_a_match_reach_each_other)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), b = player(&w, "red");
    meet(&a, &b);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    CHECK_INT(client_bind(&b, 0x4001, shown(&a)), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 9).to, SEND_TO_CLIENT);
    CHECK_INT(get_u16(peer_says(&b, bound(&a), 9).bytes.at), 0x4001);
    CHECK_TEXT(allocation_of(&a)->group_name, "red");
    CHECK_INT(engine_counts(w.engine)->dropped_not_in_group, 0);
    world_end(&w);
}

TEST(the_players_of_another_match_are_strangers_on_the_same_address)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), b = player(&w, "red"), c = player(&w, "blue");
    meet(&a, &c); /* one address, one permission: for a's own match it is needed */
    CHECK_INT(client_permit(&b, shown(&a)), 0);
    apart(&a, &c);
    CHECK_INT(engine_counts(w.engine)->dropped_not_in_group, 6);
    CHECK_INT(client_bind(&a, 0x4000, shown(&c)), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "not_in_group");
    CHECK_INT(client_says_on(&a, 0x4000, 9).to, SEND_NOTHING);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    world_end(&w);
}

TEST(who_is_not_a_relayed_address_of_this_server_is_in_no_match)
{
    static const char *const outside[] = {PEER, "127.0.0.1:80", "10.0.0.4:50000", "20.0.0.6:50000", "192.168.1.1:1", "198.18.0.1:5000"};
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red");
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        CHECK_INT(client_permit(&a, outside[i]), STUN_FORBIDDEN);
        CHECK_TEXT(w.told[EVENT_DENIED].reason, "not_in_group");
        CHECK_INT(client_bind(&a, 0x4000, outside[i]), STUN_FORBIDDEN);
        CHECK_INT(client_says_to(&a, outside[i], 9).to, SEND_NOTHING);
        CHECK_INT(peer_says(&a, outside[i], 9).to, SEND_NOTHING);
    }
    CHECK_INT(allocation_of(&a)->permissions, 0);
    CHECK_INT(client_permit(&a, "[" RELAY_V6 "]:1"), STUN_PEER_FAMILY_MISMATCH);
    world_end(&w);
}

static void counts_questions(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    (void)question;
    (void)verdict;
}

TEST(policies_are_asked_about_the_own_match_only)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_permission, counts_questions);
    world_answer(&w, HOOK_channel, counts_questions);
    struct client a = player(&w, "red"), b = player(&w, "red"), c = player(&w, "blue");
    CHECK_INT(client_permit(&a, PEER), STUN_FORBIDDEN);
    CHECK_INT(w.asked[HOOK_permission], 0);
    CHECK_INT(client_bind(&a, 0x4000, shown(&c)), STUN_FORBIDDEN);
    CHECK_INT(w.asked[HOOK_channel], 0);
    CHECK_INT(allocation_of(&a)->permissions, 0); /* it was for the channel */
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    CHECK_INT(w.asked[HOOK_permission], 2);
    CHECK_INT(w.asked[HOOK_channel], 1);
    world_end(&w);
}

TEST(who_has_no_group_reaches_nobody_who_has_one)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), open = player(&w, ""), other = player(&w, "");
    meet(&a, &open);
    apart(&a, &open);
    CHECK_INT(client_permit(&other, shown(&open)), 0);
    CHECK(reaches(&open, &other) && reaches(&other, &open));
    CHECK_INT(client_permit(&open, PEER), 0);
    CHECK_INT(client_says_to(&open, PEER, 9).to, SEND_TO_PEER);
    world_end(&w);
}

TEST(who_is_early_loses_packets_and_binds_later)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red");
    CHECK_INT(client_permit(&a, SHOWN_V4 ":50500"), 0);
    CHECK_INT(client_says_to(&a, SHOWN_V4 ":50500", 9).to, SEND_NOTHING);
    CHECK_INT(client_bind(&a, 0x4000, SHOWN_V4 ":50500"), STUN_FORBIDDEN);
    CHECK_INT(client_bind(&a, 0x4000, SHOWN_V4 ":22"), STUN_FORBIDDEN);
    CHECK_INT(client_bind(&a, 0x4000, SHOWN_V4 ":3478"), STUN_FORBIDDEN);
    struct client b = player(&w, "red");
    CHECK_INT(client_permit(&b, shown(&a)), 0);
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    world_end(&w);
}

/* hoard: takes every port that is left, so that the next allocation has the next port that is given back. */
static uint32_t hoard(struct ports *ports, uint16_t taken[])
{
    uint32_t count = 0;
    while (ports_take(ports, 0, PORTS_ANY, 0, &taken[count]) == 0)
        count++;
    return count;
}

TEST(a_port_that_a_stranger_takes_over_is_shut_at_once)
{
    static uint16_t taken[LAST_PORT - FIRST_PORT + 1];
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), b = player(&w, "red");
    meet(&a, &b);
    CHECK_INT(client_bind(&a, 0x4000, shown(&b)), 0);
    uint32_t count = hoard(w.shared.ports, taken);
    CHECK_INT(client_refresh(&b, 0), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 9).to, SEND_NOTHING);
    struct client stranger = player(&w, "blue");
    CHECK(addr_equal(&stranger.relayed, &b.relayed));
    CHECK_INT(client_permit(&stranger, shown(&a)), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 9).to, SEND_NOTHING);
    apart(&a, &stranger);
    CHECK_INT(client_bind(&a, 0x4000, shown(&stranger)), STUN_FORBIDDEN); /* not even kept alive */
    CHECK_INT(client_refresh(&stranger, 0), 0);
    struct client mate = player(&w, "red");
    CHECK_INT(client_permit(&mate, shown(&a)), 0);
    CHECK(reaches(&a, &mate) && reaches(&mate, &a)); /* whoever of the match comes there is welcome */
    while (count > 0)
        ports_give(w.shared.ports, 0, taken[--count]);
    world_end(&w);
}

TEST(a_reserved_port_is_nobodys_until_it_is_claimed)
{
    struct world w;
    char sibling[ADDR_TEXT_MAX];
    world_start(&w, NULL);
    struct client a = player(&w, "red"), pair = client_at(&w, "198.18.0.2:1", "ann");
    CHECK_INT(client_allocate_even(&pair, true), 0);
    snprintf(sibling, sizeof sibling, SHOWN_V4 ":%d", pair.relayed.port + 1);
    CHECK_INT(client_bind(&a, 0x4000, sibling), STUN_FORBIDDEN);
    struct client second = client_at(&w, "198.18.0.2:2", "ann");
    CHECK_INT(client_allocate_token(&second, pair.token), 0);
    CHECK_INT(client_bind(&a, 0x4000, sibling), 0);
    world_end(&w);
}

static void tenants(struct world *w, const struct question *question, struct verdict *verdict)
{
    world_key(w, question, verdict);
    view_copy(view_text(question->request->flow->client.port == 1 ? "acme" : "globex"), verdict->tenant, sizeof verdict->tenant);
}

TEST(two_tenants_have_groups_of_their_own)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, tenants);
    in_group(&w, "red");
    struct client a = client_at(&w, "198.18.0.1:1", "ann"), b = client_at(&w, "198.18.0.2:1", "bob");
    struct client c = client_at(&w, "198.18.0.1:2", "ann");
    CHECK_INT(client_allocate(&a), 0);
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_allocate(&c), 0);
    meet(&a, &b);
    meet(&a, &c);
    CHECK(reaches(&a, &b));
    apart(&a, &c);
    world_end(&w);
}

TEST(a_match_may_be_spread_over_workers)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = player(&w, "red"), b = client_at(&w, "198.18.0.2:1", "bob"), c = client_at(&w, "198.18.0.3:1", "cleo");
    b.engine = c.engine = w.second;
    CHECK_INT(client_allocate(&b), 0);
    in_group(&w, "blue");
    CHECK_INT(client_allocate(&c), 0);
    meet(&a, &b);
    CHECK_INT(client_permit(&c, shown(&a)), 0);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    apart(&a, &c);
    world_end(&w);
}

TEST(ipv6_and_both_families_are_no_way_around)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player_at(&w, SERVER_V6, "red"), b = player_at(&w, SERVER_V6, "red"), c = player_at(&w, SERVER_V6, "blue");
    meet(&a, &b);
    meet(&a, &c);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    apart(&a, &c);
    CHECK_INT(client_permit(&a, PEER_V6), STUN_FORBIDDEN);
    struct client both = client_at(&w, "198.18.0.2:1", "bob");
    in_group(&w, "red");
    client_begin(&both, METHOD_ALLOCATE);
    client_wish_udp(&both);
    client_byte(&both, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2);
    CHECK_INT(client_call(&both), 0);
    char text[ADDR_TEXT_MAX];
    CHECK_INT(client_bind(&a, 0x4000, addr_format(&allocation_of(&both)->rare->other.shown, text)), 0);
    CHECK_INT(client_bind(&c, 0x4000, text), STUN_FORBIDDEN);
    CHECK_INT(client_bind(&both, 0x4000, shown(&a)), 0);
    CHECK_INT(client_bind(&both, 0x4001, shown(&c)), STUN_FORBIDDEN);
    client_begin(&both, METHOD_REFRESH);
    build_attr_u32(&both.build, ATTR_LIFETIME, 0);
    client_byte(&both, ATTR_REQUESTED_ADDRESS_FAMILY, 2); /* gives one of the two back */
    CHECK_INT(client_call(&both), 0);
    CHECK_INT(client_says_on(&a, 0x4000, 9).to, SEND_NOTHING);
    world_end(&w);
}

static struct client tcp_player(struct world *w, int port, const char *group)
{
    char address[32];
    snprintf(address, sizeof address, "198.18.0.1:%d", port);
    struct client c = client_over(w, TRANSPORT_TCP, address, SERVER_V4, "ann");
    in_group(w, group);
    CHECK_INT(client_allocate_tcp(&c), 0);
    return c;
}

TEST(connections_stay_in_the_match_too)
{
    struct world w;
    int conn;
    world_start(&w, NULL);
    struct client a = tcp_player(&w, 1, "red"), b = tcp_player(&w, 2, "red"), c = tcp_player(&w, 3, "blue"), d = tcp_player(&w, 4, "");
    CHECK_INT(client_connect(&a, PEER), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "not_in_group");
    CHECK_INT(client_connect(&a, shown(&c)), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "not_in_group");
    CHECK_INT(client_connect(&a, shown(&d)), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&d, shown(&a)), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&a, shown(&b)), NO_ANSWER);
    CHECK_INT(client_take(&a, world_connected(&w, true)), 0);
    meet(&a, &b);
    CHECK_INT(world_accept(&w, &b.flow, bound(&c), &conn).to, SEND_NOTHING);
    CHECK_INT(world_accept(&w, &b.flow, bound(&d), &conn).to, SEND_NOTHING);
    CHECK_INT(world_accept(&w, &b.flow, PEER, &conn).to, SEND_NOTHING);
    CHECK_INT(engine_counts(w.engine)->dropped_not_in_group, 3);
    CHECK_INT(world_accept(&w, &b.flow, bound(&a), &conn).to, SEND_TO_CLIENT);
    world_end(&w);
}

TEST(the_same_port_of_the_other_protocol_is_somebody_else)
{
    struct world w;
    world_start(&w, NULL);
    struct client udp = player(&w, "red"), tcp = tcp_player(&w, 1, "red");
    while (udp.relayed.port == tcp.relayed.port) { /* whom one reaches there is oneself */
        CHECK_INT(client_refresh(&udp, 0), 0);
        udp = player(&w, "red");
    }
    CHECK_INT(client_bind(&udp, 0x4000, shown(&tcp)), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&tcp, shown(&udp)), STUN_FORBIDDEN);
    world_end(&w);
}

static void add(struct cidr_set *set, const char *text)
{
    struct cidr_range range;
    CHECK_INT(cidr_parse(view_text(text), &range), 0);
    CHECK_INT(cidr_add(set, &range), 0);
}

static void with_holes(struct engine_config *config, struct world *w)
{
    config->allow_loopback_peers = true;
    add(&w->allowed, "0.0.0.0/0");
}

TEST(no_hole_opens_a_match)
{
    static const char *const outside[] = {PEER, "127.0.0.1:80", "192.168.1.1:1", SHOWN_V4 ":22", RELAY_V4 ":22"};
    struct world w;
    world_start(&w, with_holes);
    struct client a = player(&w, "red"), b = player(&w, "red"), open = player(&w, "");
    meet(&a, &b);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        CHECK_INT(client_bind(&a, 0x4000, outside[i]), STUN_FORBIDDEN);
        CHECK_INT(client_says_to(&a, outside[i], 9).to, SEND_NOTHING);
        CHECK_INT(peer_says(&a, outside[i], 9).to, SEND_NOTHING);
        CHECK_INT(client_permit(&open, outside[i]), 0);
        CHECK_INT(client_says_to(&open, outside[i], 9).to, SEND_TO_PEER);
    }
    apart(&a, &open); /* who may reach any port of this host but those that a match holds */
    CHECK(reaches(&a, &b));
    world_end(&w);
}

static void on_loopback(struct engine_config *config, struct world *w)
{
    (void)config;
    w->relays[0] = (struct relay_address){addr_of("127.0.0.9"), addr_of("127.0.0.9"), NULL};
}

TEST(a_match_may_live_on_loopback_which_stays_closed)
{
    struct world w;
    world_start(&w, on_loopback);
    struct client a = player(&w, "red"), b = player(&w, "red"), open = player(&w, "");
    meet(&a, &b);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    CHECK_INT(client_permit(&a, "127.0.0.1:80"), STUN_FORBIDDEN);
    CHECK_INT(client_says_to(&a, "127.0.0.9:22", 9).to, SEND_NOTHING);
    CHECK_INT(client_permit(&open, shown(&a)), STUN_FORBIDDEN);
    world_end(&w);
}

static void denied(struct engine_config *config, struct world *w)
{
    (void)config;
    add(&w->denied, SHOWN_V4);
}

TEST(denied_peers_close_a_match_too)
{
    struct world w;
    world_start(&w, denied);
    struct client a = player(&w, "red"), b = player(&w, "red");
    CHECK_INT(client_permit(&a, shown(&b)), STUN_FORBIDDEN);
    world_end(&w);
}

/* the world outside knows the shown form, and may write it as the source of a packet; our own sockets send from the local one */
TEST(who_pretends_to_be_a_player_by_the_shown_address_is_not_heard)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), b = player(&w, "red"), open = player(&w, ""), other = player(&w, "");
    meet(&a, &b);
    meet(&open, &other);
    CHECK_INT(peer_says(&a, bound(&b), 9).to, SEND_TO_CLIENT);
    CHECK_INT(peer_says(&a, shown(&b), 9).to, SEND_NOTHING);
    CHECK_INT(peer_says(&open, bound(&other), 9).to, SEND_TO_CLIENT);
    CHECK_INT(peer_says(&open, shown(&other), 9).to, SEND_NOTHING);
    world_end(&w);
}

TEST(what_the_network_says_of_a_stranger_is_not_told)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = player(&w, "red"), b = player(&w, "red"), c = player(&w, "blue");
    meet(&a, &b);
    struct peer_error error = {.peer = allocation_of(&b)->relayed, .type = 3, .code = 3};
    CHECK_INT(engine_peer_error(w.engine, allocation_of(&a)->self, &error, w.now).to, SEND_TO_CLIENT);
    error.peer = allocation_of(&c)->relayed;
    CHECK_INT(engine_peer_error(w.engine, allocation_of(&a)->self, &error, w.now).to, SEND_NOTHING);
    world_end(&w);
}

static void mobile(struct engine_config *config, struct world *w)
{
    (void)w;
    config->mobility = true;
}

TEST(who_moves_stays_in_the_match)
{
    struct world w;
    world_start(&w, mobile);
    struct client b = player(&w, "red"), a = client_at(&w, "198.18.7.1:1", "ann");
    client_begin(&a, METHOD_ALLOCATE);
    client_wish_udp(&a);
    build_attr_text(&a.build, ATTR_MOBILITY_TICKET, "");
    CHECK_INT(client_call(&a), 0);
    meet(&a, &b);
    a.flow.client = addr_of("198.18.7.2:2");
    client_begin(&a, METHOD_REFRESH);
    build_attr_u32(&a.build, ATTR_LIFETIME, 600);
    build_attr_text(&a.build, ATTR_MOBILITY_TICKET, a.ticket);
    CHECK_INT(client_call(&a), 0);
    CHECK(reaches(&a, &b) && reaches(&b, &a));
    world_end(&w);
}

TEST_LIST(RUN(the_players_of_a_match_reach_each_other) RUN(the_players_of_another_match_are_strangers_on_the_same_address)
              RUN(who_is_not_a_relayed_address_of_this_server_is_in_no_match) RUN(policies_are_asked_about_the_own_match_only)
                  RUN(who_has_no_group_reaches_nobody_who_has_one) RUN(who_is_early_loses_packets_and_binds_later)
                      RUN(a_port_that_a_stranger_takes_over_is_shut_at_once) RUN(a_reserved_port_is_nobodys_until_it_is_claimed)
                          RUN(two_tenants_have_groups_of_their_own) RUN(a_match_may_be_spread_over_workers)
                              RUN(ipv6_and_both_families_are_no_way_around) RUN(connections_stay_in_the_match_too)
                                  RUN(the_same_port_of_the_other_protocol_is_somebody_else) RUN(no_hole_opens_a_match)
                                      RUN(a_match_may_live_on_loopback_which_stays_closed) RUN(denied_peers_close_a_match_too)
                                          RUN(who_pretends_to_be_a_player_by_the_shown_address_is_not_heard)
                                              RUN(what_the_network_says_of_a_stranger_is_not_told) RUN(who_moves_stays_in_the_match))
