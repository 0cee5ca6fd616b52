/* a second socket on a relay socket's port, connected to one peer, over loopback */
#include "base/err.h"
#include "udp_rig.h"

#include <string.h>

/* struct line: a relay socket, and one on its port to `pair`'s b; its a is another peer. */
struct line {
    struct pair pair;
    int relay, fd;
    struct addr at;
};

static struct line line_of(struct addr local)
{
    struct line line = {.pair = pair_of(local, local), .relay = udp_relay(&local)};
    line.at = socket_local(line.relay);
    line.fd = udp_line(line.relay, &line.pair.at_b);
    CHECK(line.relay >= 0 && line.fd >= 0);
    return line;
}

static void line_close(struct line *line)
{
    close(line->fd);
    close(line->relay);
    pair_close(&line->pair);
}

static void sends(struct line *line, int from, const char *text)
{
    udp_put(line->pair.out, from, &line->at, NULL, view_text(text));
    udp_flush(line->pair.out);
}

/* comes: the text is all that is there, and from whom. */
static struct addr comes(struct line *line, int fd, const char *text)
{
    CHECK_INT(receive(&line->pair, fd, UDP_BATCH), 1);
    const struct packet packet = udp_packet(line->pair.in, 0);
    CHECK(view_equal(view_of(packet.at, packet.len), view_text(text)));
    return udp_from(line->pair.in, 0);
}

static void both_ways(struct addr local)
{
    struct line line = line_of(local);
    sends(&line, line.pair.b, "from its peer");
    sends(&line, line.pair.a, "from another");
    const struct addr peer = comes(&line, line.fd, "from its peer"), other = comes(&line, line.relay, "from another");
    CHECK(addr_equal(&peer, &line.pair.at_b));
    CHECK(addr_equal(&other, &line.pair.at_a));
    udp_put(line.pair.out, line.fd, &line.pair.at_b, NULL, view_text("on the line"));
    udp_on_line(line.pair.out);
    udp_put(line.pair.out, line.relay, &line.pair.at_a, NULL, view_text("beside it"));
    udp_flush(line.pair.out);
    const struct addr from_line = comes(&line, line.pair.b, "on the line"), from_relay = comes(&line, line.pair.a, "beside it");
    CHECK(addr_equal(&from_line, &line.at));
    CHECK(addr_equal(&from_relay, &line.at));
    line_close(&line);
}

TEST(a_line_has_what_its_peer_sends_and_the_relay_socket_the_rest)
{
    both_ways(loopback(1, 0));
}

TEST(a_line_of_ipv6_has_what_its_peer_sends_and_the_relay_socket_the_rest)
{
    need_ipv6();
    both_ways(loopback6(0));
}

TEST(a_line_that_moves_has_what_the_next_peer_sends)
{
    struct line line = line_of(loopback(1, 0));
    sends(&line, line.pair.b, "before");
    CHECK_INT(udp_line_move(line.fd, &line.pair.at_a), 0);
    comes(&line, line.fd, "before"); /* nothing is lost */
    sends(&line, line.pair.b, "from the first");
    sends(&line, line.pair.a, "from the next");
    comes(&line, line.fd, "from the next");
    comes(&line, line.relay, "from the first");
    line_close(&line);
}

TEST(what_goes_on_a_line_makes_trains_and_keeps_its_mark)
{
    struct line line = line_of(loopback(1, 0));
    CHECK(udp_ask_mark(line.pair.b, &line.pair.at_b));
    for (int i = 0; i < 4; i++) {
        udp_put(line.pair.out, line.fd, &line.pair.at_b, NULL, view_text(i < 3 ? "long" : "end"));
        udp_on_line(line.pair.out);
        udp_mark(line.pair.out, 46 << 2);
    }
    udp_flush(line.pair.out);
    CHECK_INT(udp_out_counts(line.pair.out)->sent, 4);
    CHECK_INT(udp_out_counts(line.pair.out)->send_calls, 1);
    CHECK_INT(receive(&line.pair, line.pair.b, UDP_BATCH), 4);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(udp_packet(line.pair.in, i).len, i < 3 ? 4 : 3);
        CHECK_INT(udp_packet(line.pair.in, i).mark, 46 << 2);
    }
    line_close(&line);
}

TEST(nobody_else_gets_the_port_of_a_line)
{
    struct line line = line_of(loopback(1, 0));
    CHECK(udp_is_taken(&line.at));
    CHECK_INT(udp_listen(&line.at), ERR_SYSTEM);
    CHECK_INT(udp_relay(&line.at), ERR_BUSY);
    close(line.relay); /* in whichever order they go */
    CHECK(udp_is_taken(&line.at));
    close(line.fd);
    line.relay = udp_relay(&line.at);
    CHECK(line.relay >= 0);
    line.fd = udp_line(line.relay, &line.pair.at_b);
    CHECK(line.fd >= 0);
    line_close(&line);
}

TEST(a_line_is_told_that_its_peer_refused)
{
    struct line line = line_of(loopback(1, 0));
    struct peer_error error;
    close(line.pair.b);
    udp_put(line.pair.out, line.fd, &line.pair.at_b, NULL, view_text("anybody?"));
    udp_on_line(line.pair.out);
    udp_flush(line.pair.out);
    CHECK_INT(receive(&line.pair, line.fd, UDP_BATCH), 0);
    CHECK(udp_has_errors(line.pair.in));
    CHECK_INT(udp_error(line.fd, &error), 0);
    CHECK(addr_equal(&error.peer, &line.pair.at_b));
    CHECK_INT(error.type, 3);
    CHECK_INT(error.code, 3);
    line.pair.b = udp_listen(&line.pair.at_b);
    line_close(&line);
}

TEST_LIST(RUN(a_line_has_what_its_peer_sends_and_the_relay_socket_the_rest) RUN(a_line_of_ipv6_has_what_its_peer_sends_and_the_relay_socket_the_rest)
              RUN(a_line_that_moves_has_what_the_next_peer_sends) RUN(what_goes_on_a_line_makes_trains_and_keeps_its_mark)
                  RUN(nobody_else_gets_the_port_of_a_line) RUN(a_line_is_told_that_its_peer_refused))
