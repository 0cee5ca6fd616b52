/* tcp_data.c: RFC 6062 sections 5.3 to 5.5: peers that come by themselves, ConnectionBind, and the life of data connections. */
#include "world.h"

#include "turn/state.h"

/* a peer's connection that was accepted: its id, from the ConnectionAttempt */
static uint32_t attempted(struct world *w, struct client *c, const char *from)
{
    struct message message;
    struct addr peer;
    uint32_t id = 0;
    int conn;
    const struct addr expected = addr_of(from);
    const struct send send = world_accept(w, &c->flow, from, &conn);
    CHECK_INT(send.to, SEND_TO_CLIENT);
    CHECK(memcmp(send.flow, &c->flow, FLOW_KEY_LEN) == 0);
    CHECK_INT(message_open(&message, send.bytes), 0);
    CHECK_INT(message.class, STUN_INDICATION);
    CHECK_INT(message.method, METHOD_CONNECTION_ATTEMPT);
    CHECK_INT(attr_xor_addr(&message, SLOT_XOR_PEER_ADDRESS, &peer), 0);
    CHECK(addr_equal(&peer, &expected));
    CHECK_INT(attr_u32(&message, SLOT_CONNECTION_ID, &id), 0);
    CHECK(id != 0);
    return id;
}

static struct client ann_with_peer(struct world *w, uint32_t *id)
{
    struct client ann = world_with_tcp(w);
    CHECK_INT(client_permit(&ann, PEER), 0);
    *id = attempted(w, &ann, PEER);
    return ann;
}

/* ---- section 5.3 ---- */

TEST(a_peer_with_a_permission_is_announced)
{
    struct world w;
    uint32_t id;
    ann_with_peer(&w, &id);
    CHECK_INT(w.open_conns, 1);
    world_end(&w);
}

TEST(a_peer_without_a_permission_is_refused)
{
    struct world w;
    int conn;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(world_accept(&w, &ann.flow, PEER, &conn).to, SEND_NOTHING);
    CHECK_INT(client_permit(&ann, "9.9.9.2:1"), 0);
    CHECK_INT(world_accept(&w, &ann.flow, PEER, &conn).to, SEND_NOTHING);
    CHECK_INT(client_permit(&ann, PEER), 0);
    world_skip(&w, 299999);
    CHECK_INT(world_accept(&w, &ann.flow, PEER_IP ":1", &conn).to, SEND_TO_CLIENT);
    world_skip(&w, 1);
    CHECK_INT(world_accept(&w, &ann.flow, PEER_IP ":2", &conn).to, SEND_NOTHING); /* expired */
    CHECK_INT(engine_counts(w.engine)->dropped_no_permission, 3);
    world_end(&w);
}

TEST(an_unbound_connection_is_closed_after_thirty_seconds)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id);
    world_pass(&w, 29999);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    CHECK_INT(w.open_conns, 1);
    world_pass(&w, 1);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    CHECK_INT(w.open_conns, 0);
    struct client data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(the_thirty_seconds_begin_anew_with_the_connection)
{
    struct world w;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    world_pass(&w, 20000);
    CHECK_INT(client_take(&ann, world_connected(&w, true)), 0);
    world_pass(&w, 29999);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    CHECK_INT(w.open_conns, 1);
    struct client data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, ann.connection_id), 0);
    world_pass(&w, 60000);
    CHECK_INT(engine_next_overdue(w.engine, w.now).to, SEND_NOTHING);
    CHECK_INT(w.open_conns, 1); /* bound: for good */
    world_end(&w);
}

TEST(more_peers_than_an_allocation_may_have_are_refused)
{
    struct world w;
    char peer[32];
    int conn;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_permit(&ann, PEER), 0);
    for (int i = 0; i < 10; i++) {
        snprintf(peer, sizeof peer, PEER_IP ":%d", 8000 + i);
        attempted(&w, &ann, peer);
    }
    CHECK_INT(world_accept(&w, &ann.flow, PEER, &conn).to, SEND_NOTHING);
    world_end(&w);
}

/* ---- section 5.4 ---- */

TEST(a_connection_bind_makes_its_connection_the_data_connection)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), 0); /* at once, with the nonce of the control connection */
    CHECK(data.was_signed);
    CHECK_INT(w.conns[0].link, 6000);
    struct client again = client_data(&ann, 6001);
    CHECK_INT(client_bind_connection(&again, id), STUN_BAD_REQUEST); /* once */
    world_end(&w);
}

TEST(a_connection_bind_with_a_nonce_of_its_own_will_do)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    data.nonce[0] = 0;
    client_begin(&data, METHOD_CONNECTION_BIND);
    build_attr_u32(&data.build, ATTR_CONNECTION_ID, id);
    CHECK_INT(client_send(&data), STUN_UNAUTHENTICATED);
    CHECK_INT(client_bind_connection(&data, id), 0);
    world_end(&w);
}

