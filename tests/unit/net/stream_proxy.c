/* connections behind a proxy: whose they are, who may say so, and what counts for whom */
#include "stream_rig.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
#define OWN "PROXY UNKNOWN\r\n"

/* rig_behind: `trusted` are the proxies; the clients of the rig come from 127.0.0.1. */
static struct rig *rig_behind(struct cidr_set *set, const char *trusted, enum stream_door door, struct streams_config config)
{
    struct cidr_range range;
    cidr_init(set);
    CHECK(cidr_parse(view_text(trusted), &range) == 0 && cidr_add(set, &range) == 0);
    cidr_seal(set);
    config.plain = true;
    config.proxies = set;
    struct rig *rig = rig_at(config, door);
    rig->echo = true;
    return rig;
}

static void rig_behind_free(struct rig *rig, struct cidr_set *set)
{
    rig_free(rig);
    cidr_close(set);
}

static void put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static void put_binding(int fd, uint8_t last)
{
    uint8_t bytes[BINDING_LEN];
    binding(bytes, last);
    put(fd, bytes, sizeof bytes);
}

static void is_ended(struct rig *rig, int fd)
{
    AWAIT(rig, has_ended, .fd = fd);
    close(fd);
}

/* is_served: a Binding is answered on `fd`, which is closed then. */
static void is_served(struct rig *rig, int fd)
{
    uint8_t bytes[BINDING_LEN];
    put_binding(fd, 9);
    AWAIT(rig, has_bytes, .fd = fd, .number = BINDING_LEN, .into = bytes);
    close(fd);
}

TEST(the_header_tells_the_5_tuple_and_the_frame_may_be_in_the_same_segment)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.0/8", DOOR_PROXIES, (struct streams_config){0});
    const int fd = rig_connect(rig);
    uint8_t bytes[sizeof HEADER - 1 + 2 * BINDING_LEN];
    char text[ADDR_TEXT_MAX];
    memcpy(bytes, HEADER, sizeof HEADER - 1);
    binding(bytes + sizeof HEADER - 1, 1);
    binding(bytes + sizeof HEADER - 1 + BINDING_LEN, 2);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = 2);
    CHECK_BYTES(rig->log, bytes + sizeof HEADER - 1, 2 * BINDING_LEN);
    CHECK_TEXT(addr_format(&rig->last.client, text), "192.0.2.1:56324");
    CHECK_TEXT(addr_format(&rig->last.server, text), "198.51.100.7:443");
    CHECK_INT(rig->last.transport, TRANSPORT_TCP);
    is_served(rig, fd);
    rig_behind_free(rig, &set);
}

TEST(a_header_split_at_every_byte_is_taken_once)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_BOTH, (struct streams_config){0});
    uint8_t bytes[sizeof HEADER - 1 + BINDING_LEN];
    memcpy(bytes, HEADER, sizeof HEADER - 1);
    binding(bytes + sizeof HEADER - 1, 1);
    for (size_t split = 1; split < sizeof bytes; split++) {
        const int fd = rig_connect(rig);
        rig->frames = 0;
        put(fd, bytes, split);
        const size_t part = split < sizeof HEADER - 1 ? split : split - (sizeof HEADER - 1);
        AWAIT(rig, has_part, .number = part);
        put(fd, bytes + split, sizeof bytes - split);
        AWAIT(rig, has_frames, .number = 1);
        CHECK_INT(rig->last.client.port, 56324);
        const uint64_t before = streams_counts(rig->streams)->closed;
        close(fd);
        AWAIT(rig, has_closed, .number = before + 1);
    }
    rig_behind_free(rig, &set);
}

TEST(a_connection_of_the_proxys_own_keeps_its_addresses)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_PROXIES, (struct streams_config){0});
    const int fd = rig_connect(rig);
    put_text(fd, OWN);
    put_binding(fd, 1);
    AWAIT(rig, has_frames, .number = 1);
    const struct addr local = socket_local(fd);
    CHECK(addr_equal(&rig->last.client, &local));
    CHECK(addr_equal(&rig->last.server, &rig->at));
    close(fd);
    rig_behind_free(rig, &set);
}

