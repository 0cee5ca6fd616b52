/* tcp_connect.c: RFC 6062 sections 5.1 and 5.2: allocations for TCP, and connections that the client asks for. */
#include "world.h"

#include "base/err.h"
#include "turn/state.h"

/* ---- section 5.1 ---- */

TEST(an_allocation_listens_on_its_relayed_address)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(w.open_sockets, 1);
    CHECK(w.sockets[0].is_listener);
    CHECK_INT(w.sockets[0].local.port, ann.relayed.port);
    CHECK(!message_has(&ann.reply, SLOT_RESERVATION_TOKEN));
    CHECK_INT(client_refresh(&ann, 0), 0);
    world_end(&w);
}

TEST(tls_will_do_and_datagrams_will_not)
{
    struct world w;
    world_start(&w, NULL);
    struct client tls = client_over(&w, TRANSPORT_TLS, "198.18.0.1:5000", SERVER_V4, "ann");
    struct client udp = client_at(&w, "198.18.0.1:5001", "ann");
    struct client dtls = client_over(&w, TRANSPORT_DTLS, "198.18.0.1:5002", SERVER_V4, "ann");
    CHECK_INT(client_allocate_tcp(&tls), 0);
    CHECK_INT(client_allocate_tcp(&udp), STUN_BAD_REQUEST);
    CHECK_INT(client_allocate_tcp(&dtls), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(what_is_for_datagrams_is_a_bad_request)
{
    static const uint16_t types[] = {ATTR_DONT_FRAGMENT, ATTR_EVEN_PORT, ATTR_RESERVATION_TOKEN};
    static const uint8_t value[8] = {0};
    static const size_t lengths[] = {0, 1, 8};
    struct world w;
    world_start(&w, NULL);
    struct client ann = client_over_tcp(&w);
    for (size_t i = 0; i < 3; i++) {
        client_begin(&ann, METHOD_ALLOCATE);
        client_byte(&ann, ATTR_REQUESTED_TRANSPORT, 6);
        build_attr(&ann.build, types[i], view_of(value, lengths[i]));
        CHECK_INT(client_call(&ann), STUN_BAD_REQUEST);
    }
    world_end(&w);
}

TEST(a_server_without_tcp_relaying_answers_442)
{
    struct world w;
    world_start(&w, NULL);
    w.host.tcp = NULL;
    struct client ann = client_over_tcp(&w);
    CHECK_INT(client_allocate_tcp(&ann), STUN_TRANSPORT_UNSUPPORTED);
    CHECK_INT(client_allocate(&ann), 0);
    world_end(&w);
}

static void without_udp(struct engine_config *config, struct world *w)
{
    (void)w;
    config->no_udp_relay = true;
}

TEST(a_server_without_udp_relaying_answers_403)
{
    struct world w;
    world_start(&w, without_udp);
    struct client ann = client_over_tcp(&w);
    CHECK_INT(client_allocate(&ann), STUN_FORBIDDEN);
    CHECK_INT(client_allocate_tcp(&ann), 0);
    world_end(&w);
}

TEST(udp_and_tcp_have_ports_of_their_own)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(world_free_ports(&w), 2000);
    CHECK_INT(ports_free_count(w.shared.tcp_ports, 0), 999);
    CHECK_INT(client_refresh(&ann, 0), 0);
    world_end(&w);
}

TEST(two_relayed_addresses_are_two_listeners)
{
    struct world w;
    world_start(&w, NULL);
    struct client ann = client_over_tcp(&w);
    client_begin(&ann, METHOD_ALLOCATE);
    client_byte(&ann, ATTR_REQUESTED_TRANSPORT, 6);
    client_byte(&ann, ATTR_ADDITIONAL_ADDRESS_FAMILY, 2);
    CHECK_INT(client_call(&ann), 0);
    CHECK_INT(w.open_sockets, 2);
    CHECK_INT(client_connect(&ann, PEER_V6), NO_ANSWER);
    CHECK_INT(w.sockets[w.conns[0].sock].local.family, ADDR_IPV6);
    client_begin(&ann, METHOD_REFRESH);
    build_attr_u32(&ann.build, ATTR_LIFETIME, 0);
    client_byte(&ann, ATTR_REQUESTED_ADDRESS_FAMILY, 2);
    CHECK_INT(client_call(&ann), 0); /* the IPv6 one, with its connections */
    CHECK_INT(w.open_sockets, 1);
    CHECK_INT(w.open_conns, 0);
    world_end(&w);
}

TEST(datagrams_find_no_way_through_a_tcp_allocation)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_permit(&ann, PEER), 0);
    CHECK_INT(client_says_to(&ann, PEER, 10).to, SEND_NOTHING);
    CHECK_INT(client_bind(&ann, 0x4000, PEER), STUN_FORBIDDEN);
    CHECK_INT(client_says_on(&ann, 0x4000, 10).to, SEND_NOTHING);
    world_end(&w);
}

/* ---- section 5.2 ---- */

