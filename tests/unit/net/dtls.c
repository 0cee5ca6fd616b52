/* DTLS sessions: handshakes with loss, data, replacement, deadlines and caps */
#include "dtls_rig.h"

#include <malloc.h>

TEST(a_client_shakes_hands_and_datagrams_go_both_ways)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    SSL_set_tlsext_host_name(client->ssl, "turn.example.org");
    SSL_set_alpn_protos(client->ssl, (const unsigned char *)"\x06webrtc\x09stun.turn", 17);
    CHECK(shake(client));
    round_trip(client, "hello");
    CHECK_INT(rig->last.transport, TRANSPORT_DTLS);
    CHECK_INT(rig->last.listener, 3);
    CHECK_INT(rig->last.link, 77);
    CHECK(addr_equal(&rig->last.client, &client->flow.client));
    CHECK(addr_equal(&rig->last.server, &client->flow.server));
    CHECK_TEXT(rig->sni, "turn.example.org");
    CHECK_TEXT(rig->alpn, "stun.turn");
    CHECK_INT(SSL_version(client->ssl), DTLS1_2_VERSION);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    CHECK(rig->longest <= 1200); /* a flight of a certificate longer than that */
    rig_free(rig);
}

TEST(each_datagram_has_its_own_mark)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    CHECK(shake(client));
    for (uint8_t mark = 0; mark < 180; mark = (uint8_t)(mark + 60)) {
        client->flow.mark = mark;
        round_trip(client, "marked");
        CHECK_INT(rig->last.mark, mark);
    }
    rig_free(rig);
}

TEST(a_handshake_survives_the_loss_of_any_one_packet)
{
    unsigned packets = 0;
    for (unsigned lost = 0; lost <= packets; lost++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_new(rig, 1000);
        rig->drop = lost;
        CHECK(shake(client));
        if (!lost)
            packets = rig->packets;
        rig->drop = 0;
        rig_wait(rig, 2000); /* the last flight may have been lost: the client asks again, the server is not told */
        round_trip(client, "after all");
        CHECK_INT(dtls_sessions(rig->dtls), 1);
        rig_free(rig);
    }
    CHECK(packets >= 7);
}

TEST(a_handshake_survives_that_every_packet_comes_twice)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    rig->doubled = true;
    CHECK(shake(client));
    round_trip(client, "twice");
    CHECK_INT(rig->datagrams, 1); /* a replayed record is none */
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    rig_free(rig);
}

TEST(versions_and_suites_that_are_not_good_enough_are_refused)
{
    const struct {
        int version;
        const char *suites;
        bool works;
    } rows[] = {{DTLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", true},
                {DTLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true},
                {DTLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false},
                {DTLS1_VERSION, "ALL", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_new(rig, 1000);
        SSL_set_max_proto_version(client->ssl, rows[i].version);
        SSL_set_cipher_list(client->ssl, rows[i].suites);
        CHECK_INT(shake(client), rows[i].works);
        CHECK_INT(dtls_sessions(rig->dtls), rows[i].works);
        rig_free(rig);
    }
}

TEST(a_goodbye_ends_the_session_and_is_told_once)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    CHECK(shake(client));
    round_trip(client, "x");
    SSL_shutdown(client->ssl);
    rig_pump(rig);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    CHECK_INT(rig->closed, 1);
    CHECK(!dtls_send(rig->dtls, &client->flow, view_text("late")));
    dtls_keep(rig->dtls, &client->flow, true);
    rig_free(rig);
}

TEST(a_session_that_is_closed_says_goodbye_and_is_told_of)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000), *other = client_new(rig, 1001);
    CHECK(shake(client) && shake(other));
    round_trip(client, "x");
    dtls_close(rig->dtls, &client->flow);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    CHECK_INT(rig->closed, 1);
    client_run(client, dequeue(&client->inbox));
    CHECK_INT(SSL_get_shutdown(client->ssl), SSL_RECEIVED_SHUTDOWN);
    dtls_close(rig->dtls, &client->flow); /* there is none any more */
    round_trip(other, "y");
    rig_free(rig);
}

TEST(the_end_of_all_says_goodbye_and_tells_only_of_known_flows)
{
    struct rig *rig = rig_new(100, 100);
    struct client *known = client_new(rig, 1000), *silent = client_new(rig, 1001);
    CHECK(shake(known) && shake(silent));
    round_trip(known, "x");
    const unsigned before = rig->transmitted;
    dtls_free(rig->dtls);
    rig->dtls = NULL;
    CHECK_INT(rig->closed, 1);
    CHECK_INT(rig->transmitted, before + 2);
    client_run(silent, dequeue(&silent->inbox));
    CHECK_INT(SSL_get_shutdown(silent->ssl), SSL_RECEIVED_SHUTDOWN);
    rig_free(rig);
}

