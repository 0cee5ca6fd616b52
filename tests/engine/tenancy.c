/* tenancy.c: limits of a tenant, on allocations that live: of all workers together, changed up and down, active ones, the month, and the end. */
#include "ledger/tenants.h"
#include "turn/pace.h"
#include "world.h"

#define THROTTLED 64000

static void tell(struct world *w, struct tenant_limits limits)
{
    static uint64_t stamp = 1;
    const struct tenant_news news = {.limits = limits, .stamp = ++stamp, .month = tenant_month(START_UNIX_MS)};
    CHECK(tenants_tell(w->shared.tenants, view_text(REALM), &news));
    engine_follow(w->engine, w->now);
    if (w->second)
        engine_follow(w->second, w->now);
}

static struct client come(struct world *w, struct engine *engine, int n)
{
    static const char *const users[] = {"ann", "bob", "cleo"};
    struct client c = client_at(w, "198.18.0.1:5000", users[n % 3]);
    c.flow.client.port = (uint16_t)(5000 + n);
    c.engine = engine;
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    return c;
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

static const struct tenant *entry(const struct world *w)
{
    return tenants_at(w->shared.tenants, 0);
}

TEST(bits_and_packets_of_a_tenant_are_shared_by_its_allocations_on_all_workers)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    tell(&w, (struct tenant_limits){.tenant_bps = 80000, .tenant_pps = 1000});
    struct client a = come(&w, w.engine, 0), b = come(&w, w.second, 1);
    CHECK_INT(passed_in(&a, 60, 100) + passed_in(&b, 60, 100), 100); /* 10,000 bytes */
    CHECK_INT(passed_out(&b, 60, 100) + passed_out(&a, 60, 100), 100);
    world_skip(&w, 100);
    CHECK_INT(passed_in(&b, 60, 100) + passed_in(&a, 60, 100), 10);
    CHECK_INT(entry(&w)->counts[TENANT_DROPPED_BPS], 20 + 20 + 110);
    tell(&w, (struct tenant_limits){.tenant_pps = 32});
    world_skip(&w, 5000);
    CHECK_INT(passed_in(&a, 20, 1000) + passed_in(&b, 20, 1), 32);
    CHECK_INT(entry(&w)->counts[TENANT_DROPPED_PPS], 8);
    CHECK_INT(engine_counts(w.second)->paced[PACE_TENANT_PPS], 8);
    world_end(&w);
}

TEST(what_one_limit_refuses_takes_nothing_of_another)
{
    struct world w;
    world_start(&w, NULL);
    tell(&w, (struct tenant_limits){.tenant_bps = 80000, .tenant_pps = 1000});
    struct client a = come(&w, w.engine, 0), b = come(&w, w.engine, 1);
    CHECK(engine_limit(w.engine, engine_allocation_at(w.engine, 0)->self, 8000, w.now));
    world_skip(&w, 1000);
    CHECK_INT(passed_in(&a, 100, 100), 10); /* its own 1,000 bytes */
    CHECK_INT(passed_in(&b, 100, 100), 90);
    world_end(&w);
}

TEST(limits_reach_allocations_that_live_up_and_down)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = come(&w, w.engine, 0);
    const struct allocation *allocation = engine_allocation_at(w.engine, 0);
    CHECK_INT(passed_in(&c, 300, 1000), 300);
    CHECK(!allocation->pace);
    tell(&w, (struct tenant_limits){.max_bps = 80000, .max_permissions = 1, .max_channels = 1, .max_pps = 500});
    CHECK_INT(allocation->limits->max_bps, 80000);
    CHECK_INT(passed_in(&c, 300, 1000), 10);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), STUN_CAPACITY);
    tell(&w, (struct tenant_limits){.max_bps = 800000, .max_permissions = 2});
    world_skip(&w, 1000);
    CHECK_INT(passed_in(&c, 300, 1000), 100);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    tell(&w, (struct tenant_limits){0});
    CHECK_INT(passed_in(&c, 300, 1000), 300);
    CHECK_INT(allocation->limits->max_bps, 0);
    world_end(&w);
}

static void allow_little(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    (void)question;
    *verdict = (struct verdict){.kind = VERDICT_ALLOW, .limits = {.max_bps = 40000}};
}