TEST(the_nonce_of_the_control_connection_is_good_for_nothing_else)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    client_begin(&data, METHOD_ALLOCATE);
    client_wish_udp(&data);
    CHECK_INT(client_send(&data), STUN_STALE_NONCE);
    data = client_data(&ann, 6001);
    client_begin(&data, METHOD_CONNECTION_BIND);
    build_attr_u32(&data.build, ATTR_CONNECTION_ID, id + 1);
    CHECK_INT(client_send(&data), STUN_STALE_NONCE);
    world_end(&w);
}

TEST(an_id_is_the_users_own)
{
    struct world w;
    uint32_t id;
    ann_with_peer(&w, &id);
    struct client bob = client_over(&w, TRANSPORT_TCP, "198.18.0.1:6000", SERVER_V4, "bob");
    CHECK_INT(client_challenge(&bob), STUN_UNAUTHENTICATED);
    CHECK_INT(client_bind_connection(&bob, id), STUN_BAD_REQUEST);
    struct client liar = client_over(&w, TRANSPORT_TCP, "198.18.0.1:6001", SERVER_V4, "ann");
    snprintf(liar.password, sizeof liar.password, "guessed");
    CHECK_INT(client_challenge(&liar), STUN_UNAUTHENTICATED);
    client_begin(&liar, METHOD_CONNECTION_BIND);
    build_attr_u32(&liar.build, ATTR_CONNECTION_ID, id);
    CHECK_INT(client_send(&liar), STUN_UNAUTHENTICATED);
    CHECK_INT(w.conns[0].link, 0);
    world_end(&w);
}

TEST(what_cannot_be_bound_is_a_bad_request)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000), udp = client_at(&w, "198.18.0.1:6001", "ann");
    CHECK_INT(client_bind_connection(&ann, id), STUN_BAD_REQUEST); /* on the control connection */
    CHECK_INT(client_bind_connection(&udp, id), STUN_BAD_REQUEST); /* not by datagrams */
    CHECK_INT(client_bind_connection(&data, 0), STUN_BAD_REQUEST);
    CHECK_INT(client_bind_connection(&data, id ^ 1), STUN_BAD_REQUEST);
    client_begin(&data, METHOD_CONNECTION_BIND);
    CHECK_INT(client_call(&data), STUN_BAD_REQUEST);
    w.no_data_connection = true;
    CHECK_INT(client_bind_connection(&data, id), STUN_BAD_REQUEST);
    w.no_data_connection = false;
    CHECK_INT(client_bind_connection(&data, id), 0);
    world_end(&w);
}

TEST(a_connecting_peer_has_no_id_to_bind)
{
    struct world w;
    struct client ann = world_with_tcp(&w), data = client_data(&ann, 6000);
    CHECK_INT(client_connect(&ann, PEER), NO_ANSWER);
    CHECK_INT(connections_count(w.shared.connections), 0);
    CHECK_INT(client_bind_connection(&data, 0), STUN_BAD_REQUEST);
    world_end(&w);
}

TEST(ids_are_never_the_same_and_the_ledger_knows_the_worker)
{
    struct world w;
    char peer[32];
    uint32_t ids[10];
    unsigned worker;
    struct client ann = world_with_tcp(&w);
    CHECK_INT(client_permit(&ann, PEER), 0);
    for (int i = 0; i < 10; i++) {
        snprintf(peer, sizeof peer, PEER_IP ":%d", 8000 + i);
        ids[i] = attempted(&w, &ann, peer);
        CHECK(connections_find(w.shared.connections, ids[i], &worker));
        CHECK_INT(worker, FIRST_WORKER);
        for (int j = 0; j < i; j++)
            CHECK(ids[i] != ids[j]);
    }
    CHECK_INT(connections_count(w.shared.connections), 10);
    world_end(&w);
}

/* ---- section 5.5, and what is counted ---- */

TEST(data_connections_end_with_the_allocation)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), 0);
    attempted(&w, &ann, PEER_IP ":7001");
    CHECK_INT(client_refresh(&ann, 0), 0);
    CHECK_INT(w.open_conns, 0);
    CHECK_INT(client_allocate_tcp(&ann), 0);
    CHECK_INT(client_permit(&ann, PEER), 0);
    attempted(&w, &ann, PEER);
    engine_flow_closed(w.engine, &ann.flow, w.now); /* the control connection */
    CHECK_INT(w.open_conns, 0);
    CHECK_INT(client_allocate_tcp(&ann), 0);
    CHECK_INT(client_permit(&ann, PEER), 0);
    attempted(&w, &ann, PEER);
    for (int s = 0; s < 700; s++) /* with a sweep a second, as a worker has it */
        world_pass(&w, 1000), (void)engine_next_overdue(w.engine, w.now);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(w.open_conns, 0);
    world_end(&w);
}

