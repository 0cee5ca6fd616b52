/* binding.c: Binding, and what is never answered. RFC 8489 sections 2, 6.3, 6.3.1. */
#include "world.h"

static void with_software(struct engine_config *config, struct world *w)
{
    (void)w;
    config->software = "relay";
    config->fingerprint = true;
}

TEST(binding_tells_where_the_request_came_from_in_32_bytes)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    CHECK_INT(c.answer_len, 32);
    CHECK(addr_equal(&c.mapped, &c.flow.client));
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    world_end(&w);
}

TEST(binding_answers_byte_for_byte)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "192.0.2.1:32853", "");
    uint8_t request[20], answer[32];
    test_hex("0001 0000 2112a442 b7e7a701bc34d686fa87dfae", request, sizeof request);
    test_hex("0101 000c 2112a442 b7e7a701bc34d686fa87dfae 0020 0008 0001 a147 e112a643", answer, sizeof answer);
    memcpy(c.tid, request + 8, 12);
    CHECK_INT(client_send_bytes(&c, request, sizeof request), 0);
    CHECK_INT(c.answer_len, sizeof answer);
    CHECK_BYTES(c.answer, answer, sizeof answer);
    world_end(&w);
}

TEST(binding_over_ipv6_and_every_transport)
{
    struct world w;
    world_start(&w, NULL);
    for (int transport = TRANSPORT_UDP; transport <= TRANSPORT_DTLS; transport++) {
        struct client c = client_over(&w, (enum transport)transport, "[2a00:9::9]:1234", SERVER_V6, "");
        client_begin(&c, METHOD_BINDING);
        CHECK_INT(client_send(&c), 0);
        CHECK(addr_equal(&c.mapped, &c.flow.client));
    }
    CHECK_INT(engine_counts(w.engine)->bindings, 4);
    world_end(&w);
}

TEST(software_and_fingerprint_are_sent_when_configured)
{
    struct world w;
    world_start(&w, with_software);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    CHECK(view_equal(message_attr(&c.reply, SLOT_SOFTWARE), view_text("relay")));
    CHECK(message_has(&c.reply, SLOT_FINGERPRINT));
    world_end(&w);
}

TEST(fingerprint_in_a_request_is_answered_with_one)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    c.fingerprint = true;
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    CHECK(message_has(&c.reply, SLOT_FINGERPRINT));
    CHECK_INT(c.answer_len, 40);
    world_end(&w);
}

static void with_mapped_address(struct engine_config *config, struct world *w)
{
    (void)w;
    config->mapped_address = true;
}

TEST(mapped_address_stands_beside_the_other_when_configured)
{
    struct world w;
    world_start(&w, with_mapped_address);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    CHECK(addr_equal(&c.mapped, &c.flow.client));
    CHECK_BYTES(message_attr(&c.reply, SLOT_MAPPED_ADDRESS).at, "\0\1\x13\x88\xc6\x12\0\1", 8);
    CHECK_INT(c.answer_len, 44);
    world_end(&w);
}

TEST(an_unknown_attribute_that_must_be_understood_is_420)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    client_begin(&c, METHOD_BINDING);
    build_attr_u32(&c.build, 0x0026, 0); /* PADDING of RFC 5780 */
    build_attr_u32(&c.build, 0x7001, 0);
    build_attr_u32(&c.build, 0x9001, 0); /* may be ignored */
    CHECK_INT(client_send(&c), STUN_UNKNOWN_ATTRIBUTE);
    const struct view unknown = message_attr(&c.reply, SLOT_UNKNOWN_ATTRIBUTES);
    CHECK_INT(unknown.len, 4);
    CHECK_INT(get_u16(unknown.at), 0x0026);
    CHECK_INT(get_u16(unknown.at + 2), 0x7001);
    CHECK(c.answer_len <= 2 * c.request_len);
    world_end(&w);
}

TEST(an_unknown_optional_attribute_is_ignored)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    client_begin(&c, METHOD_BINDING);
    build_attr_u32(&c.build, 0x9001, 0);
    CHECK_INT(client_send(&c), 0);
    world_end(&w);
}

TEST(indications_and_responses_are_never_answered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    for (int method = 0; method < 0x10; method++)
        for (int kind = STUN_INDICATION; kind <= STUN_ERROR; kind++) {
            build_begin(&c.build, slab_over(c.request, sizeof c.request), (uint16_t)method, (enum stun_class)kind, c.tid);
            const struct view whole = build_end(&c.build);
            CHECK_INT(client_send_bytes(&c, whole.at, whole.len), NO_ANSWER);
        }
    world_end(&w);
}

TEST(a_request_of_an_unknown_method_is_not_answered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    for (uint16_t method = 0; method < 0x100; method++) {
        client_begin(&c, method);
        const int code = client_send(&c);
        const bool is_indication = method == METHOD_SEND || method == METHOD_DATA || method == METHOD_CONNECTION_ATTEMPT;
        CHECK((code != NO_ANSWER) == (stun_method_known(method) && !is_indication));
    }
    world_end(&w);
}

TEST(junk_is_never_answered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    uint8_t junk[64];
    for (int i = 0; i < 20000; i++) {
        crypto_random(junk, sizeof junk);
        CHECK_INT(client_send_bytes(&c, junk, (size_t)i % (sizeof junk + 1)), NO_ANSWER);
    }
    world_end(&w);
}

TEST(no_prefix_of_a_request_is_answered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_allocate(&c), 0);
    for (size_t len = 0; len < c.request_len; len++)
        CHECK_INT(client_send_bytes(&c, c.request, len), NO_ANSWER);
    world_end(&w);
}

TEST(a_request_with_a_wrong_fingerprint_is_not_answered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "");
    c.fingerprint = true;
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    c.request[c.request_len - 1] ^= 1;
    CHECK_INT(client_resend(&c), NO_ANSWER);
    world_end(&w);
}

TEST_LIST(RUN(mapped_address_stands_beside_the_other_when_configured) RUN(binding_tells_where_the_request_came_from_in_32_bytes) RUN(binding_answers_byte_for_byte)
          RUN(binding_over_ipv6_and_every_transport) RUN(software_and_fingerprint_are_sent_when_configured)
          RUN(fingerprint_in_a_request_is_answered_with_one) RUN(an_unknown_attribute_that_must_be_understood_is_420)
          RUN(an_unknown_optional_attribute_is_ignored) RUN(indications_and_responses_are_never_answered)
          RUN(a_request_of_an_unknown_method_is_not_answered) RUN(junk_is_never_answered) RUN(no_prefix_of_a_request_is_answered)
          RUN(a_request_with_a_wrong_fingerprint_is_not_answered))
