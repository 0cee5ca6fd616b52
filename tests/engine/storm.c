/* storm.c: whatever happens, in whatever order: units taken = live allocations, and in the end nothing is left. */
#include "turn/state.h"
#include "world.h"

#define CLIENTS 60
#define TICKETS 64

struct storm {
    struct world w; /* first: the hooks are given a pointer to it */
    struct client clients[CLIENTS];
    uint32_t turn; /* whose it is: for a dozen steps, so that something comes of them */
    struct ticket tickets[TICKETS];
    uint64_t tokens[8];
    uint64_t seed;
    unsigned answered[700]; /* by code */
};

static uint32_t dice(struct storm *s, uint32_t sides)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return (uint32_t)(s->seed >> 16) % sides;
}

static struct verdict mood(struct storm *s)
{
    switch (dice(s, 8)) {
        case 0:
            return verdict_deny(STUN_QUOTA, "storm");
        case 1:
            return (struct verdict){.kind = VERDICT_FAIL};
        case 2:
            return (struct verdict){.kind = VERDICT_LATER};
        case 3:
            return (struct verdict){.kind = VERDICT_CLOSE};
        case 4:
            return (struct verdict){.kind = VERDICT_ALLOW, .limits = {.user_quota = 2, .max_bps = 100000, .max_permissions = 3}};
        case 5:
            return (struct verdict){.kind = VERDICT_REAUTH};
        default:
            return (struct verdict){.kind = VERDICT_ALLOW};
    }
}

static void moody(struct world *w, const struct question *question, struct verdict *verdict)
{
    struct storm *s = (struct storm *)w;
    *verdict = mood(s);
    if (question->ticket.parked.generation && verdict->kind == VERDICT_LATER)
        s->tickets[dice(s, TICKETS)] = question->ticket;
}

static void moody_key(struct world *w, const struct question *question, struct verdict *verdict)
{
    struct storm *s = (struct storm *)w;
    if (dice(s, 4)) {
        world_key(w, question, verdict);
    } else {
        verdict->kind = VERDICT_LATER;
        s->tickets[dice(s, TICKETS)] = question->ticket;
    }
}

static const char *some_peer(struct storm *s)
{
    static const char *const peers[] = {"9.9.9.1:1",     "9.9.9.2:2",       "9.9.9.3:3", "10.0.0.1:4",
                                        "[2a00:1::1]:5", SHOWN_V4 ":50001", "[::1]:6",   "9.9.9.4:0"};
    return peers[dice(s, sizeof peers / sizeof *peers)];
}

static int do_allocate(struct storm *s, struct client *c)
{
    static const uint8_t transports[] = {17, 17, 17, 17, 17, 17, 6, 0};
    client_begin(c, METHOD_ALLOCATE);
    client_byte(c, ATTR_REQUESTED_TRANSPORT, transports[dice(s, 8)]);
    if (dice(s, 4) == 0)
        client_byte(c, ATTR_REQUESTED_ADDRESS_FAMILY, (uint8_t)dice(s, 4));
    if (dice(s, 4) == 0)
        build_attr(&c->build, ATTR_EVEN_PORT, view_text(dice(s, 2) ? "\x80" : "\x01"));
    if (dice(s, 6) == 0)
        build_attr_u64(&c->build, ATTR_RESERVATION_TOKEN, s->tokens[dice(s, 8)]);
    if (dice(s, 20) == 0)
        build_attr_u32(&c->build, 0x7123, 1);
    const int code = client_call(c);
    if (code == 0 && c->token)
        s->tokens[dice(s, 8)] = c->token;
    return code;
}

static int do_malformed(struct storm *s, struct client *c)
{
    uint8_t bytes[sizeof c->request];
    memcpy(bytes, c->request, c->request_len);
    for (uint32_t i = dice(s, 4); c->request_len && i < 4; i++)
        bytes[dice(s, (uint32_t)c->request_len)] ^= (uint8_t)(1 << dice(s, 8));
    const size_t len = dice(s, 4) && c->request_len ? c->request_len : dice(s, (uint32_t)c->request_len + 1);
    uint8_t *guarded = test_guarded(bytes, len);
    engine_from_client(s->w.engine, &c->flow, packet_of(view_of(guarded, len)), s->w.now);
    test_unguard(guarded, len);
    return NO_ANSWER;
}

