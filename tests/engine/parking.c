/* parking.c: requests that wait for the policy, and requests that come again. RFC 8489 section 6.3.1; POLICY section 3.6. */
#include "turn/park.h"
#include "world.h"

#include <stdlib.h>

static struct client waiting(struct world *w, int n)
{
    struct client c = client_at(w, "198.18.0.1:5000", "ann");
    c.flow.client.port = (uint16_t)(1 + n);
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    return c;
}

static struct send resume(struct world *w, const struct verdict *verdict)
{
    return engine_resume(w->engine, w->ticket, verdict, w->now);
}

TEST(authenticate_may_answer_later)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    struct client c = waiting(&w, 0);
    world_skip(&w, 1000);
    const struct verdict key = verdict_key(&w, "ann", "secret of ann");
    CHECK_INT(client_take(&c, resume(&w, &key)), 0);
    CHECK(c.was_signed);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(client_refresh(&c, 600), 0);
    world_end(&w);
}

TEST(a_late_key_may_be_the_wrong_one)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    struct client c = waiting(&w, 0);
    const struct verdict key = verdict_key(&w, "ann", "another secret");
    CHECK_INT(client_take(&c, resume(&w, &key)), STUN_UNAUTHENTICATED);
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count, 1);
    world_end(&w);
}

TEST(authorize_may_answer_later_too)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    CHECK_INT(quota_total(w.shared.quota), 0); /* nothing is reserved while it waits */
    const struct verdict allow = {.kind = VERDICT_ALLOW, .limits = {.max_lifetime_s = 700}};
    CHECK_INT(client_take(&c, resume(&w, &allow)), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    CHECK_INT(c.lifetime_s, 600);
    world_end(&w);
}

TEST(a_request_may_wait_twice)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct ticket first = w.ticket;
    const struct verdict key = verdict_key(&w, "ann", "secret of ann"), silent = {0};
    CHECK_INT(client_take(&c, resume(&w, &key)), NO_ANSWER);
    CHECK_INT(client_take(&c, engine_resume(w.engine, first, &key, w.now)), NO_ANSWER); /* stale */
    CHECK_INT(client_resend(&c), NO_ANSWER);
    CHECK_INT(client_take(&c, resume(&w, &silent)), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    CHECK_INT(w.asked[HOOK_authorize], 1);
    world_end(&w);
}

TEST(a_late_denial_is_a_denial_and_nonsense_is_500)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct verdict deny = verdict_deny(STUN_QUOTA, "too many"), later = {.kind = VERDICT_LATER}, key = {.kind = VERDICT_KEY};
    CHECK_INT(client_take(&c, resume(&w, &deny)), STUN_QUOTA);
    CHECK(c.was_signed);
    CHECK_TEXT(w.told[EVENT_DENIED].by, "test.lua:7");
    struct client d = waiting(&w, 1);
    CHECK_INT(client_take(&d, resume(&w, &key)), STUN_SERVER_ERROR);
    CHECK_INT(w.told[EVENT_POLICY_ERROR].count, 1);
    struct client e = waiting(&w, 2);
    CHECK_INT(client_take(&e, resume(&w, &later)), STUN_SERVER_ERROR);
    world_end(&w);
}

TEST(a_parked_request_outlives_the_bytes_it_came_in)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    struct client c = client_over(&w, TRANSPORT_TLS, "198.18.0.1:5000", SERVER_V4, "ann");
    char *sni = strdup("turn.example"), *alpn = strdup("stun.turn");
    c.flow.sni = sni;
    c.flow.alpn = alpn;
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_allocate(&c), NO_ANSWER); /* sent from memory that is unmapped by now */
    memset(sni, '#', strlen(sni));
    memset(alpn, '#', strlen(alpn));
    const struct verdict key = verdict_key(&w, "ann", "secret of ann");
    CHECK_INT(client_take(&c, resume(&w, &key)), 0);
    const struct allocation *a = engine_allocation_at(w.engine, 0);
    CHECK_TEXT(a->flow.sni, "turn.example");
    CHECK_TEXT(a->flow.alpn, "stun.turn");
    CHECK_TEXT(a->username, "ann");
    world_end(&w);
    free(sni);
    free(alpn);
}

