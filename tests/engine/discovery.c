/* discovery.c: NAT behaviour discovery (RFC 5780 section 6.1) and the clients of RFC 3489: which socket answers, to whom, and with how much. */
#include "world.h"

#define V4_LISTENERS 4

/* Listeners 0 to 3 are Da:Dp, Da:Cp, Ca:Dp, Ca:Cp; 4 and 5 the two ports of the only IPv6 address. */
static const char *const bound[] = {"10.0.0.5:3478", "10.0.0.5:3479", "10.0.0.6:3478", "10.0.0.6:3479", SERVER_V6, "[2a00:5::5]:3479"};
static const char *const told[] = {"20.0.0.5:3478", "20.0.0.5:3479", "20.0.0.6:3478", "20.0.0.6:3479", SERVER_V6, "[2a00:5::5]:3479"};
static struct origins origins[6];

static void with_discovery(struct engine_config *config, struct world *w)
{
    (void)w;
    for (uint16_t i = 0; i < 6; i++)
        for (uint16_t change = 0; change < ORIGINS; change++) {
            const uint16_t other = i ^ change;
            const bool is_there = i < V4_LISTENERS || change < ORIGIN_IP;
            origins[i].at[change] = is_there ? (struct origin){addr_of(bound[other]), addr_of(told[other]), other} : (struct origin){0};
        }
    config->origins = origins;
    config->mapped_address = true;
}

static void with_classic(struct engine_config *config, struct world *w)
{
    (void)w;
    config->classic = true;
    config->software = "relay";
    config->fingerprint = true;
}

static void with_both(struct engine_config *config, struct world *w)
{
    with_discovery(config, w);
    with_classic(config, w);
}

static struct client client_of(struct world *w, enum transport transport, uint16_t listener)
{
    struct client c = client_over(w, transport, listener < V4_LISTENERS ? "198.18.0.1:5000" : "[2a00:9::9]:5000", bound[listener], "");
    c.flow.listener = listener;
    return c;
}

static struct client discovering(struct world *w)
{
    world_start(w, with_discovery);
    return client_of(w, TRANSPORT_UDP, 0);
}

/* ask: sends what client_begin began; the answer's flow must be as said, and `c` reads the rest of it. */
static int ask(struct client *c, uint16_t listener, uint16_t port)
{
    struct addr server = addr_of(bound[listener]);
    const struct view request = build_end(&c->build);
    struct send send = engine_from_client(c->world->engine, &c->flow, packet_of(request), c->world->now);
    c->request_len = request.len;
    if (send.to == SEND_TO_CLIENT) {
        CHECK(addr_equal(&send.flow->server, &server));
        CHECK_INT(send.flow->listener, listener);
        CHECK(addr_equal_ip(&send.flow->client, &c->flow.client));
        CHECK_INT(send.flow->client.port, port);
        CHECK_INT(send.flow->transport, c->flow.transport);
        send.flow = &c->flow;
    }
    return client_take(c, send);
}

static struct addr plain(const struct client *c, uint16_t type)
{
    size_t cursor = 0;
    struct view value;
    if (!message_next(&c->reply, type, &cursor, &value))
        return (struct addr){0};
    CHECK_INT(value.at[1], value.len == 8 ? 1 : 2);
    const uint16_t port = get_u16(value.at + 2);
    return value.len == 8 ? addr_v4(value.at + 4, port) : addr_v6(value.at + 4, port);
}

static void check_addr(const struct client *c, uint16_t type, const char *want)
{
    const struct addr got = plain(c, type), wanted = addr_of(want);
    CHECK(addr_equal(&got, &wanted));
}

static void change(struct client *c, uint32_t flags)
{
    client_begin(c, METHOD_BINDING);
    build_attr_u32(&c->build, ATTR_CHANGE_REQUEST, flags);
}

static void check_unknown(const struct client *c, uint16_t type)
{
    const struct view unknown = message_attr(&c->reply, SLOT_UNKNOWN_ATTRIBUTES);
    CHECK_INT(unknown.len, 2);
    CHECK_INT(get_u16(unknown.at), type);
}

TEST(every_binding_answer_names_both_mappings_its_origin_and_the_other_address)
{
    struct world w;
    struct client c = discovering(&w);
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(ask(&c, 0, 5000), 0);
    CHECK(addr_equal(&c.mapped, &c.flow.client));
    check_addr(&c, ATTR_MAPPED_ADDRESS, "198.18.0.1:5000");
    check_addr(&c, ATTR_RESPONSE_ORIGIN, told[0]);
    check_addr(&c, ATTR_OTHER_ADDRESS, told[3]);
    CHECK_INT(c.answer_len, 68);
    world_end(&w);
}

