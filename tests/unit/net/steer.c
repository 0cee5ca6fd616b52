/* steering of relay ports, and sending from them without a socket */
#include "base/err.h"
#include "net/icmp.h"
#include "net/raw.h"
#include "net/steer.h"
#include "udp_rig.h"

#include <netinet/in.h>

#define FIRST 61000
#define LAST 61999

/* struct rig: two workers, a relay address of each family, a peer, and the way back. */
struct rig {
    struct relay_address relays[2];
    struct steer *steer;
    struct udp_in *in;
    struct raw_out *out;
    int sockets[2], peer;
    struct addr at_peer;
    bool takes_trains;
    size_t train_of;
    unsigned train_count;
};

static void on_too_long(void *ctx, const struct raw_datagram *datagram)
{
    (void)ctx;
    test_failed(__FILE__, __LINE__, "%zu bytes are too long", datagram->bytes.len);
}

static bool on_train(void *ctx, const struct raw_datagram *first, unsigned count)
{
    struct rig *rig = ctx;
    rig->train_of = first->bytes.len;
    rig->train_count = count;
    return rig->takes_trains;
}

static void rig_open(struct rig *rig, struct addr peer)
{
    char why[STEER_WHY_MAX];
    *rig = (struct rig){.relays = {{.local = loopback(1, 0)}, {.local = loopback6(0)}}};
    const struct steer_config config = {.relays = rig->relays, .count = 2, .first = FIRST, .last = LAST, .workers = 2};
    if (steer_open(&config, &rig->steer, why) != 0)
        test_skip(why);
    rig->in = udp_in_new();
    rig->out = raw_out_new(&(struct hash_key){1, 2}, &(struct raw_others){rig, on_too_long, on_train});
    rig->peer = udp_relay(&peer);
    udp_buffers(rig->peer);
    rig->at_peer = socket_local(rig->peer);
    CHECK(rig->in && rig->out && rig->peer >= 0);
    for (unsigned worker = 0; worker < 2; worker++) {
        rig->sockets[worker] = steer_socket(rig->steer, worker, peer.family);
        CHECK(rig->sockets[worker] >= 0);
        CHECK(udp_ask_mark(rig->sockets[worker], &peer));
    }
}

static void rig_close(struct rig *rig)
{
    for (unsigned worker = 0; worker < 2; worker++)
        close(rig->sockets[worker]);
    close(rig->peer);
    raw_out_free(rig->out);
    udp_in_free(rig->in);
    steer_close(rig->steer);
}

static int get(struct rig *rig, int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    CHECK(poll(&readable, 1, PATIENCE_MS) == 1);
    udp_reset(rig->in);
    return udp_receive(rig->in, fd, UDP_BATCH);
}

static void send_to(int fd, const struct addr *to, const char *text)
{
    struct sockaddr_storage at;
    const socklen_t len = addr_to_sockaddr(to, &at);
    CHECK(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&at, len) == (ssize_t)strlen(text));
}

static void check_family(struct addr relay, uint32_t address)
{
    struct rig rig;
    rig_open(&rig, relay);
    struct addr first = relay, second = relay;
    first.port = FIRST;
    second.port = LAST;
    CHECK_INT(steer_address(rig.steer, &relay), address);
    steer_own(rig.steer, address, FIRST, 0);
    steer_own(rig.steer, address, LAST, 1);
    send_to(rig.peer, &first, "one");
    send_to(rig.peer, &second, "two");
    for (int worker = 0; worker < 2; worker++) {
        CHECK_INT(get(&rig, rig.sockets[worker]), 1);
        const struct addr from = udp_from(rig.in, 0), to = udp_destination(rig.in, 0);
        const struct packet packet = udp_packet(rig.in, 0);
        CHECK(addr_equal(&from, &rig.at_peer));
        CHECK(addr_equal(&to, worker ? &second : &first));
        CHECK(view_equal(view_of(packet.at, packet.len), view_text(worker ? "two" : "one")));
    }
    const int raw = raw_socket(&relay);
    CHECK(raw >= 0);
    for (int i = 0; i < 2; i++)
        raw_put(rig.out, &(struct raw_datagram){.fd = raw, .from = i ? second : first, .to = rig.at_peer, .bytes = view_text(i ? "an odd answer" : "answer"), .mark = 0x28});
    raw_flush(rig.out);
    CHECK_INT(raw_out_counts(rig.out)->sent, 2);
    CHECK(udp_ask_mark(rig.peer, &relay));
    CHECK_INT(get(&rig, rig.peer), 2);
    for (int i = 0; i < 2; i++) {
        const struct addr from = udp_from(rig.in, i);
        const struct packet packet = udp_packet(rig.in, i);
        CHECK(addr_equal(&from, i ? &second : &first));
        CHECK(view_equal(view_of(packet.at, packet.len), view_text(i ? "an odd answer" : "answer")));
    }
    close(raw);
    rig_close(&rig);
}

