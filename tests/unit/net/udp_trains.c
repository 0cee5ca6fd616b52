/* datagrams that leave as one train, over loopback */
#include "udp_rig.h"

#include <string.h>

/* pattern: bytes that no other datagram of the test has. */
static struct view pattern(uint8_t number, size_t len)
{
    static uint8_t bytes[256][1400];
    for (size_t i = 0; i < len; i++)
        bytes[number][i] = (uint8_t)(number * 7 + i * (number + 1u));
    return view_of(bytes[number], len);
}

/* comes: the next datagrams there are these, whole and in this order. */
static void comes(struct pair *pair, int fd, const uint8_t *numbers, const size_t *lens, int count)
{
    for (int seen = 0; seen < count;) {
        const int got = receive(pair, fd, UDP_BATCH);
        CHECK(got <= count - seen);
        for (int i = 0; i < got; i++, seen++) {
            const struct packet packet = udp_packet(pair->in, i);
            CHECK(view_equal(view_of(packet.at, packet.len), pattern(numbers[seen], lens[seen])));
        }
    }
}

static uint64_t calls(const struct pair *pair)
{
    return udp_out_counts(pair->out)->send_calls;
}

static void need_trains(struct pair *pair)
{
    const uint64_t before = calls(pair);
    udp_put(pair->out, pair->a, &pair->at_b, NULL, pattern(250, 100));
    udp_put(pair->out, pair->a, &pair->at_b, NULL, pattern(251, 100));
    udp_put(pair->out, pair->b, &pair->at_a, NULL, pattern(252, 100));
    udp_put(pair->out, pair->a, &pair->at_b, NULL, pattern(253, 100));
    udp_flush(pair->out);
    comes(pair, pair->b, (const uint8_t[]){250, 251, 253}, (const size_t[]){100, 100, 100}, 3);
    comes(pair, pair->a, (const uint8_t[]){252}, (const size_t[]){100}, 1);
    if (calls(pair) - before == 3)
        test_skip("this system knows no UDP_SEGMENT");
    CHECK_INT(calls(pair) - before, 2); /* one for each socket, whoever else was put between */
}

static void sizes(const size_t *lens, int count)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    uint8_t numbers[UDP_BATCH];
    for (int i = 0; i < count; i++) {
        numbers[i] = (uint8_t)i;
        udp_put(pair.out, pair.a, &pair.at_b, NULL, pattern(numbers[i], lens[i]));
    }
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent, count);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 0);
    CHECK_INT(calls(&pair), 1);
    comes(&pair, pair.b, numbers, lens, count);
    pair_close(&pair);
}

TEST(datagrams_of_any_sizes_arrive_whole_and_in_order)
{
    sizes((const size_t[]){1200, 1200, 1200, 1200}, 4);
    sizes((const size_t[]){1200, 1200, 300, 1200, 1200}, 5); /* a shorter one is the last of its train */
    sizes((const size_t[]){300, 1200, 1200, 1200}, 4);       /* a longer one begins another */
    sizes((const size_t[]){100, 100, 0, 100, 0, 0, 100}, 7); /* an empty one goes alone */
    sizes((const size_t[]){1, 1, 1, 2, 1, 1, 1, 3, 2, 1}, 10);
}

TEST(a_train_ends_where_the_system_would_not_take_more)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    size_t lens[UDP_BATCH];
    uint8_t numbers[UDP_BATCH];
    need_trains(&pair);
    for (int i = 0; i < UDP_BATCH; i++) {
        lens[i] = 1400; /* 89,600 bytes: more than one packet of IP can be */
        numbers[i] = (uint8_t)i;
        udp_put(pair.out, pair.a, &pair.at_b, NULL, pattern(numbers[i], lens[i]));
    }
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 0);
    comes(&pair, pair.b, numbers, lens, UDP_BATCH);
    pair_close(&pair);
}

TEST(each_way_has_its_order_when_ways_and_sizes_alternate)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0)), other = pair_of(loopback(1, 0), loopback(1, 0));
    const size_t lens[] = {700, 700, 200, 700, 700, 700, 900, 900};
    uint8_t here[8], there[8];
    for (uint8_t i = 0; i < 8; i++) {
        here[i] = i;
        there[i] = (uint8_t)(100 + i);
        udp_put(pair.out, pair.a, &pair.at_b, NULL, pattern(here[i], lens[i]));
        udp_put(pair.out, pair.a, &other.at_b, NULL, pattern(there[i], lens[i]));
    }
    udp_flush(pair.out);
    comes(&pair, pair.b, here, lens, 8);
    comes(&pair, other.b, there, lens, 8);
    pair_close(&other);
    pair_close(&pair);
}

TEST(each_datagram_keeps_its_mark)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const uint8_t marks[] = {0, 0, 46 << 2, 46 << 2, 0, 10 << 2, 10 << 2 | 1, 10 << 2};
    CHECK(udp_ask_mark(pair.b, &pair.at_b));
    for (uint8_t i = 0; i < sizeof marks; i++) {
        udp_put(pair.out, pair.a, &pair.at_b, NULL, pattern(i, 500));
        if (marks[i])
            udp_mark(pair.out, marks[i]);
    }
    udp_flush(pair.out);
    for (int seen = 0; seen < (int)sizeof marks;) {
        const int got = receive(&pair, pair.b, UDP_BATCH);
        for (int i = 0; i < got; i++, seen++) {
            const struct packet packet = udp_packet(pair.in, i);
            CHECK(view_equal(view_of(packet.at, packet.len), pattern((uint8_t)seen, 500)));
            CHECK_INT(packet.mark, marks[seen]);
        }
    }
    pair_close(&pair);
}

/* A socket that is to send no checksums is one for which no train goes. */
TEST(a_train_that_the_system_refuses_goes_one_by_one)
{
    struct pair pair = pair_of(loopback(1, 0), loopback(1, 0));
    const size_t lens[] = {600, 600, 600, 100, 600, 600};
    const uint8_t numbers[] = {0, 1, 2, 3, 4, 5};
    need_trains(&pair);
    const uint64_t before = calls(&pair), sent = udp_out_counts(pair.out)->sent;
    CHECK(socket_flag(pair.a, SOL_SOCKET, SO_NO_CHECK));
    CHECK(udp_ask_mark(pair.b, &pair.at_b));
    for (int i = 0; i < 6; i++) {
        udp_put(pair.out, pair.a, &pair.at_b, &pair.at_a, pattern(numbers[i], lens[i]));
        udp_mark(pair.out, 46 << 2);
    }
    udp_flush(pair.out);
    CHECK_INT(udp_out_counts(pair.out)->sent - sent, 6);
    CHECK_INT(udp_out_counts(pair.out)->send_errors, 0);
    CHECK_INT(calls(&pair) - before, 4); /* each train is tried once */
    for (int seen = 0; seen < 6;) {
        const int got = receive(&pair, pair.b, UDP_BATCH);
        for (int i = 0; i < got; i++, seen++) {
            const struct packet packet = udp_packet(pair.in, i);
            CHECK(view_equal(view_of(packet.at, packet.len), pattern(numbers[seen], lens[seen])));
            CHECK_INT(packet.mark, 46 << 2);
        }
    }
    pair_close(&pair);
}

TEST_LIST(RUN(datagrams_of_any_sizes_arrive_whole_and_in_order) RUN(a_train_ends_where_the_system_would_not_take_more)
              RUN(each_way_has_its_order_when_ways_and_sizes_alternate) RUN(each_datagram_keeps_its_mark)
                  RUN(a_train_that_the_system_refuses_goes_one_by_one))
