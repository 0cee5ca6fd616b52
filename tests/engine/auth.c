/* auth.c: the long-term credential mechanism. RFC 8489 section 9.2, RFC 8656 section 5. */
#include "world.h"

static void no_relaying(struct engine_config *config, struct world *w)
{
    (void)w;
    config->relaying = false;
}

TEST(the_first_request_is_challenged_briefly)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(c.answer_len, 72); /* of a request of 28: less than three times as much */
    CHECK_TEXT(c.realm, REALM);
    CHECK(strlen(c.nonce) <= 24);
    CHECK(!c.was_signed);
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count + w.told[EVENT_DENIED].count, 0);
    world_end(&w);
}

TEST(a_challenge_costs_no_memory)
{
    struct world w;
    world_start(&w, NULL);
    test_fail_malloc_after(0);
    for (int i = 0; i < 1000; i++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        c.flow.client.port = (uint16_t)i;
        client_begin(&c, i % 2 ? METHOD_ALLOCATE : METHOD_REFRESH);
        const struct view whole = build_end(&c.build);
        const struct send send = engine_from_client(w.engine, &c.flow, packet_of(whole), w.now);
        CHECK_INT(send.to, SEND_TO_CLIENT);
    }
    CHECK_INT(test_mallocs(), 0);
    test_fail_malloc_after(-1);
    world_end(&w);
}

TEST(every_turn_method_is_challenged)
{
    static const uint16_t methods[] = {METHOD_ALLOCATE,     METHOD_REFRESH, METHOD_CREATE_PERMISSION,
                                       METHOD_CHANNEL_BIND, METHOD_CONNECT, METHOD_CONNECTION_BIND};
    struct world w;
    world_start(&w, NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        client_begin(&c, methods[i]);
        CHECK_INT(client_send(&c), STUN_UNAUTHENTICATED);
        CHECK(c.answer_len < 4 * c.request_len);
    }
    world_end(&w);
}

TEST(an_answer_to_an_authentic_request_is_signed)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK(c.was_signed);
    CHECK_INT(client_allocate(&c), STUN_MISMATCH);
    CHECK(c.was_signed);
    world_end(&w);
}

/* section 9.2.4: MESSAGE-INTEGRITY without USERNAME, REALM or NONCE */
TEST(integrity_without_one_of_the_three_is_400)
{
    struct world w;
    world_start(&w, NULL);
    for (int missing = 0; missing < 3; missing++) {
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        client_challenge(&c);
        client_begin(&c, METHOD_ALLOCATE);
        if (missing != 0)
            build_attr_text(&c.build, ATTR_USERNAME, "ann");
        if (missing != 1)
            build_attr_text(&c.build, ATTR_REALM, c.realm);
        if (missing != 2)
            build_attr_text(&c.build, ATTR_NONCE, c.nonce);
        build_integrity(&c.build, w.crypto, view_text("0123456789abcdef"));
        const struct view whole = build_end(&c.build);
        CHECK_INT(client_send_bytes(&c, whole.at, whole.len), STUN_BAD_REQUEST);
        CHECK(!c.was_signed);
    }
    world_end(&w);
}

TEST(a_username_that_cannot_be_one_is_400)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    CHECK_INT(client_allocate(&c), STUN_BAD_REQUEST);
    memset(c.username, 'a', 764);
    CHECK_INT(client_allocate(&c), STUN_BAD_REQUEST);
    c.username[763] = 0;
    CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(an_unknown_user_and_a_wrong_password_look_the_same)
{
    struct world w;
    world_start(&w, NULL);
    struct client a = client_at(&w, "198.18.0.1:5000", "ann"), b = client_at(&w, "198.18.0.1:5000", "eve");
    snprintf(a.password, sizeof a.password, "wrong");
    CHECK_INT(client_allocate(&a), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "bad_integrity");
    CHECK_INT(client_allocate(&b), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "unknown_user");
    CHECK_INT(a.answer_len, b.answer_len);
    CHECK_BYTES(a.answer + STUN_HEADER_LEN, b.answer + STUN_HEADER_LEN, a.answer_len - STUN_HEADER_LEN);
    CHECK(!a.was_signed && !b.was_signed);
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count, 2);
    CHECK_INT(w.told[EVENT_DENIED].count, 0);
    CHECK_INT(engine_counts(w.engine)->auth_failed, 2);
    world_end(&w);
}

