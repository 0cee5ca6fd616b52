/* UDP sockets and batches, over loopback */
#include "base/err.h"
#include "udp_rig.h"

#include <netinet/in.h>
#include <stdlib.h>

TEST(datagrams_of_a_batch_arrive_whole_and_in_order)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    char texts[UDP_BATCH + 10][8];
    for (int i = 0; i < UDP_BATCH + 10; i++) {
        snprintf(texts[i], sizeof texts[i], "n%d", i);
        udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text(texts[i]));
    }
    CHECK_INT(udp_out_counts(pair.out)->sent, UDP_BATCH); /* the batch was full once */
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, UDP_BATCH + 10);
    CHECK_INT(udp_out_counts(pair.out)->send_calls, 2);
    int seen = 0;
    while (seen < UDP_BATCH + 10) {
        const int got = receive(&pair, pair.b, UDP_BATCH);
        for (int i = 0; i < got; i++, seen++) {
            const struct packet packet = udp_packet(pair.in, i);
            const struct addr from = udp_from(pair.in, i), to = udp_local(pair.in, i, &pair.at_b);
            CHECK(view_equal(view_of(packet.at, packet.len), view_text(texts[seen])));
            CHECK(addr_equal(&from, &pair.at_a));
            CHECK(addr_equal(&to, &pair.at_b));
        }
    }
    udp_reset(pair.in);
    CHECK_INT(udp_receive(pair.in, pair.b, UDP_BATCH), 0);
    CHECK_INT(udp_in_counts(pair.in)->received, UDP_BATCH + 10);
    pair_close(&pair);
}

TEST(what_several_receives_brought_stays_until_the_slots_are_reset)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("first"));
    udp_put(pair.out, pair.b, &pair.at_a, NULL, view_text("second"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 1);
    const struct packet first = udp_packet(pair.in, 0);
    CHECK_INT(udp_room(pair.in), UDP_BATCH - 1);
    CHECK_INT(udp_receive(pair.in, pair.a, UDP_BATCH), 1);
    const struct packet second = udp_packet(pair.in, 0);
    const struct addr from = udp_from(pair.in, 0);
    CHECK(addr_equal(&from, &pair.at_b));
    CHECK(view_equal(view_of(first.at, first.len), view_text("first")));
    CHECK(view_equal(view_of(second.at, second.len), view_text("second")));
    udp_reset(pair.in);
    CHECK_INT(udp_room(pair.in), UDP_BATCH);
    pair_close(&pair);
}

TEST(nothing_is_received_while_no_slot_is_free)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    for (int i = 0; i < UDP_BATCH + 1; i++)
        udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("x"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), UDP_BATCH);
    CHECK_INT(udp_receive(pair.in, pair.b, UDP_BATCH), 0);
    udp_reset(pair.in);
    CHECK_INT(udp_receive(pair.in, pair.b, UDP_BATCH), 1);
    pair_close(&pair);
}

TEST(who_asks_for_one_datagram_gets_one_and_the_rest_stays)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    uint8_t *bytes = calloc(1, UDP_SLOT_BYTES + 1);
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("first"));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, UDP_SLOT_BYTES + 1)); /* longer than a slot */
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("last"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, 1), 1);
    const struct packet first = udp_packet(pair.in, 0);
    const struct addr from = udp_from(pair.in, 0);
    CHECK(addr_equal(&from, &pair.at_a));
    CHECK_INT(udp_receive(pair.in, pair.b, 1), 0);
    CHECK(!udp_has_errors(pair.in));
    CHECK_INT(udp_in_counts(pair.in)->truncated, 1);
    CHECK_INT(udp_receive(pair.in, pair.b, 1), 1);
    const struct packet last = udp_packet(pair.in, 0);
    CHECK(view_equal(view_of(first.at, first.len), view_text("first")));
    CHECK(view_equal(view_of(last.at, last.len), view_text("last")));
    CHECK_INT(udp_receive(pair.in, pair.b, 1), 0);
    CHECK(udp_has_errors(pair.in));
    free(bytes);
    pair_close(&pair);
}

TEST(order_holds_on_each_socket_when_sockets_alternate)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    char texts[20][8];
    for (int i = 0; i < 20; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", i);
        udp_put(pair.out, i % 3 ? pair.a : pair.b, &pair.at_b, NULL, view_text(texts[i]));
    }
    udp_flush(pair.out);
    int last_of[2] = {-1, -1}, seen = 0;
    while (seen < 20) {
        const int got = receive(&pair, pair.b, 7);
        for (int i = 0; i < got; i++, seen++) {
            char text[8];
            const struct packet packet = udp_packet(pair.in, i);
            const struct addr from = udp_from(pair.in, i);
            const int number = atoi(view_copy(view_of(packet.at, packet.len), text, sizeof text)), side = addr_equal(&from, &pair.at_b);
            CHECK_INT(number % 3 == 0, side);
            CHECK(number > last_of[side]);
            last_of[side] = number;
        }
    }
    pair_close(&pair);
}