TEST(a_new_handshake_with_a_cookie_replaces_the_session_and_one_without_does_not)
{
    struct rig *rig = rig_new(100, 100);
    struct client *old = client_new(rig, 1000);
    CHECK(shake(old));
    round_trip(old, "old");
    struct client *new = client_new(rig, 1000); /* the same 5-tuple */
    client_run(new, view_of(NULL, 0));
    const struct datagram first = next_of(new);
    dtls_receive(rig->dtls, &new->flow, view_of(first.bytes, first.len), clock_ms);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    CHECK_INT(rig->closed, 0);
    say(old, "still here");
    CHECK_INT(rig->datagrams, 2);
    CHECK(shake(new));
    CHECK_INT(rig->closed, 1);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    round_trip(new, "new");
    CHECK_INT(rig->datagrams, 3);
    say(old, "gone");
    CHECK_INT(rig->datagrams, 3);
    CHECK_INT(rig->closed, 1);
    rig_free(rig);
}

TEST(a_hello_that_comes_again_does_not_harm_its_session)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    client_run(client, view_of(NULL, 0));
    const struct datagram first = next_of(client);
    dtls_receive(rig->dtls, &client->flow, view_of(first.bytes, first.len), clock_ms);
    client_run(client, dequeue(&client->inbox));
    const struct datagram second = next_of(client);
    dtls_receive(rig->dtls, &client->flow, view_of(second.bytes, second.len), clock_ms);
    dtls_receive(rig->dtls, &client->flow, view_of(second.bytes, second.len), clock_ms);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    CHECK(shake(client));
    round_trip(client, "a");
    dtls_receive(rig->dtls, &client->flow, view_of(second.bytes, second.len), clock_ms);
    dtls_receive(rig->dtls, &client->flow, view_of(first.bytes, first.len), clock_ms);
    CHECK_INT(rig->closed, 0);
    dequeue(&client->inbox);
    round_trip(client, "b");
    rig_free(rig);
}

TEST(what_is_no_valid_record_is_ignored)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    CHECK(shake(client));
    round_trip(client, "before");
    CHECK(SSL_write(client->ssl, "hidden", 6) == 6);
    const struct datagram good = next_of(client);
    for (size_t len = 0; len < good.len; len++) {
        uint8_t *cut = test_guarded(good.bytes, len);
        dtls_receive(rig->dtls, &client->flow, view_of(cut, len), clock_ms);
        test_unguard(cut, len);
    }
    for (size_t i = 0; i < good.len; i++) {
        struct datagram bad = good;
        bad.bytes[i] ^= 0x10;
        dtls_receive(rig->dtls, &client->flow, view_of(bad.bytes, bad.len), clock_ms);
    }
    for (unsigned type = 20; type < 64; type++) {
        uint8_t junk[64] = {(uint8_t)type, 0xfe, 0xfd, [12] = 51};
        dtls_receive(rig->dtls, &client->flow, view_of(junk, sizeof junk), clock_ms);
        junk[4] = 1;
        dtls_receive(rig->dtls, &client->flow, view_of(junk, sizeof junk), clock_ms);
    }
    CHECK_INT(rig->datagrams, 1);
    CHECK_INT(rig->closed, 0);
    dtls_receive(rig->dtls, &client->flow, view_of(good.bytes, good.len), clock_ms);
    dtls_receive(rig->dtls, &client->flow, view_of(good.bytes, good.len), clock_ms); /* a replay */
    CHECK_INT(rig->datagrams, 2);
    CHECK_BYTES(rig->log, "hidden", 6);
    rig_free(rig);
}

/* Each suite has records of its own least length; what is shorter is dropped like any other forgery, RFC 6347 section 4.1.2.7. */
TEST(a_record_too_short_for_its_suite_does_not_end_the_session)
{
    static const char *const suites[] = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"};
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_new(rig, 1000);
        CHECK(SSL_set_cipher_list(client->ssl, suites[i]) == 1);
        CHECK(shake(client));
        CHECK_TEXT(SSL_get_cipher_name(client->ssl), suites[i]);
        for (uint8_t len = 0; len < 40; len++) {
            uint8_t forged[13 + 40] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, (uint8_t)(100 + len), 0, len};
            dtls_receive(rig->dtls, &client->flow, view_of(forged, (size_t)13 + len), clock_ms);
        }
        round_trip(client, "x");
        CHECK_INT(rig->closed, 0);
        rig_free(rig);
    }
}

