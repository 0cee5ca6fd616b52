/* pace.c: how much may pass a second: packets of an allocation, bits of a user, new peers. */
#include "turn/pace.h"
#include "world.h"

static struct limits given;

static void allow(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    (void)question;
    verdict->kind = VERDICT_ALLOW;
    verdict->limits = given;
}

static struct client come(struct world *w, const char *from, const char *user)
{
    struct client c = client_at(w, from, user);
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    return c;
}

static void start(struct world *w, struct limits limits)
{
    world_start(w, NULL);
    given = limits;
    world_answer(w, HOOK_authorize, allow);
}

static int passed_in(struct client *c, int packets, size_t len)
{
    int passed = 0;
    for (int i = 0; i < packets; i++)
        passed += client_says_to(c, PEER, len).to == SEND_TO_PEER;
    return passed;
}

static int passed_out(struct client *c, int packets, size_t len)
{
    int passed = 0;
    for (int i = 0; i < packets; i++)
        passed += peer_says(c, PEER, len).to == SEND_TO_CLIENT;
    return passed;
}

TEST(so_many_packets_pass_a_second_each_way_whatever_their_size)
{
    struct world w;
    start(&w, (struct limits){.max_pps = 50});
    struct client c = come(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(passed_in(&c, 100, 1), 50);
    CHECK_INT(passed_out(&c, 100, 1200), 50);
    world_skip(&w, 100);
    CHECK_INT(passed_in(&c, 100, 1200), 5);
    CHECK_INT(passed_out(&c, 100, 1), 5);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_PPS], 2 * 50 + 2 * 95);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_BPS], 0);
    world_end(&w);
}

TEST(what_one_limit_refuses_costs_nothing_of_the_other)
{
    struct world w;
    start(&w, (struct limits){.max_pps = 10, .max_bps = 8000, .max_user_bps = 16000});
    struct client c = come(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(passed_in(&c, 20, 10), 10); /* 100 of 1000 bytes */
    world_skip(&w, 100);
    CHECK_INT(passed_in(&c, 1, 1000), 1); /* full again by 100 bytes: nothing was taken of what did not pass */
    CHECK_INT(passed_in(&c, 1, 10), 0);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_PPS], 10);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_BPS], 1);
    world_end(&w);
}

TEST(a_user_shares_a_bit_rate_over_all_his_allocations_and_workers)
{
    struct world w;
    start(&w, (struct limits){.max_user_bps = 80000});
    world_second(&w);
    struct client a = come(&w, "198.18.0.1:5000", "ann"), b = client_at(&w, "198.18.0.2:5000", "ann"), c = come(&w, "198.18.0.3:1", "bob");
    b.engine = w.second;
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_permit(&b, PEER), 0);
    CHECK_INT(passed_in(&a, 100, 100), 100); /* 10,000 bytes */
    CHECK_INT(passed_in(&b, 100, 100), 0);
    CHECK_INT(passed_in(&c, 100, 100), 100); /* another user */
    CHECK_INT(passed_out(&a, 60, 100), 60);  /* another direction */
    CHECK_INT(passed_in(&a, 1, 100), 0);
    world_skip(&w, 500);
    CHECK_INT(passed_in(&b, 30, 100) + passed_in(&a, 30, 100), 50);
    CHECK_INT(engine_counts(w.second)->paced[PACE_USER_BPS], 100);
    world_end(&w);
}

