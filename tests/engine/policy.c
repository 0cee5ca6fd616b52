/* policy.c: what hooks may answer and what becomes of it; events. POLICY sections 3.1 to 3.3. */
#include "turn/state.h"
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

/* ---- route ---- */

TEST(a_hook_that_nobody_answers_is_not_asked)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(client_refresh(&c, 600), 0);
    for (int hook = 0; hook < HOOK_COUNT; hook++)
        CHECK_INT(w.asked[hook], hook == HOOK_authenticate);
    world_end(&w);
}

TEST(route_chooses_tenant_and_realm)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_TENANT, .tenant = "acme", .realm = "acme.example"};
    world_answer(&w, HOOK_route, world_says);
    struct client c = fresh(&w, 0);
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_TEXT(c.realm, "acme.example");
    w.verdict.realm[0] = 0;
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_TEXT(c.realm, REALM);
    CHECK_INT(client_allocate(&c), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].tenant, "acme");
    const unsigned asked = w.asked[HOOK_route];
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_route], asked); /* an allocation knows its tenant */
    world_end(&w);
}

TEST(route_may_deny_or_redirect_before_any_challenge)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = verdict_deny(STUN_FORBIDDEN, "country");
    world_answer(&w, HOOK_route, world_says);
    struct client c = fresh(&w, 0);
    CHECK_INT(client_challenge(&c), STUN_FORBIDDEN);
    CHECK(!message_has(&c.reply, SLOT_NONCE) && !c.was_signed);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "country");
    CHECK_TEXT(w.told[EVENT_DENIED].by, "test.lua:7");
    w.verdict = (struct verdict){.kind = VERDICT_REDIRECT, .alternate.servers = {addr_of("20.0.0.6:3478")}};
    CHECK_INT(client_challenge(&c), STUN_TRY_ALTERNATE);
    const struct view where = message_attr(&c.reply, (enum attr_slot)SLOT_ALTERNATE_SERVER);
    CHECK_INT(where.len, 8);
    CHECK_BYTES(where.at, "\0\1\x0d\x96\x14\0\0\6", 8);
    CHECK(!message_has(&c.reply, SLOT_NONCE));
    w.verdict = (struct verdict){.kind = VERDICT_FAIL};
    CHECK_INT(client_challenge(&c), STUN_SERVER_ERROR);
    CHECK_INT(w.told[EVENT_POLICY_ERROR].count, 1);
    world_end(&w);
}

/* ---- authenticate ---- */

TEST(authenticate_may_deny)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_says);
    struct client c = fresh(&w, 0);
    w.verdict = verdict_deny(STUN_UNAUTHENTICATED, "expired 63 s ago");
    CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    CHECK(message_has(&c.reply, SLOT_NONCE));
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "expired 63 s ago");
    w.verdict = verdict_deny(STUN_FORBIDDEN, "banned");
    CHECK_INT(client_allocate(&c), STUN_FORBIDDEN);
    CHECK(!c.was_signed);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "banned");
    world_end(&w);
}

TEST(a_policy_that_fails_to_authenticate_is_500)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_says);
    w.verdict = (struct verdict){.kind = VERDICT_FAIL, .reason = "quota.lua:12: nil", .by = "quota.lua"};
    struct client c = fresh(&w, 0);
    CHECK_INT(client_allocate(&c), STUN_SERVER_ERROR);
    CHECK_TEXT(w.told[EVENT_POLICY_ERROR].reason, "quota.lua:12: nil");
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count, 0);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(verdicts_that_make_no_sense_fail_closed)
{
    static const struct {
        enum hook hook;
        struct verdict verdict;
    } nonsense[] = {
        {HOOK_route, {.kind = VERDICT_ALLOW}},
        {HOOK_route, {.kind = VERDICT_LATER}},
        {HOOK_route, {.kind = VERDICT_DENY, .code = STUN_QUOTA}},
        {HOOK_route, {.kind = VERDICT_REDIRECT}},
        {HOOK_authenticate, {.kind = VERDICT_ALLOW}},
        {HOOK_authenticate, {.kind = VERDICT_LOOKUP}},
        {HOOK_authenticate, {.kind = VERDICT_DENY, .code = 200}},
        {HOOK_authenticate, {.kind = VERDICT_KEY, .key_count = VERDICT_KEYS_MAX + 1}},
        {HOOK_authorize, {.kind = VERDICT_KEY}},
        {HOOK_authorize, {.kind = VERDICT_DENY, .code = STUN_MISMATCH}},
        {HOOK_authorize, {.kind = VERDICT_CLOSE}},
        {HOOK_authorize, {.kind = (enum verdict_kind)20}},
    };
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        struct world w;
        world_start(&w, NULL);
        w.verdict = nonsense[i].verdict;
        world_answer(&w, nonsense[i].hook, world_says);
        struct client c = fresh(&w, 0);
        CHECK_INT(client_allocate(&c), STUN_SERVER_ERROR);
        CHECK_INT(w.told[EVENT_POLICY_ERROR].count, 1);
        world_end(&w);
    }
}