TEST(an_expired_allocation_moves_nothing)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), 0);
    CHECK(engine_peer_room(w.engine, w.conns[0].peer, true, w.now) > 0);
    world_skip(&w, 600000);
    CHECK_INT(engine_peer_room(w.engine, w.conns[0].peer, true, w.now), 0);
    world_end(&w);
}

TEST(bytes_are_counted_in_the_allocation)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), 0);
    engine_peer_moved(w.engine, w.conns[0].peer, true, 5000000000, w.now);
    engine_peer_moved(w.engine, w.conns[0].peer, false, 70, w.now);
    engine_peer_moved(w.engine, w.conns[0].peer, false, 7, w.now);
    const struct allocation *a = engine_allocation_at(w.engine, 0);
    CHECK(a->usage.bytes_in == 5000000000 && a->usage.packets_in == 1);
    CHECK(a->usage.bytes_out == 77 && a->usage.packets_out == 2);
    CHECK_INT(client_refresh(&ann, 0), 0);
    CHECK(w.told[EVENT_CLOSED].delta.bytes_in == 5000000000);
    world_end(&w);
}

static void at_most_8000_bps(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w, (void)question;
    verdict->kind = VERDICT_ALLOW;
    verdict->limits.max_bps = 8000;
}

TEST(a_rate_is_kept_by_reading_less)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authorize, at_most_8000_bps);
    struct client ann = client_over_tcp(&w);
    CHECK_INT(client_allocate_tcp(&ann), 0);
    CHECK_INT(client_permit(&ann, PEER), 0);
    const uint32_t id = attempted(&w, &ann, PEER);
    struct client data = client_data(&ann, 6000);
    CHECK_INT(client_bind_connection(&data, id), 0);
    const struct handle peer = w.conns[0].peer;
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 1000);
    engine_peer_moved(w.engine, peer, true, 1500, w.now); /* what a TLS record held beyond it is a debt */
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 0);
    CHECK_INT(engine_peer_room(w.engine, peer, false, w.now), 1000); /* each direction has its own */
    world_skip(&w, 500);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 0);
    world_skip(&w, 250);
    CHECK_INT(engine_peer_room(w.engine, peer, true, w.now), 250);
    world_end(&w);
}

TEST(a_bind_that_reaches_another_worker_crosses_to_its_own)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), data = client_data(&ann, 6000);
    world_second(&w);
    data.engine = w.second;
    CHECK_INT(client_bind_connection(&data, id), 0);
    CHECK(data.engine == w.engine);
    CHECK_INT(w.conns[0].link, data.flow.link);
    data.engine = w.second;
    CHECK_INT(client_bind_connection(&data, id), STUN_BAD_REQUEST); /* it is known nowhere any more */
    CHECK(data.engine == w.second);
    world_end(&w);
}

TEST(a_control_connection_does_not_cross)
{
    struct world w;
    uint32_t id;
    struct client ann = ann_with_peer(&w, &id), other = client_over(&w, TRANSPORT_TCP, "198.18.0.1:7000", SERVER_V4, "ann");
    world_second(&w);
    other.engine = w.second;
    CHECK_INT(client_allocate_tcp(&other), 0);
    CHECK_INT(client_bind_connection(&other, id), STUN_BAD_REQUEST);
    CHECK(other.engine == w.second);
    CHECK_INT(client_refresh(&ann, 600), 0);
    world_end(&w);
}

TEST_LIST(RUN(a_peer_with_a_permission_is_announced) RUN(a_peer_without_a_permission_is_refused)
              RUN(an_unbound_connection_is_closed_after_thirty_seconds) RUN(the_thirty_seconds_begin_anew_with_the_connection)
                  RUN(more_peers_than_an_allocation_may_have_are_refused) RUN(a_connection_bind_makes_its_connection_the_data_connection)
                      RUN(a_connection_bind_with_a_nonce_of_its_own_will_do)
                          RUN(the_nonce_of_the_control_connection_is_good_for_nothing_else) RUN(an_id_is_the_users_own)
                              RUN(what_cannot_be_bound_is_a_bad_request) RUN(a_connecting_peer_has_no_id_to_bind)
                                  RUN(ids_are_never_the_same_and_the_ledger_knows_the_worker) RUN(data_connections_end_with_the_allocation)
                                      RUN(an_expired_allocation_moves_nothing) RUN(bytes_are_counted_in_the_allocation)
                                          RUN(a_rate_is_kept_by_reading_less) RUN(a_bind_that_reaches_another_worker_crosses_to_its_own)
                                              RUN(a_control_connection_does_not_cross))