TEST(headroom_and_tailroom_are_writable_and_apart)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    for (int i = 0; i < 3; i++)
        udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text(i == 1 ? "middle" : "side"));
    udp_flush(pair.out);
    for (int seen = 0; seen < 3;)
        seen += receive(&pair, pair.b, 3) == 3 ? 3 : (test_failed(__FILE__, __LINE__, "not one batch"), 0);
    const struct packet middle = udp_packet(pair.in, 1);
    memset(middle.at - ENGINE_HEADROOM, 0xEE, ENGINE_HEADROOM);
    memset(middle.at + middle.len, 0xEE, ENGINE_TAILROOM);
    for (int i = 0; i < 3; i++) {
        const struct packet packet = udp_packet(pair.in, i);
        CHECK(view_equal(view_of(packet.at, packet.len), view_text(i == 1 ? "middle" : "side")));
    }
    pair_close(&pair);
}

TEST(a_datagram_that_fills_the_slot_passes_and_a_longer_one_is_counted)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    uint8_t *bytes = calloc(1, UDP_SLOT_BYTES + 1);
    bytes[UDP_SLOT_BYTES - 1] = 7;
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, UDP_SLOT_BYTES + 1));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, UDP_SLOT_BYTES));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, 0));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 2);
    CHECK_INT(udp_packet(pair.in, 0).len, UDP_SLOT_BYTES);
    CHECK_INT(udp_packet(pair.in, 0).at[UDP_SLOT_BYTES - 1], 7);
    CHECK_INT(udp_packet(pair.in, 1).len, 0);
    CHECK_INT(udp_in_counts(pair.in)->truncated, 1);
    free(bytes);
    pair_close(&pair);
}

/* wildcard: what is sent to `target` of a listener on any address is told apart, and answered from there. */
static void wildcard(struct addr any, struct addr client, struct addr target)
{
    struct pair pair = pair_of(any, client);
    target.port = pair.at_a.port;
    udp_put(pair.out, pair.b, &target, NULL, view_text("to"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.a, UDP_BATCH), 1);
    const struct addr sent_to = udp_local(pair.in, 0, &pair.at_a);
    CHECK(addr_equal(&sent_to, &target));
    udp_put(pair.out, pair.a, &pair.at_b, &sent_to, view_text("back"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 1);
    const struct addr answered_from = udp_from(pair.in, 0);
    CHECK(addr_equal(&answered_from, &target));
    pair_close(&pair);
}

TEST(a_listener_on_any_ipv4_address_knows_and_uses_the_one_it_was_sent_to)
{
    wildcard(addr_v4((const uint8_t[4]){0}, 0), loopback(1, 0), loopback(7, 0));
}

TEST(a_listener_on_any_ipv6_address_knows_and_uses_the_one_it_was_sent_to)
{
    need_ipv6();
    wildcard(addr_v6((const uint8_t[16]){0}, 0), loopback6(0), loopback6(0));
}

TEST(copied_bytes_may_change_after_the_put)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    char reply[] = "first";
    udp_put_copy(pair.out, pair.a, &pair.at_b, NULL, view_text(reply));
    memcpy(reply, "other", 5);
    udp_put_copy(pair.out, pair.a, &pair.at_b, NULL, view_text(reply));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 2);
    CHECK_BYTES(udp_packet(pair.in, 0).at, "first", 5);
    CHECK_BYTES(udp_packet(pair.in, 1).at, "other", 5);
    pair_close(&pair);
}

TEST(copies_beyond_the_arena_flush_first_and_an_impossible_one_is_counted)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    uint8_t *bytes = calloc(1, 200000);
    udp_put_copy(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, 200000));
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 1);
    for (int i = 0; i < 5; i++)
        udp_put_copy(pair.out, pair.a, &pair.at_b, NULL, view_of(bytes, 60000));
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, 5);
    CHECK_INT(udp_out_counts(pair.out)->send_calls, 3);
    free(bytes);
    pair_close(&pair);
}

TEST(a_datagram_that_cannot_go_is_counted_and_the_rest_goes)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const struct addr nowhere = loopback(1, 0); /* port 0: EINVAL */
    uint8_t *too_long = calloc(1, 70000);       /* EMSGSIZE */
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("one"));
    udp_put(pair.out, pair.a, &nowhere, NULL, view_text("none"));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_of(too_long, 70000));
    udp_put(pair.out, pair.a, &pair.at_b, NULL, view_text("two"));
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, 2);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 2);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 2);
    CHECK_BYTES(udp_packet(pair.in, 1).at, "two", 3);
    free(too_long);
    pair_close(&pair);
}

