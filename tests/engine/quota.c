/* quota.c: quotas and limits, of the configuration and of the policy: the strictest counts. RFC 8656 section 7.2, steps 10 and 11; POLICY
 * section 3.3. */
#include "world.h"

static void small_quotas(struct engine_config *config, struct world *w)
{
    (void)w;
    config->total_quota = 5;
    config->user_quota = 3;
}

static int open_for(struct world *w, int n, const char *user, struct client *c)
{
    *c = client_at(w, "198.18.0.1:5000", user);
    c->flow.client.port = (uint16_t)(1 + n);
    return client_allocate(c);
}

TEST(quotas_of_the_configuration_hold_and_say_which)
{
    struct world w;
    world_start(&w, small_quotas);
    struct client c[8];
    for (int i = 0; i < 3; i++)
        CHECK_INT(open_for(&w, i, "ann", &c[i]), 0);
    CHECK_INT(open_for(&w, 3, "ann", &c[3]), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "user_quota");
    CHECK_INT(open_for(&w, 4, "bob", &c[4]), 0);
    CHECK_INT(open_for(&w, 5, "bob", &c[5]), 0);
    CHECK_INT(open_for(&w, 6, "cleo", &c[6]), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "total_quota");
    CHECK_INT(client_refresh(&c[0], 0), 0);
    CHECK_INT(client_allocate(&c[6]), 0);
    world_end(&w);
}

TEST(the_strictest_quota_counts)
{
    struct world w;
    world_start(&w, small_quotas);
    w.verdict = (struct verdict){.kind = VERDICT_ALLOW, .limits = {.total_quota = 100, .user_quota = 100, .realm_quota = 2}};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c;
    CHECK_INT(open_for(&w, 0, "ann", &c), 0);
    CHECK_INT(open_for(&w, 1, "bob", &c), 0);
    CHECK_INT(open_for(&w, 2, "cleo", &c), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "realm_quota");
    w.verdict.limits = (struct limits){.total_quota = 100, .user_quota = 100};
    for (int i = 3; i < 6; i++)
        CHECK_INT(open_for(&w, i, i == 3 ? "ann" : i == 4 ? "bob" : "cleo", &c), 0);
    CHECK_INT(open_for(&w, 6, "cleo", &c), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "total_quota");
    w.verdict.limits = (struct limits){.user_quota = 2};
    CHECK_INT(open_for(&w, 7, "ann", &c), STUN_QUOTA);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "user_quota");
    world_end(&w);
}

TEST(a_refused_allocate_keeps_no_unit)
{
    struct world w;
    world_start(&w, small_quotas);
    struct client c;
    w.no_descriptors = true;
    for (int i = 0; i < 20; i++)
        CHECK_INT(open_for(&w, i, "ann", &c), STUN_CAPACITY);
    CHECK_INT(quota_total(w.shared.quota), 0);
    w.no_descriptors = false;
    CHECK_INT(open_for(&w, 30, "ann", &c), 0);
    CHECK_INT(quota_user(w.shared.quota, view_text(""), view_text("ann")), 1);
    world_end(&w);
}

TEST(limits_of_a_verdict_are_the_allocations)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){
        .kind = VERDICT_ALLOW, .limits = {.max_lifetime_s = 900, .max_permissions = 2, .max_channels = 1}, .labels.tags = "cc=DE"};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_u32(&c.build, ATTR_LIFETIME, 3600);
    CHECK_INT(client_call(&c), 0);
    CHECK_INT(c.lifetime_s, 900);
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 900);
    CHECK_INT(client_bind(&c, 0x4000, "9.9.9.1:1"), 0);
    CHECK_INT(client_bind(&c, 0x4001, "9.9.9.1:2"), STUN_CAPACITY);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(client_permit(&c, "9.9.9.3:1"), STUN_CAPACITY);
    CHECK_TEXT(engine_allocation_at(w.engine, 0)->tags, "cc=DE");
    world_end(&w);
}

TEST_LIST(RUN(quotas_of_the_configuration_hold_and_say_which) RUN(the_strictest_quota_counts) RUN(a_refused_allocate_keeps_no_unit)
          RUN(limits_of_a_verdict_are_the_allocations))