TEST(without_a_session_nothing_but_a_hello_is_answered)
{
    struct rig *rig = rig_new(100, 100);
    const struct flow flow = {.client = loopback(2, 9), .server = loopback(1, 3478), .link = 77};
    for (unsigned type = 0; type < 256; type++) {
        const uint8_t junk[40] = {(uint8_t)type, 0xfe, 0xfd, [12] = 27, [13] = 2};
        dtls_receive(rig->dtls, &flow, view_of(junk, sizeof junk), clock_ms);
    }
    CHECK_INT(rig->transmitted, 0);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    rig_free(rig);
}

/* half_open: a client whose hello with cookie was answered and who says no more. */
static struct client *half_open(struct rig *rig, uint16_t port)
{
    struct client *client = client_new(rig, port);
    client_run(client, view_of(NULL, 0));
    for (int i = 0; i < 2; i++) {
        const struct datagram hello = next_of(client);
        dtls_receive(rig->dtls, &client->flow, view_of(hello.bytes, hello.len), clock_ms);
        if (i == 0)
            client_run(client, dequeue(&client->inbox));
    }
    client->failed = true; /* it says nothing more by itself */
    client->inbox.next = client->inbox.count = 0;
    return client;
}

TEST(half_open_sessions_end_at_their_deadline_however_they_retransmit)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = half_open(rig, 1000);
    const unsigned before = rig->transmitted;
    for (int i = 0; i < 97; i++) {
        clock_ms += 100;
        dtls_tick(rig->dtls, clock_ms);
        client->inbox.next = client->inbox.count = 0;
    }
    CHECK(rig->transmitted > before); /* the server's flight, again */
    CHECK(rig->transmitted < before + 20);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    clock_ms += 300;
    dtls_tick(rig->dtls, clock_ms);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    CHECK_INT(rig->closed, 0);
    rig_free(rig);
}

TEST(half_open_sessions_are_capped_and_the_oldest_makes_room)
{
    struct rig *rig = rig_new(100, 3);
    struct client *shaken = client_new(rig, 999);
    CHECK(shake(shaken));
    for (uint16_t i = 0; i < 8; i++)
        half_open(rig, (uint16_t)(1000 + i));
    CHECK_INT(dtls_sessions(rig->dtls), 1 + 3);
    struct client *late = client_new(rig, 2000);
    CHECK(shake(late));
    round_trip(late, "late");
    round_trip(shaken, "as before");
    rig_free(rig);
}

TEST(sessions_are_capped)
{
    struct rig *rig = rig_new(2, 100);
    struct client *one = client_new(rig, 1), *two = client_new(rig, 2), *three = client_new(rig, 3);
    CHECK(shake(one) && shake(two));
    CHECK(!shake(three));
    CHECK_INT(dtls_sessions(rig->dtls), 2);
    round_trip(one, "one");
    round_trip(two, "two");
    rig_free(rig);
}

TEST(a_source_has_so_many_sessions_and_others_find_room)
{
    struct rig *rig = rig_limited(100, 1, 2);
    struct client *one = client_new(rig, 1), *two = client_new(rig, 2), *three = client_new(rig, 3), *other = client_new(rig, 4);
    other->flow.client = loopback(5, 1);
    CHECK(shake(one) && shake(two));
    CHECK(!shake(three));
    CHECK(shake(other));
    CHECK_INT(dtls_sessions(rig->dtls), 3);
    SSL_shutdown(one->ssl);
    rig_pump(rig);
    CHECK_INT(dtls_sessions(rig->dtls), 2);
    struct client *four = client_new(rig, 5);
    CHECK(shake(four));
    round_trip(four, "four");
    rig_free(rig);
}

TEST(an_idle_session_ends_with_a_goodbye_and_a_kept_one_stays)
{
    struct rig *rig = rig_new(100, 100);
    struct client *idle = client_new(rig, 1), *busy = client_new(rig, 2), *kept = client_new(rig, 3);
    CHECK(shake(idle) && shake(busy) && shake(kept));
    round_trip(idle, "x");
    round_trip(busy, "x");
    rig->keep = true;
    round_trip(kept, "x");
    rig->keep = false;
    rig_wait(rig, 40000);
    round_trip(busy, "x"); /* counts from its last datagram */
    rig_wait(rig, 30000);
    CHECK_INT(dtls_sessions(rig->dtls), 2);
    CHECK_INT(rig->closed, 1);
    CHECK(SSL_get_shutdown(idle->ssl) & SSL_RECEIVED_SHUTDOWN);
    rig_wait(rig, 100000);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    round_trip(kept, "x");
    dtls_keep(rig->dtls, &kept->flow, false);
    rig_wait(rig, 59000);
    CHECK_INT(dtls_sessions(rig->dtls), 1);
    rig_wait(rig, 2000);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    CHECK_INT(rig->closed, 3);
    rig_free(rig);
}