TEST(a_proxy_must_send_its_header_and_nobody_else_may)
{
    static const enum stream_door doors[] = {DOOR_CLIENTS, DOOR_PROXIES, DOOR_BOTH};
    static const char *const sources[] = {"127.0.0.1", "192.0.2.0/24"}; /* the clients are proxies, or not */
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2; k++) {
            struct cidr_set set;
            struct rig *rig = rig_behind(&set, sources[k], doors[i], (struct streams_config){0});
            const bool due = doors[i] != DOOR_CLIENTS && k == 0, refused = doors[i] == DOOR_PROXIES && k == 1;
            int fd = rig_connect(rig);
            if (!refused)
                put_text(fd, HEADER);
            if (due)
                is_served(rig, fd);
            else
                is_ended(rig, fd);
            fd = rig_connect(rig);
            if (!due && !refused)
                is_served(rig, fd);
            else {
                if (!refused)
                    put_binding(fd, 1);
                is_ended(rig, fd);
            }
            CHECK(streams_counts(rig->streams)->refused >= (unsigned)refused);
            rig_behind_free(rig, &set);
        }
}

TEST(a_header_is_taken_once_and_a_second_one_ends_the_connection)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_PROXIES, (struct streams_config){0});
    const int fd = rig_connect(rig);
    put_text(fd, HEADER HEADER);
    is_ended(rig, fd);
    CHECK_INT(rig->frames, 0);
    rig_behind_free(rig, &set);
}

TEST(the_clients_are_counted_and_the_proxy_is_not)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_PROXIES, (struct streams_config){.max_per_source = 2});
    int fds[6];
    for (int i = 0; i < 6; i++)
        fds[i] = rig_connect(rig);
    for (int i = 0; i < 3; i++) {
        put_text(fds[2 * i], i == 0 ? HEADER : i == 1 ? "PROXY TCP4 192.0.2.2 198.51.100.7 1 443\r\n" : OWN);
        put_text(fds[2 * i + 1], i == 0 ? HEADER : i == 1 ? "PROXY TCP4 192.0.2.2 198.51.100.7 2 443\r\n" : OWN);
        put_binding(fds[2 * i], 1);
        put_binding(fds[2 * i + 1], 1);
    }
    AWAIT(rig, has_frames, .number = 6);
    int late = rig_connect(rig);
    put_text(late, HEADER);
    is_ended(rig, late);
    const uint64_t before = streams_counts(rig->streams)->closed;
    close(fds[0]);
    AWAIT(rig, has_closed, .number = before + 1);
    late = rig_connect(rig);
    put_text(late, HEADER);
    is_served(rig, late);
    for (int i = 1; i < 6; i++)
        close(fds[i]);
    rig_behind_free(rig, &set);
}

TEST(the_deadline_counts_from_the_start_whatever_of_the_header_has_come)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_PROXIES, (struct streams_config){0});
    const int silent = rig_connect(rig), half = rig_connect(rig), whole = rig_connect(rig);
    AWAIT(rig, has_accepted, .number = 3);
    const msec_t accepted = loop_now(rig->loop);
    put_text(half, "PROXY TCP4 192.0.2.1 ");
    put_text(whole, HEADER);
    is_served(rig, dup(whole));
    streams_sweep(rig->streams, accepted + 9000);
    streams_flush(rig->streams);
    CHECK_INT(streams_counts(rig->streams)->open, 3);
    streams_sweep(rig->streams, accepted + 10001);
    streams_flush(rig->streams);
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    is_ended(rig, silent);
    is_ended(rig, half);
    is_ended(rig, whole);
    rig_behind_free(rig, &set);
}

TEST(a_header_without_memory_ends_its_connection_alone)
{
    struct cidr_set set;
    struct rig *rig = rig_behind(&set, "127.0.0.1", DOOR_PROXIES, (struct streams_config){0});
    const int fd = rig_connect(rig);
    AWAIT(rig, has_accepted, .number = 1);
    put_text(fd, "PROXY TC");
    test_fail_malloc_after(0);
    const bool closed = loop_until(rig->loop, has_closed, &(struct wanted){.rig = rig, .number = 1});
    test_fail_malloc_after(-1);
    CHECK(closed);
    close(fd);
    const int next = rig_connect(rig);
    put_text(next, HEADER);
    is_served(rig, next);
    rig_behind_free(rig, &set);
}

TEST_LIST(RUN(the_header_tells_the_5_tuple_and_the_frame_may_be_in_the_same_segment) RUN(a_header_split_at_every_byte_is_taken_once)
              RUN(a_connection_of_the_proxys_own_keeps_its_addresses) RUN(a_proxy_must_send_its_header_and_nobody_else_may)
                  RUN(a_header_is_taken_once_and_a_second_one_ends_the_connection) RUN(the_clients_are_counted_and_the_proxy_is_not)
                      RUN(the_deadline_counts_from_the_start_whatever_of_the_header_has_come)
                          RUN(a_header_without_memory_ends_its_connection_alone))
