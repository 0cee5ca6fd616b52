/* what relay sockets are told of datagrams that did not arrive, and DF, over loopback */
#include "base/err.h"
#include "udp_rig.h"

#include <netinet/in.h>
#include <stdlib.h>

static struct addr closed_port(void)
{
    const struct addr any = loopback(1, 0);
    const int fd = udp_relay(&any);
    const struct addr at = socket_local(fd);
    close(fd);
    return at;
}

static void await_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK(poll(&readable, 1, PATIENCE_MS) == 1);
}

TEST(a_relay_socket_is_told_which_peer_refused)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const struct addr any = loopback(1, 0), closed = closed_port();
    const int relay = udp_relay(&any);
    struct peer_error error;
    CHECK_INT(udp_error(relay, &error), ERR_NOT_FOUND);
    udp_put(pair.out, relay, &closed, NULL, view_text("anybody?"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, relay, UDP_BATCH), 0);
    CHECK(udp_has_errors(pair.in));
    CHECK_INT(udp_error(relay, &error), 0);
    CHECK(addr_equal(&error.peer, &closed));
    CHECK_INT(error.type, 3);
    CHECK_INT(error.code, 3);
    CHECK_INT(udp_error(relay, &error), ERR_NOT_FOUND);
    const struct addr at = socket_local(relay);
    udp_put(pair.out, pair.a, &at, NULL, view_text("data"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, relay, UDP_BATCH), 1);
    CHECK(!udp_has_errors(pair.in));
    close(relay);
    pair_close(&pair);
}

TEST(a_relay_socket_is_told_over_ipv6)
{
    need_ipv6();
    struct pair pair = pair_of(loopback6(0), loopback6(0));
    const struct addr any = loopback6(0), closed = pair.at_b;
    const int relay = udp_relay(&any);
    struct peer_error error;
    close(pair.b);
    udp_put(pair.out, relay, &closed, NULL, view_text("anybody?"));
    udp_flush(pair.out);
    await_readable(relay);
    CHECK_INT(udp_error(relay, &error), 0);
    CHECK(addr_equal(&error.peer, &closed));
    CHECK_INT(error.type, 1); /* ICMPv6: destination unreachable, port */
    CHECK_INT(error.code, 4);
    close(relay);
    pair.b = udp_listen(&closed);
    pair_close(&pair);
}

TEST(a_refusal_costs_no_datagram_to_another_peer)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const struct addr any = loopback(1, 0), closed = closed_port();
    const int relay = udp_relay(&any);
    struct peer_error error;
    for (size_t i = 1; i <= 10; i++) { /* each longer than the last: they go one by one, and are refused so */
        udp_put(pair.out, relay, &closed, NULL, view_of("anybody there?", i));
        udp_put(pair.out, relay, &pair.at_b, NULL, view_of("hello there", i));
    }
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, 20);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 0);
    int seen = 0;
    while (seen < 10)
        seen += receive(&pair, pair.b, UDP_BATCH);
    CHECK_INT(seen, 10);
    CHECK_INT(receive(&pair, relay, UDP_BATCH), 0); /* a send may have met the error: readable for the queue alone */
    CHECK(udp_has_errors(pair.in));
    int told = 0;
    while (udp_error(relay, &error) == 0)
        told++;
    CHECK_INT(told, 10);
    struct pollfd quiet = {.fd = relay, .events = POLLIN};
    CHECK_INT(poll(&quiet, 1, 0), 0);
    close(relay);
    pair_close(&pair);
}

TEST(a_datagram_that_must_stay_whole_and_is_too_long_is_told_and_the_rest_goes)
{
    need_ipv6();
    struct pair pair = pair_of(loopback6(0), loopback6(0));
    const struct addr any = loopback6(0);
    const int relay = udp_relay(&any);
    uint8_t *bytes = calloc(1, 65500); /* with its headers more than the 65,536 bytes of loopback's link */
    struct peer_error error;
    udp_put(pair.out, relay, &pair.at_b, NULL, view_text("first"));
    udp_keep_whole(pair.out);
    udp_put(pair.out, relay, &pair.at_b, NULL, view_of(bytes, 65500));
    udp_keep_whole(pair.out);
    udp_put(pair.out, relay, &pair.at_b, NULL, view_of(bytes, 65500)); /* goes in fragments, and is too long for a slot */
    udp_put(pair.out, relay, &pair.at_b, NULL, view_text("last"));
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, 3);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 1);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 2);
    CHECK_BYTES(udp_packet(pair.in, 0).at, "first", 5);
    CHECK_BYTES(udp_packet(pair.in, 1).at, "last", 4);
    CHECK_INT(udp_in_counts(pair.in)->truncated, 1);
    CHECK_INT(receive(&pair, relay, UDP_BATCH), 0);
    CHECK(udp_has_errors(pair.in));
    CHECK_INT(udp_error(relay, &error), 0);
    CHECK(addr_equal_ip(&error.peer, &pair.at_b));
    CHECK_INT(error.type, 2);
    CHECK_INT(error.code, 0);
    CHECK_INT(error.data, 65536);
    free(bytes);
    close(relay);
    pair_close(&pair);
}

TEST(df_is_of_the_datagram_and_costs_the_others_no_call)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const struct addr any = loopback(1, 0);
    const int relay = udp_relay(&any);
    char text[] = "0";
    for (; text[0] < '9'; text[0]++) {
        udp_put_copy(pair.out, relay, &pair.at_b, NULL, view_text(text));
        if (text[0] >= '3' && text[0] < '6')
            udp_keep_whole(pair.out);
    }
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->send_calls, 3);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 9);
    for (int i = 0; i < 9; i++)
        CHECK_INT(udp_packet(pair.in, i).at[0], '0' + i);
    int mode = -1;
    socklen_t len = sizeof mode;
    CHECK(getsockopt(relay, IPPROTO_IP, IP_MTU_DISCOVER, &mode, &len) == 0);
    CHECK_INT(mode, IP_PMTUDISC_OMIT);
    udp_put(pair.out, relay, &pair.at_b, NULL, view_text("9"));
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->send_calls, 4);
    close(relay);
    pair_close(&pair);
}

TEST_LIST(RUN(a_relay_socket_is_told_which_peer_refused) RUN(a_relay_socket_is_told_over_ipv6)
              RUN(a_refusal_costs_no_datagram_to_another_peer)
                  RUN(a_datagram_that_must_stay_whole_and_is_too_long_is_told_and_the_rest_goes)
                      RUN(df_is_of_the_datagram_and_costs_the_others_no_call))