TEST(table_1_of_section_6_1_from_every_listener)
{
    static const uint32_t flags[ORIGINS] = {0, STUN_CHANGE_PORT, STUN_CHANGE_IP, STUN_CHANGE_PORT | STUN_CHANGE_IP};
    struct world w;
    world_start(&w, with_discovery);
    for (uint16_t listener = 0; listener < V4_LISTENERS; listener++)
        for (uint16_t i = 0; i < ORIGINS; i++) {
            struct client c = client_of(&w, TRANSPORT_UDP, listener);
            change(&c, flags[i]);
            CHECK_INT(ask(&c, listener ^ i, 5000), 0);
            check_addr(&c, ATTR_RESPONSE_ORIGIN, told[listener ^ i]);
            check_addr(&c, ATTR_OTHER_ADDRESS, told[listener ^ ORIGIN_BOTH]);
            CHECK(addr_equal(&c.mapped, &c.flow.client));
        }
    world_end(&w);
}

TEST(the_other_bits_of_change_request_say_nothing)
{
    struct world w;
    struct client c = discovering(&w);
    change(&c, ~(uint32_t)(STUN_CHANGE_PORT | STUN_CHANGE_IP));
    CHECK_INT(ask(&c, 0, 5000), 0);
    change(&c, UINT32_MAX);
    CHECK_INT(ask(&c, 3, 5000), 0);
    world_end(&w);
}

TEST(a_family_with_one_address_has_no_other_and_cannot_change)
{
    struct world w;
    world_start(&w, with_discovery);
    struct client c = client_of(&w, TRANSPORT_UDP, 4);
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(ask(&c, 4, 5000), 0);
    check_addr(&c, ATTR_RESPONSE_ORIGIN, told[4]);
    CHECK(!message_has(&c.reply, SLOT_OTHER_ADDRESS));
    for (uint32_t flags = 0; flags <= 6; flags += 2) {
        change(&c, flags);
        CHECK_INT(ask(&c, 4, 5000), STUN_UNKNOWN_ATTRIBUTE);
        check_unknown(&c, ATTR_CHANGE_REQUEST);
    }
    world_end(&w);
}

TEST(a_response_goes_to_the_port_that_is_asked_for_and_an_error_does_not)
{
    struct world w;
    struct client c = discovering(&w);
    client_begin(&c, METHOD_BINDING);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(6000) << 16);
    CHECK_INT(ask(&c, 0, 6000), 0);
    CHECK(addr_equal(&c.mapped, &c.flow.client)); /* where the request came from */
    change(&c, STUN_CHANGE_PORT | STUN_CHANGE_IP);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(6000) << 16);
    CHECK_INT(ask(&c, 3, 6000), 0);
    client_begin(&c, METHOD_BINDING);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(6000) << 16);
    build_attr_u32(&c.build, 0x7001, 0);
    CHECK_INT(ask(&c, 0, 5000), STUN_UNKNOWN_ATTRIBUTE);
    client_begin(&c, METHOD_BINDING);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, 0);
    CHECK_INT(ask(&c, 0, 5000), STUN_BAD_REQUEST);
    world_end(&w);
}

static int pad(struct client *c, size_t len, size_t *answered)
{
    client_begin(c, METHOD_BINDING);
    build_padding(&c->build, len);
    const int code = ask(c, c->flow.listener, 5000);
    *answered = message_attr(&c->reply, SLOT_PADDING).len;
    return code;
}

TEST(padding_is_answered_with_no_more_than_was_sent_and_no_more_than_1500)
{
    struct world w;
    struct client c = discovering(&w);
    for (size_t len = 0; len <= 3000; len += 50) {
        size_t answered;
        CHECK_INT(pad(&c, len, &answered), 0);
        CHECK(message_has(&c.reply, SLOT_PADDING));
        CHECK_INT(answered, len < 1500 ? len : 1500);
        CHECK(c.answer_len <= c.request_len + 68 - 20);
    }
    world_end(&w);
}

TEST(padding_toward_another_port_is_400)
{
    struct world w;
    struct client c = discovering(&w);
    client_begin(&c, METHOD_BINDING);
    build_padding(&c.build, 1500);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(6000) << 16);
    CHECK_INT(ask(&c, 0, 5000), STUN_BAD_REQUEST);
    CHECK(c.answer_len <= 28);
    world_end(&w);
}

TEST(attributes_of_a_wrong_size_are_400)
{
    static const uint16_t types[] = {ATTR_CHANGE_REQUEST, ATTR_RESPONSE_PORT};
    struct world w;
    struct client c = discovering(&w);
    for (size_t i = 0; i < 2; i++)
        for (size_t len = 0; len <= 8; len++) {
            const bool is_good = len == 4 || (types[i] == ATTR_RESPONSE_PORT && len == 2);
            client_begin(&c, METHOD_BINDING);
            build_attr(&c.build, types[i], view_of("\x13\x88\0\0\0\0\0\0", len)); /* 5000: the same port */
            CHECK_INT(ask(&c, 0, 5000), is_good ? 0 : STUN_BAD_REQUEST);
        }
    world_end(&w);
}