static int do_late(struct storm *s, struct client *c)
{
    struct verdict verdict = dice(s, 2) ? verdict_key(&s->w, c->username, c->password) : mood(s);
    engine_resume(s->w.engine, s->tickets[dice(s, TICKETS)], &verdict, s->w.now);
    return NO_ANSWER;
}

static int do_time(struct storm *s, struct client *c)
{
    (void)c;
    world_skip(&s->w, dice(s, 50) ? dice(s, 3000) : dice(s, 700000));
    if (dice(s, 2))
        engine_sweep(s->w.engine, s->w.now);
    while (dice(s, 2) && engine_next_overdue(s->w.engine, s->w.now).to != SEND_NOTHING)
        ;
    return NO_ANSWER;
}

static int do_end(struct storm *s, struct client *c)
{
    const struct allocation *a = engine_allocation_at(s->w.engine, dice(s, 64));
    if (dice(s, 2))
        engine_flow_closed(s->w.engine, &c->flow, s->w.now);
    else if (a)
        CHECK(engine_close(s->w.engine, a->self, &(struct verdict){.reason = "storm", .by = "core"}, s->w.now));
    return NO_ANSWER;
}

static int do_data(struct storm *s, struct client *c)
{
    client_says_to(c, some_peer(s), dice(s, 1500));
    client_says_on(c, (uint16_t)(0x4000 + dice(s, 4)), dice(s, 1500));
    peer_says(c, some_peer(s), dice(s, 1500));
    return NO_ANSWER;
}

static int do_weather(struct storm *s, struct client *c)
{
    (void)c;
    s->w.no_descriptors = dice(s, 10) == 0;
    world_answer(&s->w, HOOK_permission, dice(s, 4) ? NULL : moody);
    world_answer(&s->w, HOOK_channel, dice(s, 2) ? NULL : moody);
    s->w.foreign_first = (uint16_t)(FIRST_PORT + dice(s, 1000));
    s->w.foreign_last = (uint16_t)(s->w.foreign_first + dice(s, 500));
    return NO_ANSWER;
}

static int do_request(struct storm *s, struct client *c)
{
    switch (dice(s, 6)) {
        case 0:
            client_begin(c, METHOD_REFRESH);
            build_attr_u32(&c->build, ATTR_LIFETIME, dice(s, 3) ? dice(s, 2000) : 0);
            return client_send(c);
        case 1:
            client_begin(c, METHOD_CREATE_PERMISSION);
            for (uint32_t i = dice(s, 5); i > 0; i--)
                client_peer(c, some_peer(s));
            return client_call(c);
        case 2:
            return client_bind(c, (uint16_t)(0x3fff + dice(s, 5)), some_peer(s));
        case 3:
            memcpy(c->password, dice(s, 4) ? "secret" : "wrong!", 6);
            return NO_ANSWER;
        case 4: /* the answer may be signed with a password that this client no longer has */
            engine_from_client(s->w.engine, &c->flow, packet_of(view_of(c->request, c->request_len)), s->w.now);
            return NO_ANSWER;
        default:
            return do_allocate(s, c);
    }
}

static void storm_step(struct storm *s)
{
    int (*const acts[])(struct storm *, struct client *) = {do_allocate,  do_allocate, do_request, do_request, do_request, do_request,
                                                            do_malformed, do_late,     do_time,    do_end,     do_data,    do_weather};
    if (dice(s, 12) == 0)
        s->turn = dice(s, CLIENTS);
    struct client *c = &s->clients[s->turn];
    if (dice(s, 10) == 0)
        test_fail_malloc_after(dice(s, 6));
    const int code = acts[dice(s, sizeof acts / sizeof *acts)](s, c);
    test_fail_malloc_after(-1);
    if (code > 0)
        s->answered[code]++;
    else if (code == 0)
        s->answered[0]++;
    world_check_books(&s->w);
}

