/* drain.c: an engine that is to end: who is there goes on until then, nobody else comes in. */
#include "world.h"

#define V4 "198.18.0.1:5000"
#define OTHER "198.18.0.2:5000"

static struct alternate sibling;

static void with_sibling(struct engine_config *config, struct world *w)
{
    (void)w;
    sibling = (struct alternate){.servers = {addr_of("20.0.0.6:3478")}};
    config->siblings[TRANSPORT_UDP] = (struct alternates){.items = &sibling, .count = 1};
}

TEST(a_new_allocate_is_508_and_who_has_one_goes_on)
{
    struct world w;
    world_start(&w, NULL);
    struct client ann = client_at(&w, V4, "ann"), bob = client_at(&w, OTHER, "bob");
    CHECK_INT(client_allocate(&ann), 0);
    engine_drain(w.engine, INT64_MAX);
    CHECK_INT(client_allocate(&bob), STUN_CAPACITY);
    CHECK(bob.was_signed);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "draining");
    CHECK_INT(client_permit(&ann, PEER), 0);
    CHECK_INT(client_refresh(&ann, 3600), 0);
    CHECK_INT(ann.lifetime_s, 3600);
    engine_drain(w.engine, 0);
    CHECK_INT(client_allocate(&bob), 0);
    world_end(&w);
}

TEST(with_a_sibling_it_is_300_before_the_challenge)
{
    struct world w;
    world_start(&w, with_sibling);
    struct client c = client_at(&w, V4, "ann"), tcp = client_over(&w, TRANSPORT_TCP, OTHER, SERVER_V4, "bob");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    engine_drain(w.engine, w.now + 60000);
    CHECK_INT(client_allocate(&c), STUN_TRY_ALTERNATE);
    CHECK(c.was_signed && message_has(&c.reply, SLOT_ALTERNATE_SERVER));
    c.nonce[0] = 0;
    client_begin(&c, METHOD_ALLOCATE);
    CHECK_INT(client_send(&c), STUN_TRY_ALTERNATE);
    CHECK_INT(client_allocate(&tcp), STUN_CAPACITY);
    world_end(&w);
}

TEST(no_lifetime_goes_past_the_end)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), 0);
    const msec_t end = w.now + 900500;
    engine_drain(w.engine, end);
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 900);
    world_skip(&w, end - w.now - 800);
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 1); /* 0 would say that it is gone */
    engine_drain(w.engine, 0);
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 3600);
    world_end(&w);
}

TEST(an_allocate_that_waits_when_it_begins_is_refused)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    engine_drain(w.engine, INT64_MAX);
    const struct verdict allow = {.kind = VERDICT_ALLOW};
    CHECK_INT(client_take(&c, engine_resume(w.engine, w.ticket, &allow, w.now)), STUN_CAPACITY);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST_LIST(RUN(a_new_allocate_is_508_and_who_has_one_goes_on) RUN(with_a_sibling_it_is_300_before_the_challenge)
              RUN(no_lifetime_goes_past_the_end) RUN(an_allocate_that_waits_when_it_begins_is_refused))
