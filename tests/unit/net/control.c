/* Marks of datagrams and connections, over loopback */
#include "net/control.h"

#include "base/err.h"
#include "stream_rig.h"
#include "udp_rig.h"

/* marked: a datagram from b to a socket that asks, with `mark`, is read as `read`; and one that is answered with it arrives with it. */
static void marked(struct addr any, struct addr client, struct addr target, uint8_t mark, uint8_t read)
{
    struct pair pair = pair_of(any, client);
    CHECK(udp_ask_mark(pair.a, &any) && udp_ask_mark(pair.b, &client));
    target.port = pair.at_a.port;
    udp_put(pair.out, pair.b, &target, NULL, view_text("plain"));
    udp_put(pair.out, pair.b, &target, NULL, view_text("marked"));
    if (mark)
        udp_mark(pair.out, mark);
    udp_put(pair.out, pair.b, &target, NULL, view_text("plain"));
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.a, UDP_BATCH), 3);
    CHECK_INT(udp_packet(pair.in, 0).mark, 0);
    CHECK_INT(udp_packet(pair.in, 1).mark, read);
    CHECK_INT(udp_packet(pair.in, 2).mark, 0);
    const struct addr sent_to = udp_local(pair.in, 1, &pair.at_a);
    CHECK(addr_equal(&sent_to, &target));
    udp_put(pair.out, pair.a, &pair.at_b, &sent_to, view_text("back"));
    if (read)
        udp_mark(pair.out, read);
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.b, UDP_BATCH), 1);
    const struct addr answered_from = udp_from(pair.in, 0);
    CHECK_INT(udp_packet(pair.in, 0).mark, read);
    CHECK(addr_equal(&answered_from, &target));
    pair_close(&pair);
}

static const struct {
    uint8_t mark, read;
} MARKS[] = {
    {0, 0},           {46 << 2, 46 << 2}, {34 << 2 | 2, 34 << 2 | 2}, {8 << 2 | 1, 8 << 2 | 1}, {3, 3}, {47 << 2, 47 << 2}, {48 << 2, 0},
    {56 << 2 | 3, 3}, {255, 3},
};

TEST(a_datagram_of_ipv4_has_the_mark_that_it_was_sent_with_but_none_of_the_routers)
{
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
        marked(loopback(1, 0), loopback(1, 0), loopback(1, 0), MARKS[i].mark, MARKS[i].read);
        marked(addr_v4((const uint8_t[4]){0}, 0), loopback(1, 0), loopback(7, 0), MARKS[i].mark, MARKS[i].read);
    }
}

TEST(a_datagram_of_ipv6_has_the_mark_that_it_was_sent_with_but_none_of_the_routers)
{
    need_ipv6();
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
        marked(loopback6(0), loopback6(0), loopback6(0), MARKS[i].mark, MARKS[i].read);
        marked(addr_v6((const uint8_t[16]){0}, 0), loopback6(0), loopback6(0), MARKS[i].mark, MARKS[i].read);
    }
}

TEST(without_asking_there_is_no_mark)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    udp_put(pair.out, pair.b, &pair.at_a, NULL, view_text("marked"));
    udp_mark(pair.out, 46 << 2);
    udp_flush(pair.out);
    CHECK_INT(receive(&pair, pair.a, UDP_BATCH), 1);
    CHECK_INT(udp_packet(pair.in, 0).mark, 0);
    pair_close(&pair);
}

/* connection_read: what a connection of `family` that was opened with `mark` is read as; what we send with on it comes into *ours. */
static uint8_t connection_read(struct addr at, int mark, bool asks, int *ours)
{
    const bool v6 = at.family == ADDR_IPV6;
    const int listener = socket_bound(SOCK_STREAM, &at, SOCKET_SHARED), fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    CHECK((!asks || control_ask_mark(listener, at.family)) && listen(listener, 1) == 0);
    at = socket_local(listener);
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(&at, &to);
    CHECK(setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &mark, sizeof mark) == 0);
    CHECK(connect(fd, (struct sockaddr *)&to, len) == 0);
    const int accepted = accept(listener, NULL, NULL);
    const uint8_t read = control_connection_mark(accepted, at.family);
    len = sizeof *ours;
    CHECK(getsockopt(accepted, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, ours, &len) == 0);
    close(accepted);
    close(fd);
    close(listener);
    return read;
}

static void connections(struct addr at)
{
    int ours;
    CHECK_INT(connection_read(at, 0, true, &ours), 0);
    CHECK_INT(connection_read(at, 46 << 2, true, &ours), 46 << 2);
    CHECK_INT(ours, 46 << 2);
    CHECK_INT(connection_read(at, 48 << 2, true, &ours), 0);
    CHECK_INT(ours, 0);
    CHECK_INT(connection_read(at, 46 << 2, false, &ours), 0);
    CHECK_INT(ours, 0);
}

TEST(a_connection_of_ipv4_has_the_dscp_that_its_client_opened_it_with)
{
    connections(loopback(1, 0));
}

TEST(a_connection_of_ipv6_has_the_dscp_that_its_client_opened_it_with)
{
    need_ipv6();
    connections(loopback6(0));
}

/* flow_mark: what the flow of a frame says. */
static uint8_t flow_mark(bool marks)
{
    struct rig *rig = rig_new((struct streams_config){.plain = true, .marks = marks});
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(&rig->at, &to);
    const int fd = socket(AF_INET, SOCK_STREAM, 0), mark = 34 << 2;
    CHECK(setsockopt(fd, IPPROTO_IP, IP_TOS, &mark, sizeof mark) == 0 && connect(fd, (struct sockaddr *)&to, len) == 0);
    put(fd, "\x00\x01\x00\x00\x21\x12\xa4\x42transaction", 20);
    struct wanted wanted = {.rig = rig, .number = 1};
    CHECK(loop_until(rig->loop, has_frames, &wanted));
    const uint8_t read = rig->last.mark;
    close(fd);
    rig_free(rig);
    return read;
}

TEST(a_flow_of_a_connection_says_its_mark_where_that_is_wanted)
{
    CHECK_INT(flow_mark(true), 34 << 2);
    CHECK_INT(flow_mark(false), 0);
}

TEST_LIST(RUN(a_datagram_of_ipv4_has_the_mark_that_it_was_sent_with_but_none_of_the_routers)
              RUN(a_datagram_of_ipv6_has_the_mark_that_it_was_sent_with_but_none_of_the_routers) RUN(without_asking_there_is_no_mark)
                  RUN(a_connection_of_ipv4_has_the_dscp_that_its_client_opened_it_with)
                      RUN(a_connection_of_ipv6_has_the_dscp_that_its_client_opened_it_with)
                          RUN(a_flow_of_a_connection_says_its_mark_where_that_is_wanted))