TEST(a_datagram_longer_than_a_record_is_not_sent)
{
    struct rig *rig = rig_new(100, 100);
    struct client *client = client_new(rig, 1000);
    uint8_t *bytes = calloc(1, DTLS_MAX + 1);
    CHECK(shake(client));
    CHECK(!dtls_send(rig->dtls, &client->flow, view_of(bytes, DTLS_MAX + 1)));
    CHECK(!dtls_send(rig->dtls, &client->flow, view_of(bytes, 0)));
    CHECK(dtls_send(rig->dtls, &client->flow, view_of(bytes, 1500)));
    free(bytes);
    rig_free(rig);
}

TEST(a_session_without_memory_is_none)
{
    for (long n = 0; n < 8; n++) {
        struct rig *rig = rig_new(100, 100);
        struct client *client = client_new(rig, 1000);
        test_fail_malloc_after(n);
        client_run(client, view_of(NULL, 0));
        rig_pump(rig);
        test_fail_malloc_after(-1);
        CHECK(shake(client)); /* it asks again */
        round_trip(client, "x");
        rig_free(rig);
    }
}

TEST(an_idle_session_costs_little_and_all_is_given_back_in_the_end)
{
    struct rig *rig = rig_new(200, 200);
    struct client *first = client_new(rig, 999);
    CHECK(shake(first)); /* what OpenSSL makes once */
    const size_t before = mallinfo2().uordblks;
    for (uint16_t i = 0; i < 50; i++) {
        struct client *client = client_new(rig, (uint16_t)(1000 + i));
        CHECK(shake(client));
        client_free(client);
    }
    const size_t silent = mallinfo2().uordblks - before;
    for (uint16_t i = 0; i < 50; i++) {
        struct client *client = client_new(rig, (uint16_t)(2000 + i));
        CHECK(shake(client));
        round_trip(client, "x");
        client_free(client);
    }
    CHECK_INT(dtls_sessions(rig->dtls), 101);
    const size_t heard = mallinfo2().uordblks - before - silent;
    if (before)
        printf("# a DTLS session: %zu bytes after its handshake, %zu once its client sent data\n", silent / 50, heard / 50);
    CHECK(silent <= 50 * 40000 && heard <= 50 * 1500);
    rig_wait(rig, 20000);
    round_trip(first, "awake again");
    rig_wait(rig, 20000);
    CHECK(dtls_send(rig->dtls, &first->flow, view_text("from here")));
    rig_pump(rig);
    CHECK_BYTES(first->back, "from here", 9);
    rig_wait(rig, 61000);
    CHECK_INT(dtls_sessions(rig->dtls), 0);
    CHECK(SSL_get_shutdown(first->ssl) & SSL_RECEIVED_SHUTDOWN);
    CHECK(mallinfo2().uordblks < before + 20000);
    rig_free(rig);
}

TEST_LIST(
    RUN(a_client_shakes_hands_and_datagrams_go_both_ways)
    RUN(each_datagram_has_its_own_mark)
    RUN(a_handshake_survives_the_loss_of_any_one_packet)
    RUN(a_handshake_survives_that_every_packet_comes_twice)
    RUN(versions_and_suites_that_are_not_good_enough_are_refused)
    RUN(a_goodbye_ends_the_session_and_is_told_once)
    RUN(a_session_that_is_closed_says_goodbye_and_is_told_of)
    RUN(the_end_of_all_says_goodbye_and_tells_only_of_known_flows)
    RUN(a_new_handshake_with_a_cookie_replaces_the_session_and_one_without_does_not)
    RUN(a_hello_that_comes_again_does_not_harm_its_session)
    RUN(what_is_no_valid_record_is_ignored)
    RUN(a_record_too_short_for_its_suite_does_not_end_the_session)
    RUN(without_a_session_nothing_but_a_hello_is_answered)
    RUN(half_open_sessions_end_at_their_deadline_however_they_retransmit)
    RUN(half_open_sessions_are_capped_and_the_oldest_makes_room)
    RUN(sessions_are_capped)
    RUN(a_source_has_so_many_sessions_and_others_find_room)
    RUN(an_idle_session_ends_with_a_goodbye_and_a_kept_one_stays)
    RUN(a_datagram_longer_than_a_record_is_not_sent)
    RUN(a_session_without_memory_is_none)
    RUN(an_idle_session_costs_little_and_all_is_given_back_in_the_end))