TEST(a_connect_is_answered_when_the_connection_is_there)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(w.open_conns, 1);
    const struct addr peer = addr_of(PEER);
    CHECK(addr_equal(&w.conns[0].to, &peer));
    CHECK_INT(w.sockets[w.conns[0].sock].local.port, ann.relayed.port);
    CHECK_INT(client_resend(&ann), NO_ANSWER); /* the same again is absorbed */
    CHECK_INT(w.open_conns, 1);
    CHECK_INT(client_take(&ann, world_connected(&w, true)), 0);
    CHECK(ann.was_signed);
    CHECK(ann.connection_id != 0);
    const uint32_t id = ann.connection_id;
    CHECK_INT(client_resend(&ann), 0); /* and answered again */
    CHECK_INT(ann.connection_id, id);
    CHECK_INT(w.open_conns, 1);
    world_end(&w);
}

TEST(a_connection_that_fails_is_447)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(client_take(&ann, world_connected(&w, false)), STUN_CONNECTION_FAILED);
    CHECK_INT(w.told[EVENT_DENIED].code, STUN_CONNECTION_FAILED);
    CHECK_INT(w.told[EVENT_DENIED].peer.port, 7000);
    w.connect_error = ERR_SYSTEM;
    CHECK_INT(client_connect(&ann, PEER), STUN_CONNECTION_FAILED);
    w.connect_error = ERR_MEMORY;
    CHECK_INT(client_connect(&ann, PEER), STUN_CAPACITY);
    w.connect_error = 0;
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER); /* nothing is left of those */
    CHECK_INT(w.open_conns, 1);
    world_end(&w);
}

TEST(a_connection_that_takes_thirty_seconds_is_447)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    world_pass(&w, 29999);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    world_pass(&w, 1);
    CHECK_INT(client_take(&ann, engine_next_overdue(w.engine, w.now)), STUN_CONNECTION_FAILED);
    CHECK_INT(w.open_conns, 0);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    world_end(&w);
}

TEST(a_second_connection_to_the_same_peer_is_446)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    struct client again = ann;
    CHECK_INT(client_connect(&again, PEER), STUN_CONNECTION_EXISTS); /* while connecting */
    CHECK_INT(client_take(&ann, world_connected(&w, true)), 0);
    CHECK_INT(client_connect(&again, PEER), STUN_CONNECTION_EXISTS); /* pending */
    struct client data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, ann.connection_id), 0);
    CHECK_INT(client_connect(&again, PEER), STUN_CONNECTION_EXISTS); /* active */
    CHECK_INT(client_connect(&again, PEER_IP ":7001"), NO_ANSWER);   /* another port is another peer */
    engine_peer_ended(w.engine, w.conns[0].peer);
    w.conns[0].is_open = false;
    w.open_conns--;
    CHECK_INT(client_connect(&again, PEER), NO_ANSWER);
    world_end(&w);
}

TEST(a_connect_without_an_allocation_for_tcp_is_refused)
{
    struct world w;
    world_start(&w, NULL);
    struct client ann = client_over_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), STUN_MISMATCH);
    CHECK_INT(client_allocate(&ann), 0);
    CHECK_INT(client_connect(&ann, PEER), STUN_FORBIDDEN);
    client_begin(&ann, METHOD_CONNECT);
    CHECK_INT(client_call(&ann), STUN_FORBIDDEN);
    world_end(&w);
}

TEST(a_connect_without_a_peer_is_a_bad_request)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    client_begin(&ann, METHOD_CONNECT);
    CHECK_INT(client_call(&ann), STUN_BAD_REQUEST);
    client_begin(&ann, METHOD_CONNECT);
    build_attr(&ann.build, ATTR_XOR_PEER_ADDRESS, view_of("\0\1\0\0", 4));
    CHECK_INT(client_call(&ann), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(a_connect_goes_only_where_a_permission_could_be_given)
{
    static const char *const forbidden[] = {"127.0.0.1:80",      "10.1.2.3:80", "169.254.169.254:80", "0.0.0.0:80",    "224.0.0.1:80",
                                            "255.255.255.255:1", "9.9.9.1:0",   "20.0.0.5:3478",      "10.0.0.5:3478", "20.0.0.5:50999"};
    struct world w;
    struct client ann = world_with_tcp(&w);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        CHECK_INT(client_connect(&ann, forbidden[i]), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&ann, "[::ffff:127.0.0.1]:80"), STUN_PEER_FAMILY_MISMATCH);
    CHECK_INT(client_connect(&ann, PEER_V6), STUN_PEER_FAMILY_MISMATCH);
    CHECK_INT(w.open_conns, 0);
    world_end(&w);
}