TEST(a_nonce_works_only_from_the_address_it_was_given_to)
{
    static const char *const elsewhere[] = {"198.18.0.1:5001", "198.18.0.2:5000", "[2a00:9::9]:5000"};
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_challenge(&c);
    for (size_t i = 0; i < 3; i++) {
        struct client thief = client_at(&w, elsewhere[i], "ann");
        memcpy(thief.nonce, c.nonce, sizeof c.nonce);
        memcpy(thief.realm, c.realm, sizeof c.realm);
        client_begin(&thief, METHOD_ALLOCATE);
        client_wish_udp(&thief);
        CHECK_INT(client_send(&thief), STUN_STALE_NONCE);
        CHECK(strcmp(thief.nonce, c.nonce) != 0);
    }
    struct client tcp = client_over(&w, TRANSPORT_TCP, "198.18.0.1:5000", SERVER_V4, "ann");
    memcpy(tcp.nonce, c.nonce, sizeof c.nonce);
    memcpy(tcp.realm, c.realm, sizeof c.realm);
    client_begin(&tcp, METHOD_ALLOCATE);
    CHECK_INT(client_send(&tcp), STUN_STALE_NONCE);
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    world_end(&w);
}

TEST(a_nonce_is_stale_after_its_lifetime_and_a_new_one_is_given)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    world_skip(&w, 599999);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, PEER);
    CHECK_INT(client_send(&c), 0);
    client_refresh(&c, 3600);
    world_skip(&w, 1);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, PEER);
    CHECK_INT(client_send(&c), STUN_STALE_NONCE);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(w.told[EVENT_DENIED].count, 0);
    world_end(&w);
}

TEST(a_forged_nonce_is_stale)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_challenge(&c);
    for (size_t i = 0; i < 24; i++) {
        struct client forger = c;
        forger.nonce[i] = forger.nonce[i] == 'A' ? 'B' : 'A';
        client_begin(&forger, METHOD_ALLOCATE);
        CHECK_INT(client_send(&forger), STUN_STALE_NONCE);
    }
    snprintf(c.nonce, sizeof c.nonce, "short");
    client_begin(&c, METHOD_ALLOCATE);
    CHECK_INT(client_send(&c), STUN_STALE_NONCE);
    world_end(&w);
}

TEST(the_key_is_remembered_and_the_policy_not_asked_again)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(client_refresh(&c, 600), 0);
    CHECK_INT(client_permit(&c, PEER), 0);
    CHECK_INT(client_bind(&c, 0x4000, PEER), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    world_end(&w);
}

TEST(another_user_on_the_5_tuple_is_441_and_the_owner_is_unaffected)
{
    struct world w;
    world_start(&w, NULL);
    struct client ann = client_at(&w, "198.18.0.1:5000", "ann"), bob = client_at(&w, "198.18.0.1:5000", "bob");
    CHECK_INT(client_allocate(&ann), 0);
    CHECK_INT(client_refresh(&bob, 0), STUN_WRONG_CREDENTIALS);
    CHECK(bob.was_signed);
    CHECK_INT(client_permit(&bob, PEER), STUN_WRONG_CREDENTIALS);
    CHECK_INT(client_bind(&bob, 0x4000, PEER), STUN_WRONG_CREDENTIALS);
    CHECK_INT(client_allocate(&bob), STUN_MISMATCH);
    snprintf(bob.password, sizeof bob.password, "wrong");
    CHECK_INT(client_refresh(&bob, 0), STUN_UNAUTHENTICATED);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(client_refresh(&ann, 600), 0);
    world_end(&w);
}

TEST(refresh_without_credentials_from_the_owners_address_is_401)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), spoofer = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    client_begin(&spoofer, METHOD_REFRESH);
    build_attr_u32(&spoofer.build, ATTR_LIFETIME, 0);
    CHECK_INT(client_send(&spoofer), STUN_UNAUTHENTICATED);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(attributes_behind_the_integrity_are_ignored)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    client_begin(&c, METHOD_CREATE_PERMISSION);
    client_peer(&c, PEER);
    const struct addr hidden = addr_of("9.9.9.66:1");
    struct long_term_key key = verdict_key(&w, "ann", "secret of ann").keys[0];
    build_attr_text(&c.build, ATTR_USERNAME, "ann");
    build_attr_text(&c.build, ATTR_REALM, c.realm);
    build_attr_text(&c.build, ATTR_NONCE, c.nonce);
    build_integrity(&c.build, w.crypto, view_of(key.bytes, key.len));
    build_xor_addr(&c.build, ATTR_XOR_PEER_ADDRESS, &hidden);
    build_attr_u32(&c.build, 0x7777, 0);
    const struct view whole = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, whole.at, whole.len), 0);
    CHECK_INT(client_says_to(&c, PEER, 10).to, SEND_TO_PEER);
    CHECK_INT(client_says_to(&c, "9.9.9.66:1", 10).to, SEND_NOTHING);
    world_end(&w);
}