/* ---- authorize ---- */

TEST(authorize_may_deny_with_its_codes)
{
    static const int codes[] = {STUN_FORBIDDEN, STUN_FAMILY_UNSUPPORTED, STUN_TRANSPORT_UNSUPPORTED, STUN_QUOTA, STUN_CAPACITY};
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_says);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct client c = fresh(&w, 0);
        w.verdict = verdict_deny(codes[i], "because");
        CHECK_INT(client_allocate(&c), codes[i]);
        CHECK(c.was_signed);
        CHECK_TEXT(w.told[EVENT_DENIED].reason, "because");
        CHECK_INT(w.told[EVENT_DENIED].code, codes[i]);
    }
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(authorize_may_redirect_signed)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_REDIRECT, .alternate.servers = {addr_of("[2a00:7::7]:443"), addr_of("20.0.0.7:443")}};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = fresh(&w, 0);
    CHECK_INT(client_allocate(&c), STUN_TRY_ALTERNATE);
    CHECK(c.was_signed);
    size_t cursor = 0;
    struct view first, second;
    CHECK(message_next(&c.reply, ATTR_ALTERNATE_SERVER, &cursor, &first) &&
          message_next(&c.reply, ATTR_ALTERNATE_SERVER, &cursor, &second));
    CHECK(first.len == 8 && second.len == 20); /* the client's family first */
    world_end(&w);
}

TEST(a_policy_that_fails_to_authorize_is_500_and_opens_nothing)
{
    struct world w;
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_FAIL};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = fresh(&w, 0);
    CHECK_INT(client_allocate(&c), STUN_SERVER_ERROR);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(engine_counts(w.engine)->policy_errors, 1);
    world_end(&w);
}

static void sees_request(struct world *w, const struct question *question, struct verdict *verdict)
{
    const struct request *request = question->request;
    (void)w;
    (void)verdict;
    CHECK_TEXT(request->user, "ann");
    CHECK_TEXT(request->tenant, "");
    CHECK_TEXT(request->realm, REALM);
    CHECK(view_equal(request->username, view_text("ann")));
    CHECK_INT(request->family, ADDR_IPV4);
    CHECK_INT(request->protocol, 17);
    CHECK_INT(request->lifetime_s, 777);
    CHECK(request->even_port && !request->has_reservation);
    CHECK_INT(request->message->method, METHOD_ALLOCATE);
    CHECK_INT(question->unix_ms, START_UNIX_MS);
    CHECK_INT(request->flow->link, 7);
}

TEST(authorize_sees_the_request)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, sees_request);
    struct client c = fresh(&w, 0);
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    client_byte(&c, ATTR_REQUESTED_ADDRESS_FAMILY, 1);
    build_attr(&c.build, ATTR_EVEN_PORT, view_text("\x80"));
    build_attr_u32(&c.build, ATTR_LIFETIME, 777);
    CHECK_INT(client_call(&c), 0);
    CHECK_INT(w.asked[HOOK_authorize], 1);
    world_end(&w);
}