TEST(an_allocation_does_not_connect_to_itself_but_to_others)
{
    struct world w;
    char text[64];
    struct client ann = world_with_tcp(&w), bob = client_over(&w, TRANSPORT_TCP, "198.18.0.2:5000", SERVER_V4, "bob");
    CHECK_INT(client_allocate_tcp(&bob), 0);
    CHECK_INT(client_connect(&ann, addr_format(&ann.relayed, text)), STUN_FORBIDDEN);
    CHECK_INT(client_connect(&ann, addr_format(&bob.relayed, text)), NO_ANSWER);
    CHECK_INT(w.conns[0].to.port, bob.relayed.port);
    const struct addr local = addr_of(RELAY_V4);
    CHECK(addr_equal_ip(&w.conns[0].to, &local));
    world_end(&w);
}

static void asks_kind(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    CHECK_INT(question->method, METHOD_CONNECT);
    CHECK_INT(question->peer->port, 7000);
    *verdict = verdict_deny(STUN_FORBIDDEN, "not this one");
}

TEST(a_policy_may_forbid_a_connection)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    world_answer(&w, HOOK_permission, asks_kind);
    CHECK_INT(client_connect(&ann, PEER), STUN_FORBIDDEN);
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "not this one");
    CHECK_INT(w.open_conns, 0);
    world_answer(&w, HOOK_permission, NULL);
    CHECK_INT(client_permit(&ann, PEER), 0);
    world_answer(&w, HOOK_permission, asks_kind);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER); /* it has a permission: asked and answered */
    world_end(&w);
}

TEST(a_connect_gives_no_permission)
{
    struct world w;
    int conn;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(world_accept(&w, &ann.flow, PEER_IP ":9000", &conn).to, SEND_NOTHING);
    world_end(&w);
}

TEST(there_are_only_so_many_peers_of_an_allocation)
{
    struct world w;
    char peer[32];
    struct client ann = world_with_tcp(&w);
    for (int i = 0; i < 10; i++) {
        snprintf(peer, sizeof peer, PEER_IP ":%d", 8000 + i);
        CHECK_INT(client_connect(&ann, peer), NO_ANSWER);
    }
    CHECK_INT(client_connect(&ann, PEER), STUN_CAPACITY);
    CHECK_INT(client_refresh(&ann, 0), 0);
    CHECK_INT(w.open_conns, 0);
    world_end(&w);
}

TEST(whoever_leaves_while_connecting_gets_no_answer)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    const struct handle peer = w.conns[0].peer;
    engine_flow_closed(w.engine, &ann.flow, w.now);
    CHECK_INT(w.open_conns, 0);
    CHECK_INT(engine_peer_connected(w.engine, peer, w.now).to, SEND_NOTHING);
    CHECK_INT(engine_peer_failed(w.engine, peer, w.now).to, SEND_NOTHING);
    world_end(&w);
}

static void says_later(struct world *w, const struct question *question, struct verdict *verdict)
{
    world_later(w, question, verdict);
}

TEST(a_connect_that_waited_for_the_policy_goes_on)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    ((struct allocation *)(uintptr_t)engine_allocation_at(w.engine, 0))->key.len = 0; /* forgotten: asked anew */
    world_answer(&w, HOOK_authenticate, says_later);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(w.open_conns, 0);
    const struct verdict key = verdict_key(&w, "ann", "secret of ann");
    w.connect_error = ERR_SYSTEM;
    CHECK_INT(client_take(&ann, engine_resume(w.engine, w.ticket, &key, w.now)), STUN_CONNECTION_FAILED);
    w.connect_error = 0;
    ((struct allocation *)(uintptr_t)engine_allocation_at(w.engine, 0))->key.len = 0;
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(engine_resume(w.engine, w.ticket, &key, w.now).to, SEND_NOTHING);
    CHECK_INT(w.open_conns, 1);
    CHECK_INT(client_take(&ann, world_connected(&w, true)), 0);
    world_end(&w);
}

TEST_LIST(RUN(an_allocation_listens_on_its_relayed_address) RUN(tls_will_do_and_datagrams_will_not)
              RUN(what_is_for_datagrams_is_a_bad_request) RUN(a_server_without_tcp_relaying_answers_442)
                  RUN(a_server_without_udp_relaying_answers_403) RUN(udp_and_tcp_have_ports_of_their_own)
                      RUN(two_relayed_addresses_are_two_listeners) RUN(datagrams_find_no_way_through_a_tcp_allocation)
                          RUN(a_connect_is_answered_when_the_connection_is_there) RUN(a_connection_that_fails_is_447)
                              RUN(a_connection_that_takes_thirty_seconds_is_447) RUN(a_second_connection_to_the_same_peer_is_446)
                                  RUN(a_connect_without_an_allocation_for_tcp_is_refused) RUN(a_connect_without_a_peer_is_a_bad_request)
                                      RUN(a_connect_goes_only_where_a_permission_could_be_given)
                                          RUN(an_allocation_does_not_connect_to_itself_but_to_others) RUN(a_policy_may_forbid_a_connection)
                                              RUN(a_connect_gives_no_permission) RUN(there_are_only_so_many_peers_of_an_allocation)
                                                  RUN(whoever_leaves_while_connecting_gets_no_answer)
                                                      RUN(a_connect_that_waited_for_the_policy_goes_on))