TEST(a_signed_request_that_was_changed_is_401)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    client_begin(&c, METHOD_REFRESH);
    build_attr_u32(&c.build, ATTR_LIFETIME, 600);
    CHECK_INT(client_send(&c), 0);
    c.request[STUN_HEADER_LEN + 7] ^= 1; /* LIFETIME */
    c.request[8] ^= 1;                   /* another transaction */
    c.tid[0] ^= 1;
    CHECK_INT(client_resend(&c), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(unknown_attributes_of_an_authentic_request_are_420_after_authentication)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_u32(&c.build, 0x7abc, 0);
    CHECK_INT(client_send(&c), STUN_UNAUTHENTICATED);
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_u32(&c.build, 0x7abc, 0);
    CHECK_INT(client_send(&c), STUN_UNKNOWN_ATTRIBUTE);
    CHECK(c.was_signed);
    CHECK_INT(get_u16(message_attr(&c.reply, SLOT_UNKNOWN_ATTRIBUTES).at), 0x7abc);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(without_relaying_allocate_is_403_before_any_challenge)
{
    struct world w;
    world_start(&w, no_relaying);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_FORBIDDEN);
    CHECK(!message_has(&c.reply, SLOT_NONCE));
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    world_end(&w);
}

TEST(without_anybody_who_authenticates_allocate_is_403)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_FORBIDDEN);
    world_end(&w);
}

static void two_keys(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)question;
    *verdict = verdict_key(w, "ann", "the new secret");
    verdict->keys[1] = verdict_key(w, "ann", "secret of ann").keys[0];
    verdict->key_count = 2;
}

TEST(each_candidate_key_is_tried)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, two_keys);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann"), d = client_at(&w, "198.18.0.1:5001", "ann");
    CHECK_INT(client_allocate(&c), 0);
    snprintf(d.password, sizeof d.password, "the new secret");
    CHECK_INT(client_allocate(&d), 0);
    snprintf(d.password, sizeof d.password, "the oldest secret");
    d.flow.client.port++;
    CHECK_INT(client_allocate(&d), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(a_tcp_client_and_a_udp_client_of_one_address_are_two)
{
    struct world w;
    world_start(&w, NULL);
    struct client udp = client_at(&w, "198.18.0.1:5000", "ann");
    struct client tcp = client_over(&w, TRANSPORT_TCP, "198.18.0.1:5000", SERVER_V4, "ann");
    CHECK_INT(client_allocate(&udp), 0);
    CHECK_INT(client_allocate(&tcp), 0);
    CHECK_INT(engine_allocations(w.engine), 2);
    world_end(&w);
}

TEST_LIST(RUN(the_first_request_is_challenged_briefly) RUN(a_challenge_costs_no_memory) RUN(every_turn_method_is_challenged)
          RUN(an_answer_to_an_authentic_request_is_signed) RUN(integrity_without_one_of_the_three_is_400)
          RUN(a_username_that_cannot_be_one_is_400) RUN(an_unknown_user_and_a_wrong_password_look_the_same)
          RUN(a_nonce_works_only_from_the_address_it_was_given_to) RUN(a_nonce_is_stale_after_its_lifetime_and_a_new_one_is_given)
          RUN(a_forged_nonce_is_stale) RUN(the_key_is_remembered_and_the_policy_not_asked_again)
          RUN(another_user_on_the_5_tuple_is_441_and_the_owner_is_unaffected)
          RUN(refresh_without_credentials_from_the_owners_address_is_401) RUN(attributes_behind_the_integrity_are_ignored)
          RUN(a_signed_request_that_was_changed_is_401) RUN(unknown_attributes_of_an_authentic_request_are_420_after_authentication)
          RUN(without_relaying_allocate_is_403_before_any_challenge) RUN(without_anybody_who_authenticates_allocate_is_403)
          RUN(each_candidate_key_is_tried) RUN(a_tcp_client_and_a_udp_client_of_one_address_are_two))