TEST(a_policy_grants_no_more_than_the_tenant_and_the_tenant_no_more_than_the_policy)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, allow_little);
    tell(&w, (struct tenant_limits){.max_bps = 80000});
    struct client c = come(&w, w.engine, 0);
    const struct allocation *allocation = engine_allocation_at(w.engine, 0);
    CHECK_INT(allocation->limits->max_bps, 40000);
    tell(&w, (struct tenant_limits){.max_bps = 8000});
    CHECK_INT(allocation->limits->max_bps, 8000);
    CHECK(engine_limit(w.engine, allocation->self, 16000, w.now)); /* as the usage hook */
    CHECK_INT(allocation->limits->max_bps, 8000);
    tell(&w, (struct tenant_limits){0});
    CHECK_INT(allocation->limits->max_bps, 16000);
    CHECK(engine_limit(w.engine, allocation->self, 0, w.now));
    CHECK_INT(allocation->limits->max_bps, 40000);
    CHECK_INT(client_refresh(&c, 0), 0);
    world_end(&w);
}

TEST(allocations_of_a_tenant_that_is_disabled_end_and_give_all_back)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = come(&w, w.engine, 0);
    come(&w, w.second, 1);
    CHECK_INT(entry(&w)->held, 2);
    tell(&w, (struct tenant_limits){.is_disabled = 1});
    CHECK_INT(w.told[EVENT_CLOSED].count, 2);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "tenant_disabled");
    CHECK_INT(entry(&w)->held, 0);
    CHECK_INT(client_allocate(&a), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "tenant_disabled");
    CHECK_INT(entry(&w)->held, 0);
    tell(&w, (struct tenant_limits){0});
    CHECK_INT(client_allocate(&a), 0);
    world_end(&w);
}

TEST(a_tenant_that_becomes_strict_loses_allocations_with_their_credentials)
{
    struct world w;
    world_start(&w, NULL);
    come(&w, w.engine, 0);
    tell(&w, (struct tenant_limits){.is_strict = 1}); /* ann's password has no end */
    world_pass(&w, 60000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(as_many_are_active_as_may_be_and_who_rests_makes_room)
{
    struct world w;
    world_start(&w, NULL);
    world_second(&w);
    struct client a = come(&w, w.engine, 0), b = come(&w, w.second, 1), c = come(&w, w.engine, 2);
    tell(&w, (struct tenant_limits){.max_active = 2});
    CHECK_INT(entry(&w)->active, 0);
    CHECK_INT(passed_in(&a, 2, 10) + passed_out(&b, 2, 10), 4);
    CHECK_INT(entry(&w)->active, 2);
    CHECK_INT(passed_in(&c, 2, 10) + passed_out(&c, 2, 10), 0);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_ACTIVE], 4);
    CHECK_INT(entry(&w)->counts[TENANT_DROPPED_ACTIVE], 4);
    struct client d = client_at(&w, "198.18.0.4:1", "ann");
    CHECK_INT(client_allocate(&d), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_active");
    for (int i = 0; i < 12; i++) { /* b goes on, a rests */
        world_pass(&w, 1000);
        CHECK_INT(passed_out(&b, 1, 10), 1);
    }
    CHECK_INT(entry(&w)->active, 1);
    CHECK_INT(passed_in(&c, 1, 10), 1);
    CHECK_INT(passed_in(&a, 1, 10), 0);
    CHECK_INT(client_refresh(&c, 0), 0);
    CHECK_INT(entry(&w)->active, 1);
    CHECK_INT(passed_in(&a, 1, 10), 1);
    world_end(&w);
}

static void nothing(void *ctx, const struct allocation *allocation, const struct usage *delta)
{
    (void)ctx;
    (void)allocation;
    (void)delta;
}

TEST(without_a_limit_it_is_seen_by_the_usage_who_is_active)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = come(&w, w.engine, 0);
    come(&w, w.engine, 1);
    CHECK_INT(passed_in(&a, 1, 10), 1);
    engine_usage(w.engine, nothing, NULL, w.now);
    CHECK_INT(entry(&w)->active, 1);
    world_pass(&w, 9000);
    CHECK_INT(entry(&w)->active, 1);
    world_pass(&w, 1000);
    CHECK_INT(entry(&w)->active, 0);
    world_end(&w);
}

static void use_up(struct world *w, enum month_action action)
{
    tell(w, (struct tenant_limits){.month_bytes = 1000, .month_action = action, .max_bps = 1000000});
    struct tenant *tenant = tenants_at(w->shared.tenants, 0);
    tenant_month_add(w->shared.tenants, tenant, tenant_month(START_UNIX_MS), 1000);
    tenant_raise(w->shared.tenants, tenant); /* main's */
    engine_follow(w->engine, w->now);
}

