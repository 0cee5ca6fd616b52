/* expiry.c: what becomes of an allocation when its key expires: it keeps it, is asked anew, or ends. */
#include "world.h"

static struct client fresh(struct world *w, int n)
{
    struct client c = client_at(w, "198.18.0.1:5000", "ann");
    c.flow.client.port = (uint16_t)(1 + n);
    return c;
}

static struct client held(struct world *w)
{
    struct client c = fresh(w, 0);
    CHECK_INT(client_allocate(&c), 0);
    return c;
}

static int64_t key_expires;

static void expiring(struct world *w, const struct question *question, struct verdict *verdict, enum on_expiry on_expiry)
{
    world_key(w, question, verdict);
    verdict->expires_unix_s = key_expires;
    verdict->on_expiry = on_expiry;
}

static void keeps(struct world *w, const struct question *question, struct verdict *verdict)
{
    expiring(w, question, verdict, ON_EXPIRY_KEEP);
}

static void asks_again(struct world *w, const struct question *question, struct verdict *verdict)
{
    expiring(w, question, verdict, ON_EXPIRY_REAUTH);
}

TEST(an_expired_key_does_not_open_an_allocation)
{
    struct world w;
    world_start(&w, NULL);
    key_expires = START_UNIX_MS / 1000;
    world_answer(&w, HOOK_authenticate, keeps);
    struct client c = fresh(&w, 0);
    CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "expired");
    key_expires++;
    CHECK_INT(client_allocate(&c), 0);
    world_end(&w);
}

TEST(a_running_call_keeps_an_expired_key)
{
    struct world w;
    world_start(&w, NULL);
    key_expires = START_UNIX_MS / 1000 + 100;
    world_answer(&w, HOOK_authenticate, keeps);
    struct client c = held(&w);
    world_pass(&w, 500000);
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    world_end(&w);
}

static void ends(struct world *w, const struct question *question, struct verdict *verdict)
{
    expiring(w, question, verdict, ON_EXPIRY_STRICT);
}

static void ends_at_its_key(struct world *w)
{
    world_pass(w, 300);
    key_expires = START_UNIX_MS / 1000 + 100;
    struct client c = held(w);
    CHECK_INT(c.lifetime_s, 99);
    world_pass(w, 50000);
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 49);
    world_pass(w, 49500);
    CHECK_INT(engine_allocations(w->engine), 1);
    CHECK_INT(client_refresh(&c, 3600), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w->told[EVENT_AUTH_FAILED].reason, "expired");
    CHECK_INT(engine_allocations(w->engine), 1);
    world_pass(w, 700);
    CHECK_INT(engine_allocations(w->engine), 0);
    CHECK_TEXT(w->told[EVENT_CLOSED].reason, "credential_expired");
    CHECK_TEXT(w->told[EVENT_CLOSED].by, "core");
    CHECK_INT(client_refresh(&c, 600), STUN_UNAUTHENTICATED);
}

TEST(a_strict_key_ends_its_allocation_when_it_expires)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, ends);
    ends_at_its_key(&w);
    world_end(&w);
}

static void strict(struct engine_config *config, struct world *w)
{
    (void)w;
    config->strict_expiry = true;
}

TEST(a_strict_configuration_ends_what_a_policy_would_keep)
{
    struct world w;
    world_start(&w, strict);
    world_answer(&w, HOOK_authenticate, keeps);
    ends_at_its_key(&w);
    key_expires = 0;
    struct client c = fresh(&w, 7);
    CHECK_INT(client_allocate(&c), 0); /* a key without an end */
    CHECK_INT(c.lifetime_s, 600);
    world_end(&w);
}

TEST(strict_limits_end_an_allocation_with_its_key)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_ALLOW, .limits.is_strict = true};
    world_answer(&w, HOOK_authenticate, keeps);
    world_answer(&w, HOOK_authorize, world_says);
    ends_at_its_key(&w);
    world_end(&w);
}

TEST(an_allocation_that_is_not_refreshed_expires_as_ever)
{
    struct world w;
    world_start(&w, strict);
    world_answer(&w, HOOK_authenticate, keeps);
    key_expires = START_UNIX_MS / 1000 + 5000;
    held(&w);
    world_pass(&w, 601000);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_TEXT(w.told[EVENT_CLOSED].reason, "expired");
    world_end(&w);
}

TEST(a_key_with_reauth_is_asked_for_again_after_438)
{
    struct world w;
    world_start(&w, NULL);
    key_expires = START_UNIX_MS / 1000 + 100;
    world_answer(&w, HOOK_authenticate, asks_again);
    struct client c = held(&w);
    world_pass(&w, 99999);
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    world_pass(&w, 1);
    client_begin(&c, METHOD_REFRESH);
    CHECK_INT(client_send(&c), STUN_STALE_NONCE);
    key_expires += 100;
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 2);
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 2);
    world_pass(&w, 100000);
    CHECK_INT(client_refresh(&c, 600), STUN_UNAUTHENTICATED); /* the policy gives the same expired key */
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST_LIST(RUN(an_expired_key_does_not_open_an_allocation) RUN(a_running_call_keeps_an_expired_key)
              RUN(a_strict_key_ends_its_allocation_when_it_expires) RUN(a_strict_configuration_ends_what_a_policy_would_keep)
                  RUN(strict_limits_end_an_allocation_with_its_key) RUN(an_allocation_that_is_not_refreshed_expires_as_ever)
                      RUN(a_key_with_reauth_is_asked_for_again_after_438))