TEST(retransmissions_of_a_parked_request_are_absorbed)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct ticket ticket = w.ticket;
    for (int i = 0; i < 7; i++)
        CHECK_INT(client_resend(&c), NO_ANSWER);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    CHECK_INT(w.asked[HOOK_authorize], 1);
    const struct verdict allow = {.kind = VERDICT_ALLOW};
    CHECK_INT(client_take(&c, engine_resume(w.engine, ticket, &allow, w.now)), 0);
    const uint16_t port = c.relayed.port;
    CHECK_INT(client_resend(&c), 0); /* and now it has an answer */
    CHECK_INT(c.relayed.port, port);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(a_deadline_ends_the_wait_with_500)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct ticket ticket = w.ticket;
    world_skip(&w, 1000);
    struct client d = waiting(&w, 1);
    world_skip(&w, 1999);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    world_skip(&w, 1);
    CHECK_INT(client_take(&c, engine_next_overdue(w.engine, w.now)), STUN_SERVER_ERROR);
    CHECK(c.was_signed);
    CHECK_TEXT(w.told[EVENT_POLICY_ERROR].reason, "no answer in time");
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    const struct verdict allow = {.kind = VERDICT_ALLOW};
    CHECK_INT(engine_resume(w.engine, ticket, &allow, w.now).to, SEND_NOTHING); /* too late */
    world_skip(&w, 1000);
    CHECK_INT(client_take(&d, engine_next_overdue(w.engine, w.now)), STUN_SERVER_ERROR);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(more_waiting_requests_than_allowed_are_508)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    for (int i = 0; i < 16; i++)
        waiting(&w, i);
    struct client c = client_at(&w, "198.18.0.2:1", "ann");
    CHECK_INT(client_allocate(&c), STUN_CAPACITY);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "max_parked");
    world_skip(&w, 3000);
    while (engine_next_overdue(w.engine, w.now).to == SEND_TO_CLIENT)
        ;
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    world_end(&w);
}

TEST(one_flow_may_not_fill_the_waiting_room)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, world_later);
    struct client c = waiting(&w, 0);
    for (int i = 1; i < PARK_PER_FLOW; i++)
        CHECK_INT(client_allocate(&c), NO_ANSWER);
    CHECK_INT(client_allocate(&c), STUN_CAPACITY);
    waiting(&w, 1);
    world_end(&w);
}

TEST(one_tenant_may_not_fill_the_waiting_room)
{
    struct world w;
    world_start(&w, NULL);
    w.config.max_parked_each = 2;
    world_answer(&w, HOOK_authenticate, world_later);
    waiting(&w, 0);
    const struct ticket second = (waiting(&w, 1), w.ticket);
    struct client c = client_at(&w, "198.18.0.2:1", "ann");
    w.ticket = (struct ticket){0};
    CHECK_INT(client_allocate(&c), STUN_CAPACITY);
    CHECK_INT(w.ticket.parked.generation, 0); /* it was asked without a place */
    const struct verdict deny = {.kind = VERDICT_DENY, .code = STUN_FORBIDDEN};
    CHECK_INT(engine_resume(w.engine, second, &deny, w.now).to, SEND_TO_CLIENT);
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    engine_flow_closed(w.engine, &c.flow, w.now);
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    world_end(&w);
}

TEST(two_requests_of_one_5_tuple_that_waited_make_one_allocation)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct ticket first = w.ticket;
    struct client again = c;
    CHECK_INT(client_allocate(&again), NO_ANSWER);
    const struct verdict allow = {.kind = VERDICT_ALLOW};
    CHECK_INT(client_take(&again, resume(&w, &allow)), 0);
    CHECK_INT(client_take(&c, engine_resume(w.engine, first, &allow, w.now)), STUN_MISMATCH);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(a_closed_connection_drops_its_waiting_requests)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    struct client c = waiting(&w, 0);
    const struct ticket first = w.ticket;
    CHECK_INT(client_allocate(&c), NO_ANSWER);
    struct client d = waiting(&w, 1);
    const struct ticket other = w.ticket;
    engine_flow_closed(w.engine, &c.flow, w.now);
    CHECK_INT(w.forgotten, 2);
    const struct verdict allow = {.kind = VERDICT_ALLOW};
    CHECK_INT(engine_resume(w.engine, first, &allow, w.now).to, SEND_NOTHING);
    CHECK_INT(client_take(&d, engine_resume(w.engine, other, &allow, w.now)), 0);
    CHECK_INT(w.engine->parked.live, 0);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(an_engine_may_be_freed_while_requests_wait)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    for (int i = 0; i < 5; i++)
        waiting(&w, i);
    world_end(&w);
}