TEST(a_refused_connection_is_drained_and_counted)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    struct sockaddr_storage to;
    const struct addr closed = pair.at_b;
    const socklen_t len = addr_to_sockaddr(&closed, &to);
    close(pair.b);
    CHECK(connect(pair.a, (struct sockaddr *)&to, len) == 0); /* only a connected socket is told */
    CHECK(send(pair.a, "x", 1, 0) == 1);
    CHECK_INT(receive(&pair, pair.a, UDP_BATCH), 0);
    CHECK_INT(udp_in_counts(pair.in)->receive_errors, 1);
    pair.b = udp_listen(&closed);
    CHECK(pair.b >= 0);
    udp_put(pair.out, pair.b, &pair.at_a, NULL, view_text("alive"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.a, UDP_BATCH), 1);
    pair_close(&pair);
}

TEST(a_socket_that_is_none_is_an_error)
{
    struct udp_in *in = udp_in_new();
    CHECK_INT(udp_receive(in, -1, UDP_BATCH), ERR_SYSTEM);
    udp_in_free(in);
}

TEST(listeners_share_a_port_and_are_noticed_and_a_relay_socket_is_alone)
{
    struct addr at = loopback(1, 0);
    const int first = udp_listen(&at);
    at = socket_local(first);
    const int second = udp_listen(&at);
    CHECK(first >= 0 && second >= 0);
    CHECK(udp_is_taken(&at));
    CHECK_INT(udp_relay(&at), ERR_BUSY);
    close(first);
    close(second);
    CHECK(!udp_is_taken(&at));
    const int relay = udp_relay(&at);
    CHECK(relay >= 0);
    CHECK(udp_is_taken(&at));
    CHECK_INT(udp_listen(&at), ERR_SYSTEM);
    CHECK_INT(errno, EADDRINUSE);
    close(relay);
    at.port = 0;
    CHECK(!udp_is_taken(&at));
}

TEST(both_families_listen_on_the_same_port)
{
    need_ipv6();
    struct addr v4 = addr_v4((const uint8_t[4]){0}, 0);
    const int first = udp_listen(&v4);
    const struct addr v6 = addr_v6((const uint8_t[16]){0}, socket_local(first).port);
    const int second = udp_listen(&v6);
    CHECK(first >= 0 && second >= 0);
    close(first);
    close(second);
}

TEST(sockets_do_not_set_df_and_leave_the_ttl_alone)
{
    const struct addr at = loopback(1, 0);
    const int fds[2] = {udp_listen(&at), udp_relay(&at)};
    for (int i = 0; i < 2; i++) {
        int value = -1;
        socklen_t len = sizeof value;
        CHECK(getsockopt(fds[i], IPPROTO_IP, IP_MTU_DISCOVER, &value, &len) == 0);
        CHECK_INT(value, i == 0 ? IP_PMTUDISC_DONT : IP_PMTUDISC_OMIT); /* neither sets DF */
        CHECK(getsockopt(fds[i], IPPROTO_IP, IP_TTL, &value, &len) == 0);
        CHECK(value >= 64);
        close(fds[i]);
    }
}

TEST(the_packet_path_allocates_nothing)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    test_fail_malloc_after(0);
    for (int i = 0; i < 10; i++) {
        udp_put(pair.out, pair.a, &pair.at_b, &pair.at_a, view_text("borrowed"));
        udp_put_copy(pair.out, pair.a, &pair.at_b, NULL, view_text("copied"));
    }
    udp_flush(pair.out);
    const int got = receive(&pair, pair.b, UDP_BATCH);
    const long mallocs = test_mallocs();
    test_fail_malloc_after(-1);
    CHECK_INT(got, 20);
    CHECK_INT(mallocs, 0);
    pair_close(&pair);
}

TEST_LIST(
    RUN(datagrams_of_a_batch_arrive_whole_and_in_order)
    RUN(what_several_receives_brought_stays_until_the_slots_are_reset)
    RUN(nothing_is_received_while_no_slot_is_free)
    RUN(who_asks_for_one_datagram_gets_one_and_the_rest_stays)
    RUN(order_holds_on_each_socket_when_sockets_alternate)
    RUN(headroom_and_tailroom_are_writable_and_apart)
    RUN(a_datagram_that_fills_the_slot_passes_and_a_longer_one_is_counted)
    RUN(a_listener_on_any_ipv4_address_knows_and_uses_the_one_it_was_sent_to)
    RUN(a_listener_on_any_ipv6_address_knows_and_uses_the_one_it_was_sent_to)
    RUN(copied_bytes_may_change_after_the_put)
    RUN(copies_beyond_the_arena_flush_first_and_an_impossible_one_is_counted)
    RUN(a_datagram_that_cannot_go_is_counted_and_the_rest_goes)
    RUN(a_refused_connection_is_drained_and_counted)
    RUN(a_socket_that_is_none_is_an_error)
    RUN(listeners_share_a_port_and_are_noticed_and_a_relay_socket_is_alone)
    RUN(both_families_listen_on_the_same_port)
    RUN(sockets_do_not_set_df_and_leave_the_ttl_alone)
    RUN(the_packet_path_allocates_nothing))