TEST(a_request_that_core_refuses_is_not_shown_to_the_policy)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = fresh(&w, 0);
    client_begin(&c, METHOD_ALLOCATE);
    CHECK_INT(client_call(&c), STUN_BAD_REQUEST);
    CHECK_INT(w.asked[HOOK_authorize], 0);
    world_end(&w);
}

/* ---- permission, channel ---- */

TEST(permission_is_asked_once_while_it_lives)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    CHECK_INT(client_refresh(&c, 3600), 0);
    world_answer(&w, HOOK_permission, world_says);
    for (int i = 0; i < 3; i++)
        CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(w.asked[HOOK_permission], 1);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(w.asked[HOOK_permission], 2);
    world_pass(&w, 300000);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(w.asked[HOOK_permission], 3);
    world_end(&w);
}

TEST(permission_may_deny_and_fails_closed)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_permission, world_says);
    w.verdict = verdict_deny(STUN_FORBIDDEN, "not in fleet");
    CHECK_INT(client_permit(&c, PEER), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_PERMISSION].reason, "not in fleet");
    w.verdict = verdict_deny(STUN_PEER_FAMILY_MISMATCH, "");
    CHECK_INT(client_bind(&c, 0x4000, PEER), STUN_PEER_FAMILY_MISMATCH);
    w.verdict = (struct verdict){.kind = VERDICT_FAIL};
    CHECK_INT(client_permit(&c, PEER), STUN_FORBIDDEN);
    w.verdict = (struct verdict){.kind = VERDICT_LATER};
    CHECK_INT(client_permit(&c, PEER), STUN_FORBIDDEN);
    CHECK_INT(w.told[EVENT_POLICY_ERROR].count, 2);
    CHECK_INT(engine_allocation_at(w.engine, 0)->permissions, 0);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_NOTHING);
    world_end(&w);
}

TEST(an_acl_is_granted_in_c_and_the_rest_asked_or_refused)
{
    struct world w;
    struct cidr_range range;
    struct cidr_set acl;
    cidr_init(&acl);
    CHECK_INT(cidr_parse(view_text("9.9.9.0/24"), &range), 0);
    CHECK_INT(cidr_add(&acl, &range), 0);
    cidr_seal(&acl);
    world_start(&w, NULL);
    w.verdict = (struct verdict){.kind = VERDICT_ALLOW, .limits = {.acl = &acl}};
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = held(&w);
    CHECK_INT(client_permit(&c, "9.9.9.1:1"), 0);
    CHECK_INT(client_permit(&c, "9.9.8.1:1"), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_PERMISSION].reason, "permission_acl");
    w.verdict = (struct verdict){0};
    world_answer(&w, HOOK_permission, world_says);
    CHECK_INT(client_permit(&c, "9.9.8.1:1"), 0);
    CHECK_INT(client_permit(&c, "9.9.9.2:1"), 0);
    CHECK_INT(w.asked[HOOK_permission], 1);
    CHECK_INT(client_permit(&c, "10.0.0.1:1"), STUN_FORBIDDEN); /* no list opens what the core denies */
    CHECK_INT(w.asked[HOOK_permission], 1);
    world_end(&w);
    cidr_close(&acl);
}

TEST(channel_is_asked_for_a_new_binding_and_may_deny)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_channel, world_says);
    w.verdict = verdict_deny(STUN_FORBIDDEN, "no channels");
    CHECK_INT(client_bind(&c, 0x4000, PEER), STUN_FORBIDDEN);
    CHECK_INT(client_says_to(&c, PEER, 1).to, SEND_NOTHING);
    w.verdict = (struct verdict){.kind = VERDICT_FAIL};
    CHECK_INT(client_bind(&c, 0x4000, PEER), STUN_FORBIDDEN);
    w.verdict = (struct verdict){0};
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(w.asked[HOOK_channel], 3);
    world_end(&w);
}

/* ---- refresh ---- */