TEST(the_end_of_the_months_bytes_throttles_or_ends_or_is_only_told)
{
    static const enum month_action actions[] = {MONTH_NOTIFY, MONTH_THROTTLE, MONTH_DISABLE};
    for (size_t i = 0; i < 3; i++) {
        struct world w;
        world_start(&w, NULL);
        struct client a = come(&w, w.engine, 0), b = client_at(&w, "198.18.0.4:1", "bob");
        use_up(&w, actions[i]);
        const struct allocation *allocation = engine_allocation_at(w.engine, 0);
        CHECK_INT(engine_allocations(w.engine), actions[i] == MONTH_DISABLE ? 0 : 1);
        if (allocation)
            CHECK_INT(allocation->limits->max_bps, actions[i] == MONTH_THROTTLE ? THROTTLED : 1000000);
        else
            CHECK_TEXT(w.told[EVENT_CLOSED].reason, "month_bytes");
        CHECK_INT(client_allocate(&b), actions[i] == MONTH_DISABLE ? STUN_QUOTA : 0);
        if (actions[i] == MONTH_DISABLE)
            CHECK_TEXT(w.told[EVENT_DENIED].reason, "month_bytes");
        else
            CHECK(passed_in(&a, 1, 10) == 1);
        world_end(&w);
    }
}

TEST(quotas_of_the_tenant_count_and_a_retransmission_takes_nothing)
{
    struct world w;
    world_start(&w, NULL);
    tell(&w, (struct tenant_limits){.max_allocations = 2, .max_user_allocations = 1, .max_lifetime_s = 30});
    struct client a = come(&w, w.engine, 0), again = client_at(&w, "198.18.0.9:1", "ann"), b = client_at(&w, "198.18.0.9:2", "bob");
    CHECK_INT(a.lifetime_s, 30);
    CHECK_INT(client_allocate(&again), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "user_quota");
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_resend(&b), 0);
    world_pass(&w, 50000); /* the answer is forgotten: it is answered again of the allocation */
    struct client c = client_at(&w, "198.18.0.9:3", "cleo");
    CHECK_INT(entry(&w)->held, 0); /* they have expired */
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_allocate(&b), 0);
    CHECK_INT(client_allocate(&again), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "realm_quota");
    CHECK_INT(entry(&w)->held, 2);
    world_end(&w);
}

static void with_capacity(struct engine_config *config, struct world *w)
{
    static struct rate_pair server;
    (void)config;
    server = (struct rate_pair){.most = 80000};
    w->shared.server = &server;
}

TEST(the_servers_capacity_is_for_all_tenants_together)
{
    struct world w;
    world_start(&w, with_capacity);
    world_second(&w);
    struct client a = come(&w, w.engine, 0), b = come(&w, w.second, 1);
    CHECK_INT(passed_in(&a, 70, 100) + passed_in(&b, 70, 100), 100);
    CHECK_INT(engine_counts(w.engine)->paced[PACE_SERVER_BPS] + engine_counts(w.second)->paced[PACE_SERVER_BPS], 40);
    CHECK_INT(entry(&w)->counts[TENANT_DROPPED_SERVER], 40);
    world_end(&w);
}

TEST(connections_to_peers_of_tcp_allocations_share_the_tenants_rate)
{
    struct world w;
    struct client c = world_with_tcp(&w);
    CHECK_INT(client_permit(&c, PEER), 0);
    tell(&w, (struct tenant_limits){.tenant_bps = 80000, .max_active = 1});
    CHECK_INT(client_connect(&c, PEER), NO_ANSWER);
    CHECK_INT(client_take(&c, world_connected(&w, true)), 0);
    struct client data = client_data(&c, 6000);
    CHECK_INT(client_bind_connection(&data, c.connection_id), 0);
    const struct handle peer = w.conns[w.last_conn].peer;
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 10000);
    CHECK_INT(entry(&w)->active, 1);
    engine_peer_moved(w.engine, peer, true, 9000, w.now);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 1000);
    CHECK_INT(engine_peer_room(w.engine, peer, false, w.now), 10000);
    tell(&w, (struct tenant_limits){.tenant_bps = 80000, .max_active = 1, .is_disabled = 1});
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST_LIST(RUN(bits_and_packets_of_a_tenant_are_shared_by_its_allocations_on_all_workers) RUN(what_one_limit_refuses_takes_nothing_of_another)
              RUN(limits_reach_allocations_that_live_up_and_down)
                  RUN(a_policy_grants_no_more_than_the_tenant_and_the_tenant_no_more_than_the_policy)
                      RUN(allocations_of_a_tenant_that_is_disabled_end_and_give_all_back)
                          RUN(a_tenant_that_becomes_strict_loses_allocations_with_their_credentials)
                              RUN(as_many_are_active_as_may_be_and_who_rests_makes_room) RUN(without_a_limit_it_is_seen_by_the_usage_who_is_active)
                                  RUN(the_end_of_the_months_bytes_throttles_or_ends_or_is_only_told)
                                      RUN(quotas_of_the_tenant_count_and_a_retransmission_takes_nothing)
                                          RUN(the_servers_capacity_is_for_all_tenants_together)
                                              RUN(connections_to_peers_of_tcp_allocations_share_the_tenants_rate))