TEST(over_tcp_tls_and_dtls_the_other_address_is_told_and_nothing_else_is_done)
{
    struct world w;
    size_t answered;
    world_start(&w, with_discovery);
    for (int transport = TRANSPORT_TCP; transport <= TRANSPORT_DTLS; transport++) {
        struct client c = client_of(&w, (enum transport)transport, 1);
        change(&c, 0);
        CHECK_INT(ask(&c, 1, 5000), 0);
        check_addr(&c, ATTR_OTHER_ADDRESS, told[2]);
        for (uint32_t flags = 2; flags <= 6; flags += 2) {
            change(&c, flags);
            CHECK_INT(ask(&c, 1, 5000), STUN_BAD_REQUEST);
        }
        CHECK_INT(pad(&c, 100, &answered), STUN_BAD_REQUEST);
        client_begin(&c, METHOD_BINDING);
        build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(6000) << 16);
        CHECK_INT(ask(&c, 1, 5000), STUN_BAD_REQUEST);
    }
    world_end(&w);
}

TEST(when_it_is_off_or_the_request_is_no_binding_its_attributes_are_unknown)
{
    static const uint16_t types[] = {ATTR_CHANGE_REQUEST, ATTR_PADDING, ATTR_RESPONSE_PORT};
    struct world w;
    for (int on = 0; on < 2; on++) {
        world_start(&w, on ? with_discovery : NULL);
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        for (size_t i = 0; i < 3; i++) {
            client_begin(&c, on ? METHOD_ALLOCATE : METHOD_BINDING);
            client_wish_udp(&c);
            build_attr_u32(&c.build, types[i], 0);
            CHECK_INT(on ? client_call(&c) : client_send(&c), STUN_UNKNOWN_ATTRIBUTE);
            check_unknown(&c, types[i]);
        }
        world_end(&w);
    }
}

/* ---- RFC 3489 ---- */

static const uint8_t classic_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void classic_begin(struct client *c)
{
    build_begin_classic(&c->build, slab_over(c->request, sizeof c->request), METHOD_BINDING, STUN_REQUEST, classic_id);
}

/* classic_ask: 0, an error code or NO_ANSWER; what is there is an answer of RFC 3489, from this listener. */
static int classic_ask(struct client *c, uint16_t listener)
{
    const struct view request = build_end(&c->build);
    const struct send send = engine_from_client(c->world->engine, &c->flow, packet_of(request), c->world->now);
    struct addr server = addr_of(bound[listener]);
    struct view reason;
    int code = 0;
    if (send.to == SEND_NOTHING)
        return NO_ANSWER;
    CHECK(addr_equal(&send.flow->server, &server) && addr_equal(&send.flow->client, &c->flow.client));
    memcpy(c->answer, send.bytes.at, c->answer_len = send.bytes.len);
    CHECK_INT(message_open_classic(&c->reply, view_of(c->answer, c->answer_len)), 0);
    CHECK_BYTES(c->answer + 4, classic_id, 16);
    CHECK(!message_has(&c->reply, SLOT_FINGERPRINT) && !message_has(&c->reply, SLOT_SOFTWARE));
    CHECK(!message_has(&c->reply, SLOT_XOR_MAPPED_ADDRESS));
    if (c->reply.class == STUN_ERROR)
        CHECK_INT(attr_error(&c->reply, &code, &reason), 0);
    return code;
}

TEST(a_classic_request_is_answered_as_its_client_expects)
{
    struct world w;
    world_start(&w, with_both);
    struct client c = client_of(&w, TRANSPORT_UDP, 0);
    for (uint32_t flags = 0; flags <= 6; flags += 2) {
        classic_begin(&c);
        build_attr_u32(&c.build, ATTR_CHANGE_REQUEST, flags);
        CHECK_INT(classic_ask(&c, (uint16_t)(flags / 2)), 0);
        check_addr(&c, ATTR_MAPPED_ADDRESS, "198.18.0.1:5000");
        check_addr(&c, CLASSIC_SOURCE_ADDRESS, told[flags / 2]);
        check_addr(&c, CLASSIC_CHANGED_ADDRESS, told[3]);
        CHECK_INT(c.answer_len, 56);
    }
    world_end(&w);
}