TEST(any_malloc_of_parking_may_fail)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_later);
    int refused = 0;
    for (long n = 0; n < 12; n++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)(1 + n);
        client_challenge(&c);
        client_begin(&c, METHOD_ALLOCATE);
        client_wish_udp(&c);
        w.ticket = (struct ticket){0};
        test_fail_malloc_after(n);
        const int code = client_send(&c);
        test_fail_malloc_after(-1);
        CHECK(code == NO_ANSWER || code == STUN_CAPACITY || code == STUN_UNAUTHENTICATED);
        refused += code == STUN_CAPACITY;
        engine_flow_closed(w.engine, &c.flow, w.now);
        CHECK_INT(w.engine->parked.live, 0);
    }
    CHECK(refused >= 1);
    world_end(&w);
}

/* ---- the same request again ---- */

TEST(a_retransmitted_allocate_gets_the_same_answer)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    world_answer(&w, HOOK_authorize, world_says);
    CHECK_INT(client_allocate_even(&c, true), 0);
    uint8_t first[sizeof c.answer];
    const size_t len = c.answer_len;
    memcpy(first, c.answer, len);
    for (int i = 0; i < 6; i++) {
        world_skip(&w, 6000);
        CHECK_INT(client_resend(&c), 0);
        CHECK_INT(c.answer_len, len);
        CHECK_BYTES(c.answer, first, len);
    }
    CHECK_INT(w.asked[HOOK_authorize], 1);
    CHECK_INT(quota_total(w.shared.quota), 1);
    CHECK_INT(w.told[EVENT_ALLOCATED].count, 1);
    world_end(&w);
}

TEST(an_allocate_retransmitted_after_its_answer_was_forgotten_is_answered_still)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    const uint16_t port = c.relayed.port;
    world_skip(&w, 41000);
    CHECK_INT(client_resend(&c), 0);
    CHECK_INT(c.relayed.port, port);
    CHECK_INT(c.lifetime_s, 559);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(a_retransmitted_release_is_answered_and_a_new_one_is_437)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_refresh(&c, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(client_resend(&c), 0);
        CHECK_INT(c.lifetime_s, 0);
    }
    CHECK_INT(client_refresh(&c, 0), STUN_MISMATCH);
    world_end(&w);
}

TEST(a_retransmitted_release_does_not_end_the_next_allocation)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_refresh(&c, 0), 0);
    struct client again = c;
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_resend(&again), 0);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(a_refusal_is_repeated_without_asking_again)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, world_says);
    w.verdict = verdict_deny(STUN_QUOTA, "full");
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), STUN_QUOTA);
    w.verdict = (struct verdict){0};
    CHECK_INT(client_resend(&c), STUN_QUOTA);
    CHECK_INT(w.asked[HOOK_authorize], 1);
    CHECK_INT(w.told[EVENT_DENIED].count, 1);
    CHECK_INT(client_allocate(&c), 0);
    world_end(&w);
}

TEST(the_same_transaction_id_from_elsewhere_is_another_transaction)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    struct client thief = c;
    thief.flow.client.port++;
    CHECK_INT(client_resend(&thief), STUN_STALE_NONCE);
    struct client tcp = c;
    tcp.flow.transport = TRANSPORT_TCP;
    CHECK_INT(client_resend(&tcp), STUN_STALE_NONCE);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST_LIST(RUN(authenticate_may_answer_later) RUN(a_late_key_may_be_the_wrong_one) RUN(authorize_may_answer_later_too)
          RUN(a_request_may_wait_twice) RUN(a_late_denial_is_a_denial_and_nonsense_is_500)
          RUN(a_parked_request_outlives_the_bytes_it_came_in) RUN(retransmissions_of_a_parked_request_are_absorbed)
          RUN(a_deadline_ends_the_wait_with_500) RUN(more_waiting_requests_than_allowed_are_508)
          RUN(one_flow_may_not_fill_the_waiting_room) RUN(one_tenant_may_not_fill_the_waiting_room)
          RUN(two_requests_of_one_5_tuple_that_waited_make_one_allocation)
          RUN(a_closed_connection_drops_its_waiting_requests) RUN(an_engine_may_be_freed_while_requests_wait)
          RUN(any_malloc_of_parking_may_fail) RUN(a_retransmitted_allocate_gets_the_same_answer)
          RUN(an_allocate_retransmitted_after_its_answer_was_forgotten_is_answered_still)
          RUN(a_retransmitted_release_is_answered_and_a_new_one_is_437) RUN(a_retransmitted_release_does_not_end_the_next_allocation)
          RUN(a_refusal_is_repeated_without_asking_again) RUN(the_same_transaction_id_from_elsewhere_is_another_transaction))