TEST(the_last_allocation_says_how_much_its_user_may_relay)
{
    struct world w;
    start(&w, (struct limits){.max_user_bps = 8000});
    struct client a = come(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(passed_in(&a, 20, 100), 10);
    given.max_user_bps = 80000;
    come(&w, "198.18.0.2:5000", "ann");
    world_skip(&w, 1000);
    CHECK_INT(passed_in(&a, 200, 100), 100);
    world_end(&w);
}

static void configured(struct engine_config *config, struct world *w)
{
    (void)w;
    config->max_pps = 7;
    config->max_new_peers = 3;
    config->max_user_bps = 8000;
    config->max_channels = 1;
}

TEST(the_configuration_limits_who_has_no_policy_and_the_strictest_counts)
{
    struct world w;
    world_start(&w, configured);
    struct client a = come(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(passed_in(&a, 20, 1), 7);
    world_answer(&w, HOOK_authorize, allow);
    given = (struct limits){.max_pps = 5, .max_new_peers = 100, .max_user_bps = 100000, .max_channels = 10};
    struct client b = come(&w, "198.18.0.2:5000", "bob");
    CHECK_INT(passed_in(&b, 20, 1), 5);
    const struct limits *limits = engine_allocation_at(w.engine, 1)->limits;
    CHECK_INT(limits->max_new_peers, 3);
    CHECK_INT(limits->max_user_bps, 8000);
    CHECK_INT(client_bind(&b, 0x4000, PEER), 0);
    CHECK_INT(client_bind(&b, 0x4001, PEER_IP ":9"), STUN_CAPACITY);
    world_end(&w);
}

TEST(a_lower_rate_can_be_set_while_it_runs_beside_packets_a_second)
{
    struct world w;
    start(&w, (struct limits){.max_pps = 20});
    struct client a = come(&w, "198.18.0.1:5000", "ann");
    CHECK(engine_limit(w.engine, engine_allocation_at(w.engine, 0)->self, 8000, w.now));
    world_skip(&w, 2000);
    CHECK_INT(passed_in(&a, 20, 100), 10);
    CHECK(engine_limit(w.engine, engine_allocation_at(w.engine, 0)->self, 0, w.now));
    world_skip(&w, 2000);
    CHECK_INT(passed_in(&a, 30, 100), 20);
    world_end(&w);
}

/* ---- new peers ---- */

static int permit_n(struct client *c, int n)
{
    char peer[32];
    snprintf(peer, sizeof peer, "9.9.%d.%d:1", n / 250, 1 + n % 250);
    return client_permit(c, peer);
}

TEST(so_many_peers_are_new_in_a_second_and_known_ones_are_not_counted)
{
    struct world w;
    start(&w, (struct limits){.max_new_peers = 4});
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(permit_n(&c, i), 0);
    CHECK_INT(permit_n(&c, 4), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_new_peers");
    CHECK_INT(client_bind(&c, 0x4000, "9.9.0.77:1"), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_new_peers");
    for (int i = 0; i < 20; i++)
        CHECK_INT(permit_n(&c, i % 4), 0);
    CHECK_INT(client_bind(&c, 0x4000, "9.9.0.1:1"), 0); /* it has a permission */
    world_skip(&w, 250);
    CHECK_INT(permit_n(&c, 4), 0);
    CHECK_INT(permit_n(&c, 5), STUN_CAPACITY);
    world_end(&w);
}

TEST(a_peer_that_is_not_granted_after_all_is_not_counted)
{
    struct world w;
    start(&w, (struct limits){.max_new_peers = 2, .max_channels = 1});
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    for (int i = 0; i < 20; i++) {
        client_begin(&c, METHOD_CREATE_PERMISSION);
        client_peer(&c, "9.9.9.1:1");
        client_peer(&c, "10.1.1.1:1");
        CHECK_INT(client_call(&c), STUN_FORBIDDEN);
    }
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.1:1"), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(client_bind(&c, 0x4001, "9.9.9.2:1"), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_channels");
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(client_permit(&c, "9.9.9.3:1"), STUN_CAPACITY);
    world_end(&w);
}

TEST(a_retransmission_takes_no_second_peer)
{
    struct world w;
    start(&w, (struct limits){.max_new_peers = 2});
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_permit(&c, "9.9.9.1:1"), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(client_resend(&c), 0);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(client_permit(&c, "9.9.9.3:1"), STUN_CAPACITY);
    world_end(&w);
}

TEST(connections_of_a_tcp_allocation_are_new_peers)
{
    struct world w;
    start(&w, (struct limits){.max_new_peers = 2});
    struct client c = client_over_tcp(&w);
    CHECK_INT(client_allocate_tcp(&c), 0);
    CHECK_INT(client_connect(&c, "9.9.9.1:80"), NO_ANSWER);
    CHECK_INT(client_connect(&c, "10.0.0.1:80"), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&c, "9.9.9.1:81"), NO_ANSWER);
    CHECK_INT(client_connect(&c, "9.9.9.1:82"), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_new_peers");
    world_skip(&w, 500);
    CHECK_INT(client_connect(&c, "9.9.9.1:82"), NO_ANSWER);
    world_end(&w);
}

TEST(a_tcp_allocation_reads_no_more_than_its_user_may_relay)
{
    struct world w;
    start(&w, (struct limits){.max_user_bps = 80000, .max_pps = 1});
    struct client c = client_over_tcp(&w);
    CHECK_INT(client_allocate_tcp(&c), 0);
    CHECK_INT(client_connect(&c, "9.9.9.1:80"), NO_ANSWER);
    const struct handle peer = w.conns[w.last_conn].peer;
    world_connected(&w, true);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 10000);
    engine_peer_moved(w.engine, peer, true, 9000, w.now);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 1000); /* packets do not count */
    CHECK_INT(engine_peer_room(w.engine, peer, false, w.now), 10000);
    engine_peer_moved(w.engine, peer, true, 6000, w.now);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now + 400), 0);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now + 600), 1000);
    world_end(&w);
}

TEST_LIST(RUN(so_many_packets_pass_a_second_each_way_whatever_their_size) RUN(what_one_limit_refuses_costs_nothing_of_the_other)
              RUN(a_user_shares_a_bit_rate_over_all_his_allocations_and_workers) RUN(the_last_allocation_says_how_much_its_user_may_relay)
                  RUN(the_configuration_limits_who_has_no_policy_and_the_strictest_counts)
                      RUN(a_lower_rate_can_be_set_while_it_runs_beside_packets_a_second)
                          RUN(so_many_peers_are_new_in_a_second_and_known_ones_are_not_counted)
                              RUN(a_peer_that_is_not_granted_after_all_is_not_counted) RUN(a_retransmission_takes_no_second_peer)
                                  RUN(connections_of_a_tcp_allocation_are_new_peers)
                                      RUN(a_tcp_allocation_reads_no_more_than_its_user_may_relay))