static void small(struct engine_config *config, struct world *w)
{
    (void)w;
    config->total_quota = 30;
    config->user_quota = 25;
    config->max_permissions = 5;
    config->max_channels = 2;
    config->max_allocations = 28;
}

static void storm_begin(struct storm *s, uint64_t seed)
{
    static const char *const users[] = {"ann", "bob", "cleo", "eve"};
    memset(s, 0, sizeof *s);
    s->seed = seed;
    world_start(&s->w, small);
    world_answer(&s->w, HOOK_authenticate, moody_key);
    world_answer(&s->w, HOOK_authorize, moody);
    world_answer(&s->w, HOOK_permission, moody);
    world_answer(&s->w, HOOK_channel, moody);
    world_answer(&s->w, HOOK_refresh, moody);
    for (int i = 0; i < CLIENTS; i++) {
        s->clients[i] = client_over(&s->w, (enum transport)(i % 4), "198.18.0.1:1", i % 3 ? SERVER_V4 : SERVER_V6, users[i % 4]);
        s->clients[i].flow.client.port = (uint16_t)(1 + i / 2);
        s->clients[i].fingerprint = i % 5 == 0;
    }
}

TEST(after_ten_thousand_operations_units_taken_are_live_allocations)
{
    static struct storm s;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        storm_begin(&s, seed * UINT64_C(0x9E3779B97F4A7C15));
        for (int i = 0; i < 10000; i++)
            storm_step(&s);
        world_end(&s.w);
    }
}

TEST(the_storm_meets_every_refusal)
{
    static const int codes[] = {0,
                                STUN_BAD_REQUEST,
                                STUN_UNAUTHENTICATED,
                                STUN_FORBIDDEN,
                                STUN_UNKNOWN_ATTRIBUTE,
                                STUN_MISMATCH,
                                STUN_STALE_NONCE,
                                STUN_FAMILY_UNSUPPORTED,
                                STUN_TRANSPORT_UNSUPPORTED,
                                STUN_PEER_FAMILY_MISMATCH,
                                STUN_QUOTA,
                                STUN_SERVER_ERROR,
                                STUN_CAPACITY};
    static struct storm s;
    storm_begin(&s, 12345);
    for (int i = 0; i < 20000; i++)
        storm_step(&s);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (s.answered[codes[i]] == 0)
            test_failed(__FILE__, __LINE__, "no answer with code %d", codes[i]);
    CHECK(engine_counts(s.w.engine)->relayed_in > 0 && engine_counts(s.w.engine)->relayed_out > 0);
    world_end(&s.w);
}

TEST(when_all_is_over_the_tables_are_empty)
{
    static struct storm s;
    storm_begin(&s, 777);
    for (int i = 0; i < 10000; i++)
        storm_step(&s);
    const struct engine *engine = s.w.engine;
    world_skip(&s.w, 4000000);
    engine_sweep(s.w.engine, s.w.now);
    while (engine_next_overdue(s.w.engine, s.w.now).to != SEND_NOTHING)
        ;
    CHECK_INT(engine->allocations.live + engine->permissions.live + engine->channels.live + engine->parked.live, 0);
    CHECK_INT(engine->by_flow.count + engine->by_permission.count + engine->by_number.count + engine->by_peer.count +
                  engine->parked_by_flow.count,
              0);
    CHECK(engine->moved.first == POOL_NONE && engine->parked_order.first == POOL_NONE);
    CHECK_INT(world_free_ports(&s.w), 2000);
    world_end(&s.w);
}

TEST(an_engine_that_is_freed_in_mid_storm_leaves_nothing)
{
    static struct storm s;
    for (int steps = 1; steps < 2000; steps += 97) {
        storm_begin(&s, 4242);
        for (int i = 0; i < steps; i++)
            storm_step(&s);
        world_end(&s.w);
    }
}

TEST_LIST(RUN(after_ten_thousand_operations_units_taken_are_live_allocations) RUN(the_storm_meets_every_refusal)
          RUN(when_all_is_over_the_tables_are_empty) RUN(an_engine_that_is_freed_in_mid_storm_leaves_nothing))