TEST(a_classic_client_of_a_server_with_one_address_learns_its_mapping)
{
    struct world w;
    world_start(&w, with_classic);
    struct client c = client_of(&w, TRANSPORT_UDP, 0);
    classic_begin(&c);
    CHECK_INT(classic_ask(&c, 0), 0);
    check_addr(&c, ATTR_MAPPED_ADDRESS, "198.18.0.1:5000");
    check_addr(&c, CLASSIC_SOURCE_ADDRESS, bound[0]);
    CHECK_INT(c.answer_len, 44);
    classic_begin(&c);
    build_attr_u32(&c.build, ATTR_CHANGE_REQUEST, 0);
    CHECK_INT(classic_ask(&c, 0), 0);
    classic_begin(&c);
    build_attr_u32(&c.build, ATTR_CHANGE_REQUEST, STUN_CHANGE_PORT);
    CHECK_INT(classic_ask(&c, 0), STUN_UNKNOWN_ATTRIBUTE);
    world_end(&w);
}

TEST(a_classic_answer_never_goes_to_a_third_party)
{
    struct world w;
    world_start(&w, with_both);
    struct client c = client_of(&w, TRANSPORT_UDP, 0);
    const struct addr victim = addr_of("192.0.2.66:53");
    classic_begin(&c);
    build_addr(&c.build, 0x0002, &victim); /* RESPONSE-ADDRESS */
    CHECK_INT(classic_ask(&c, 0), STUN_UNKNOWN_ATTRIBUTE);
    const struct view unknown = message_attr(&c.reply, SLOT_UNKNOWN_ATTRIBUTES);
    CHECK_BYTES(unknown.at, "\0\2\0\2", 4); /* RFC 3489 section 11.2.10: an even number of them */
    CHECK_INT(unknown.len, 4);
    classic_begin(&c);
    build_padding(&c.build, 100);
    CHECK_INT(classic_ask(&c, 0), STUN_UNKNOWN_ATTRIBUTE);
    classic_begin(&c);
    build_attr_u32(&c.build, ATTR_RESPONSE_PORT, UINT32_C(53) << 16);
    CHECK_INT(classic_ask(&c, 0), STUN_UNKNOWN_ATTRIBUTE);
    world_end(&w);
}

TEST(a_classic_request_is_dropped_unless_switched_on_and_over_udp)
{
    struct world w;
    struct client c = discovering(&w);
    classic_begin(&c);
    CHECK_INT(classic_ask(&c, 0), NO_ANSWER);
    world_end(&w);
    world_start(&w, with_both);
    for (int transport = TRANSPORT_TCP; transport <= TRANSPORT_TLS; transport++) {
        struct client d = client_of(&w, (enum transport)transport, 0);
        classic_begin(&d);
        CHECK_INT(classic_ask(&d, 0), NO_ANSWER);
    }
    struct client e = client_of(&w, TRANSPORT_UDP, 0);
    for (uint16_t method = 2; method < 0x10; method++) {
        build_begin_classic(&e.build, slab_over(e.request, sizeof e.request), method, STUN_REQUEST, classic_id);
        CHECK_INT(classic_ask(&e, 0), NO_ANSWER);
    }
    world_end(&w);
}

/* RFC 8489 section 11 */
TEST(over_dtls_a_request_without_the_cookie_is_500_and_an_indication_nothing)
{
    struct world w;
    for (int on = 0; on < 2; on++) {
        world_start(&w, on ? with_both : NULL);
        struct client c = client_of(&w, TRANSPORT_DTLS, 0);
        classic_begin(&c);
        CHECK_INT(classic_ask(&c, 0), STUN_SERVER_ERROR);
        CHECK_INT(c.answer_len, 28);
        build_begin_classic(&c.build, slab_over(c.request, sizeof c.request), METHOD_BINDING, STUN_INDICATION, classic_id);
        CHECK_INT(classic_ask(&c, 0), NO_ANSWER);
        world_end(&w);
    }
}

TEST_LIST(RUN(every_binding_answer_names_both_mappings_its_origin_and_the_other_address) RUN(table_1_of_section_6_1_from_every_listener)
          RUN(the_other_bits_of_change_request_say_nothing) RUN(a_family_with_one_address_has_no_other_and_cannot_change)
          RUN(a_response_goes_to_the_port_that_is_asked_for_and_an_error_does_not)
          RUN(padding_is_answered_with_no_more_than_was_sent_and_no_more_than_1500) RUN(padding_toward_another_port_is_400)
          RUN(attributes_of_a_wrong_size_are_400) RUN(over_tcp_tls_and_dtls_the_other_address_is_told_and_nothing_else_is_done)
          RUN(when_it_is_off_or_the_request_is_no_binding_its_attributes_are_unknown)
          RUN(a_classic_request_is_answered_as_its_client_expects)
          RUN(a_classic_client_of_a_server_with_one_address_learns_its_mapping) RUN(a_classic_answer_never_goes_to_a_third_party)
          RUN(a_classic_request_is_dropped_unless_switched_on_and_over_udp)
          RUN(over_dtls_a_request_without_the_cookie_is_500_and_an_indication_nothing))