TEST(each_workers_ports_come_to_its_socket_and_it_sends_from_them)
{
    check_family(loopback(1, 0), 0);
}

TEST(ipv6_likewise)
{
    need_ipv6();
    check_family(loopback6(0), 1);
}

/* refused: what a datagram to that port earns: ICMP, or nothing. */
static bool is_refused(struct rig *rig, const struct addr *to)
{
    struct peer_error error;
    send_to(rig->peer, to, "is anybody there");
    struct pollfd broken = {.fd = rig->peer};
    return poll(&broken, 1, 0) == 1 && udp_error(rig->peer, &error) == 0 && error.type == 3 && error.code == 3;
}

TEST(a_port_that_nobody_owns_is_the_systems)
{
    struct rig rig;
    rig_open(&rig, loopback(1, 0));
    const struct addr port = loopback(1, FIRST + 1), other_address = loopback(2, FIRST + 1);
    CHECK(is_refused(&rig, &port));
    steer_own(rig.steer, 0, FIRST + 1, 0);
    CHECK(is_refused(&rig, &other_address));
    send_to(rig.peer, &port, "ours");
    CHECK_INT(get(&rig, rig.sockets[0]), 1);
    steer_disown(rig.steer, 0, FIRST + 1);
    CHECK(is_refused(&rig, &port));
    rig_close(&rig);
}

/* The range from which the system gives ports away is never empty, and nobody reserves all of it. */
TEST(whether_the_system_gives_ports_of_a_range_away_is_known)
{
    int low, high;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    CHECK(file && fscanf(file, "%d %d", &low, &high) == 2);
    fclose(file);
    CHECK(!steer_is_reserved((uint16_t)low, (uint16_t)high));
    CHECK(!steer_is_reserved(1, UINT16_MAX));
    CHECK(low == 1 || steer_is_reserved(1, (uint16_t)(low - 1)));
    CHECK(high == UINT16_MAX || steer_is_reserved((uint16_t)(high + 1), UINT16_MAX));
}

/* told: what comes back of a datagram that raw sockets sent to a port where nobody is. */
static void check_told(struct addr relay, uint8_t type, uint8_t code)
{
    struct rig rig;
    struct icmp_error told;
    rig_open(&rig, relay);
    struct addr from = relay, closed = rig.at_peer;
    from.port = FIRST + 7;
    const int raw = raw_socket(&relay), icmp = icmp_socket(relay.family, FIRST, LAST);
    CHECK(raw >= 0 && icmp >= 0);
    close(rig.peer);
    for (uint32_t port = FIRST - 1; port <= LAST + 1; port += LAST - FIRST + 2) {
        struct addr outside = relay;
        outside.port = (uint16_t)port;
        raw_put(rig.out, &(struct raw_datagram){.fd = raw, .from = outside, .to = closed, .bytes = view_text("not ours"), .passing = true});
    }
    raw_put(rig.out, &(struct raw_datagram){.fd = raw, .from = from, .to = closed, .bytes = view_text("is anybody there"), .passing = true});
    raw_flush(rig.out);
    rig.peer = udp_relay(&closed);
    do { /* until it is ours: others on this machine may earn some too */
        struct pollfd readable = {.fd = icmp, .events = POLLIN};
        CHECK(poll(&readable, 1, PATIENCE_MS) == 1);
        CHECK_INT(icmp_receive(icmp, relay.family, &told), 0);
        CHECK(told.from.port >= FIRST && told.from.port <= LAST);
    } while (!addr_equal(&told.from, &from));
    CHECK(addr_equal(&told.error.peer, &closed));
    CHECK_INT(told.error.type, type);
    CHECK_INT(told.error.code, code);
    close(raw);
    close(icmp);
    rig_close(&rig);
}