TEST(refresh_may_be_denied_and_the_allocation_lives_on)
{
    static const int codes[] = {STUN_FORBIDDEN, STUN_QUOTA, STUN_CAPACITY};
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_refresh, world_says);
    for (size_t i = 0; i < 3; i++) {
        w.verdict = verdict_deny(codes[i], "cap");
        CHECK_INT(client_refresh(&c, 600), codes[i]);
    }
    CHECK_INT(engine_allocations(w.engine), 1);
    world_pass(&w, 600000);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(refresh_may_shorten_what_is_granted)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_refresh, world_says);
    w.verdict = (struct verdict){.kind = VERDICT_ALLOW, .limits = {.max_lifetime_s = 60}};
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 60);
    w.verdict = (struct verdict){0};
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 3600);
    world_end(&w);
}

TEST(a_policy_that_fails_at_refresh_drops_no_call)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_refresh, world_says);
    w.verdict = (struct verdict){.kind = VERDICT_FAIL, .reason = "boom"};
    CHECK_INT(client_refresh(&c, 3600), 0);
    CHECK_INT(c.lifetime_s, 600);
    CHECK_TEXT(w.told[EVENT_POLICY_ERROR].reason, "boom");
    world_end(&w);
}

TEST(refresh_may_ask_for_the_key_again)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    world_answer(&w, HOOK_refresh, world_says);
    w.verdict = (struct verdict){.kind = VERDICT_REAUTH};
    client_begin(&c, METHOD_REFRESH);
    CHECK_INT(client_send(&c), STUN_STALE_NONCE);
    CHECK(c.was_signed);
    w.verdict = (struct verdict){0};
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 2);
    world_end(&w);
}

TEST(decision_ids_differ_and_name_one_request)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    const uint64_t first = w.told[EVENT_ALLOCATED].decision;
    CHECK_INT(client_permit(&c, "10.0.0.1:1"), STUN_FORBIDDEN);
    CHECK(w.told[EVENT_DENIED].decision == w.told[EVENT_PERMISSION].decision);
    CHECK(w.told[EVENT_DENIED].decision != first);
    for (int type = EVENT_ALLOCATED; type <= EVENT_POLICY_ERROR; type++)
        CHECK(strlen(event_name((enum event_type)type)) > 0);
    world_end(&w);
}

TEST(what_ends_an_allocation_is_told_with_its_decision)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = held(&w);
    const struct handle self = engine_allocation_at(w.engine, 0)->self;
    CHECK(engine_close(w.engine, self, &(struct verdict){.kind = VERDICT_CLOSE, .decision = 77, .reason = "r", .by = "p.lua:1"}, w.now));
    CHECK_INT(w.told[EVENT_CLOSED].decision, 77);
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_refresh(&c, 0), 0);
    CHECK(w.told[EVENT_CLOSED].decision != 77 && w.told[EVENT_CLOSED].decision != 0);
    world_end(&w);
}

TEST_LIST(

    RUN(a_hook_that_nobody_answers_is_not_asked) RUN(route_chooses_tenant_and_realm) RUN(route_may_deny_or_redirect_before_any_challenge)
        RUN(authenticate_may_deny) RUN(a_policy_that_fails_to_authenticate_is_500) RUN(verdicts_that_make_no_sense_fail_closed)

            RUN(authorize_may_deny_with_its_codes) RUN(authorize_may_redirect_signed)
                RUN(a_policy_that_fails_to_authorize_is_500_and_opens_nothing) RUN(authorize_sees_the_request)
                    RUN(a_request_that_core_refuses_is_not_shown_to_the_policy) RUN(permission_is_asked_once_while_it_lives)
                        RUN(permission_may_deny_and_fails_closed) RUN(an_acl_is_granted_in_c_and_the_rest_asked_or_refused)
                            RUN(channel_is_asked_for_a_new_binding_and_may_deny) RUN(refresh_may_be_denied_and_the_allocation_lives_on)
                                RUN(refresh_may_shorten_what_is_granted) RUN(a_policy_that_fails_at_refresh_drops_no_call)
                                    RUN(refresh_may_ask_for_the_key_again) RUN(decision_ids_differ_and_name_one_request)
                                        RUN(what_ends_an_allocation_is_told_with_its_decision))