TEST(what_the_network_says_comes_back_with_both_ends)
{
    check_told(loopback(1, 0), 3, 3);
}

TEST(and_over_ipv6)
{
    need_ipv6();
    check_told(loopback6(0), 1, 4);
}

TEST(more_than_a_batch_leaves_in_order)
{
    struct rig rig;
    const struct addr relay = loopback(1, FIRST);
    rig_open(&rig, relay);
    const int raw = raw_socket(&relay);
    for (int i = 0; i < UDP_BATCH + 10; i++) {
        char text[8];
        snprintf(text, sizeof text, "%s%d", i % 2 ? "n" : "nnn", i); /* no train */
        raw_put(rig.out, &(struct raw_datagram){.fd = raw, .from = relay, .to = rig.at_peer, .bytes = view_text(text), .passing = true});
    }
    raw_flush(rig.out);
    CHECK_INT(raw_out_counts(rig.out)->sent, UDP_BATCH + 10);
    CHECK_INT(raw_out_counts(rig.out)->send_calls, 2);
    for (int seen = 0; seen < UDP_BATCH + 10;) {
        const int got = get(&rig, rig.peer);
        for (int i = 0; i < got; i++, seen++) {
            char text[8];
            const struct packet packet = udp_packet(rig.in, i);
            snprintf(text, sizeof text, "%s%d", seen % 2 ? "n" : "nnn", seen);
            CHECK(view_equal(view_of(packet.at, packet.len), view_text(text)));
        }
    }
    close(raw);
    rig_close(&rig);
}

TEST(what_follows_each_other_on_one_way_and_is_equally_long_is_a_train)
{
    static const struct {
        const char *put; /* a letter each: its number in the alphabet is the length; upper case: to another peer */
        unsigned count;
        size_t of;
    } rows[] = {{"ddd", 0, 0}, {"dddd", 4, 4}, {"dddda", 5, 4}, {"addddb", 5, 4}, {"dddad", 4, 4}, {"ddadd", 0, 0}, {"ddDDdd", 0, 0}, {"DDDD", 4, 4}, {"dddde", 4, 4}};
    struct rig rig;
    rig_open(&rig, loopback(1, 0));
    const struct addr relay = loopback(1, FIRST);
    const int raw = raw_socket(&relay);
    for (int takes = 0; takes < 2; takes++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const size_t len = strlen(rows[i].put);
            const uint64_t before = raw_out_counts(rig.out)->sent;
            rig.takes_trains = takes;
            rig.train_count = 0;
            rig.train_of = 0;
            for (size_t k = 0; k < len; k++) {
                const bool other = rows[i].put[k] < 'a';
                struct addr to = rig.at_peer;
                to.ip[15] = other ? 2 : to.ip[15];
                raw_put(rig.out, &(struct raw_datagram){.fd = raw, .from = relay, .to = to, .bytes = view_of("0123456789", (size_t)(rows[i].put[k] - (other ? 'A' : 'a') + 1))});
            }
            raw_flush(rig.out);
            CHECK_INT(rig.train_count, rows[i].count);
            CHECK_INT(rig.train_of, rows[i].of);
            CHECK_INT(raw_out_counts(rig.out)->sent - before, takes ? len - rows[i].count : len);
        }
    close(raw);
    rig_close(&rig);
}

TEST_LIST(RUN(each_workers_ports_come_to_its_socket_and_it_sends_from_them) RUN(ipv6_likewise) RUN(a_port_that_nobody_owns_is_the_systems)
              RUN(whether_the_system_gives_ports_of_a_range_away_is_known) RUN(what_the_network_says_comes_back_with_both_ends) RUN(and_over_ipv6)
                  RUN(more_than_a_batch_leaves_in_order) RUN(what_follows_each_other_on_one_way_and_is_equally_long_is_a_train))
