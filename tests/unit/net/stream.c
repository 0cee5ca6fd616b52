/* TCP connections: frames in and out, and how a connection ends */
#include "stream_rig.h"

#include "base/err.h"

#include <sys/resource.h>

/* mixed: a Binding request, ChannelData of 5 bytes with 3 of padding, another request: 20 + 12 + 20 bytes. */
#define MIXED_LEN 52
static void mixed(uint8_t out[MIXED_LEN])
{
    binding(out, 1);
    memcpy(out + 20, "\x40\x01\x00\x05hello\x00\x00\x00", 12);
    binding(out + 32, 2);
}

static void check_mixed(const struct rig *rig, size_t at)
{
    uint8_t want[MIXED_LEN];
    mixed(want);
    CHECK_BYTES(rig->log + at, want, 29); /* padding is taken off */
    CHECK_BYTES(rig->log + at + 29, want + 32, 20);
}

TEST(several_frames_in_one_segment_arrive_in_order_and_without_padding)
{
    struct rig *rig = rig_plain();
    rig->scribble = true;
    uint8_t bytes[MIXED_LEN];
    mixed(bytes);
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = 3);
    CHECK_INT(rig->log_len, 49);
    check_mixed(rig, 0);
    const struct addr client = socket_local(fd);
    CHECK(addr_equal(&rig->last.client, &client));
    CHECK(addr_equal(&rig->last.server, &rig->at));
    CHECK_INT(rig->last.transport, TRANSPORT_TCP);
    CHECK_INT(rig->last.listener, 5);
    CHECK_TEXT(rig->sni, "");
    CHECK_TEXT(rig->alpn, "");
    close(fd);
    rig_free(rig);
}

/* part_of_mixed: how many bytes of the frame under way are kept when `sent` bytes have arrived. */
static size_t part_of_mixed(size_t sent)
{
    return sent < 20 ? sent : sent < 32 ? sent - 20 : sent - 32;
}

TEST(frames_split_at_every_byte_arrive_once)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[MIXED_LEN];
    mixed(bytes);
    const int fd = rig_connect(rig);
    for (size_t split = 1; split < sizeof bytes; split++) {
        rig->frames = 0;
        rig->log_len = 0;
        put(fd, bytes, split);
        AWAIT(rig, has_part, .number = part_of_mixed(split));
        AWAIT(rig, has_frames, .number = split < 20 ? 0 : split < 32 ? 1 : 2);
        put(fd, bytes + split, sizeof bytes - split);
        AWAIT(rig, has_frames, .number = 3);
        CHECK_INT(rig->frames, 3);
        CHECK_INT(rig->log_len, 49);
        check_mixed(rig, 0);
        CHECK(rig_only(rig)->part == NULL); /* nothing is kept of what is whole */
    }
    close(fd);
    rig_free(rig);
}

TEST(a_frame_that_comes_byte_by_byte_is_whole)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[MIXED_LEN];
    mixed(bytes);
    const int fd = rig_connect(rig);
    for (size_t i = 0; i < sizeof bytes; i++) {
        put(fd, bytes + i, 1);
        AWAIT(rig, has_part, .number = i == 19 || i == 31 || i == 51 ? 0 : part_of_mixed(i + 1));
    }
    AWAIT(rig, has_frames, .number = 3);
    check_mixed(rig, 0);
    close(fd);
    rig_free(rig);
}

/* longest: ChannelData of 65,535 bytes behind a Binding request. */
#define LONGEST_LEN (20 + 4 + 65536)
static uint8_t *longest(void)
{
    uint8_t *bytes = calloc(1, LONGEST_LEN);
    binding(bytes, 1);
    memcpy(bytes + 20, "\x40\x01\xff\xff", 4);
    bytes[20 + 4 + 65534] = 9;
    return bytes;
}

TEST(the_longest_frame_of_a_client_with_an_allocation_passes)
{
    struct rig *rig = rig_plain();
    uint8_t *bytes = longest();
    rig->keep = true;
    const int fd = rig_connect(rig);
    put(fd, bytes, 20);
    AWAIT(rig, has_frames, .number = 1);
    for (size_t at = 20; at < LONGEST_LEN;) {
        const ssize_t sent = send(fd, bytes + at, LONGEST_LEN - at, MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        else
            AWAIT(rig, has_frames, .number = 1);
    }
    AWAIT(rig, has_frames, .number = 2);
    CHECK_INT(rig->log_len, 20 + 4 + 65535);
    CHECK_INT(rig->log[rig->log_len - 1], 9);
    free(bytes);
    close(fd);
    rig_free(rig);
}

TEST(a_long_frame_of_a_stranger_is_not_kept)
{
    struct rig *rig = rig_plain();
    uint8_t *bytes = longest();
    const int fd = rig_connect(rig);
    put(fd, bytes, 20 + STRANGER_PART_MAX + 1);
    AWAIT(rig, has_ended, .fd = fd);
    CHECK_INT(rig->closed, 1);
    free(bytes);
    close(fd);
    rig_free(rig);
}

static void refused(const char *bytes, size_t len, unsigned frames)
{
    struct rig *rig = rig_plain();
    const int fd = rig_connect(rig);
    put(fd, bytes, len);
    AWAIT(rig, has_ended, .fd = fd);
    CHECK_INT(rig->frames, frames);
    CHECK_INT(rig->closed, frames ? 1 : 0); /* told only of flows that were known */
    CHECK_INT(streams_counts(rig->streams)->open, 0);
    close(fd);
    rig_free(rig);
}

TEST(what_is_neither_stun_nor_channel_data_is_closed)
{
    refused("GET / HTTP/1.1\r\n\r\n", 18, 0);
    refused("\x16\x03\x01\x00\x05hello", 10, 0); /* TLS where there is none */
    refused("G", 1, 0); /* ChannelData before any request */
    refused("\x80", 1, 0);
    refused("\xff\xff\xff\xff", 4, 0);
    refused("\x00\x01\x00\x00\x21\x12\xa4\x43", 8, 0); /* not STUN's cookie */
    refused("\x00\x01\x00\x01\x21\x12\xa4\x42", 8, 0); /* a length that STUN cannot have */
    refused("\x00\x01\x00\x00\x21\x12\xa4\x42\0\0\0\0\0\0\0\0\0\0\0\x01GET /", 25, 1);
}

TEST(replies_arrive_in_order_and_in_one_segment)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[MIXED_LEN], back[49];
    mixed(bytes);
    rig->echo = true;
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_bytes, .fd = fd, .number = sizeof back, .into = back);
    CHECK_BYTES(back, rig->log, sizeof back);
    CHECK(rig_only(rig)->out.first == NULL); /* nothing is kept of what was sent */
    close(fd);
    rig_free(rig);
}

TEST(a_late_send_to_a_link_that_is_gone_does_nothing_even_when_its_place_is_taken)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    const int first = rig_connect(rig);
    put(first, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = 1);
    const uint64_t gone = rig->last.link;
    close(first);
    AWAIT(rig, has_closed, .number = 1);
    CHECK_INT(rig->closed, 1);
    const int second = rig_connect(rig);
    put(second, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = 2);
    CHECK_INT((uint32_t)rig->last.link, (uint32_t)gone);
    CHECK(!stream_send(rig->streams, gone, view_of(bytes, sizeof bytes)));
    stream_keep(rig->streams, gone, true);
    stream_close(rig->streams, gone);
    CHECK(!stream_send(rig->streams, 0, view_of(bytes, sizeof bytes)));
    CHECK(!stream_send(rig->streams, UINT64_MAX, view_of(bytes, sizeof bytes)));
    CHECK(stream_send(rig->streams, rig->last.link, view_of(bytes, sizeof bytes)));
    AWAIT(rig, has_bytes, .fd = second, .number = 20, .into = bytes);
    close(second);
    rig_free(rig);
}

TEST(a_close_sends_what_waits_and_discards_what_still_comes)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[MIXED_LEN], back[20], rest;
    mixed(bytes);
    rig->echo = true;
    rig->close_after = 1;
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_bytes, .fd = fd, .number = sizeof back, .into = back);
    CHECK_BYTES(back, bytes, sizeof back);
    CHECK_INT(rig->frames, 1);
    put(fd, bytes, sizeof bytes); /* must not reset the connection */
    AWAIT(rig, has_ended, .fd = fd);
    CHECK_INT(recv(fd, &rest, 1, 0), 0);
    close(fd);
    AWAIT(rig, has_closed, .number = 1);
    CHECK_INT(rig->frames, 1);
    CHECK_INT(rig->closed, 1);
    rig_free(rig);
}

TEST(a_client_that_closes_its_half_still_gets_its_reply)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN], back[BINDING_LEN];
    binding(bytes, 1);
    rig->echo = true;
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    AWAIT(rig, has_bytes, .fd = fd, .number = sizeof back, .into = back);
    AWAIT(rig, has_ended, .fd = fd);
    CHECK_INT(rig->closed, 1);
    close(fd);
    rig_free(rig);
}

TEST(closed_is_told_once_however_a_connection_ends)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    int fds[4];
    uint64_t links[4];
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = rig_connect(rig);
        put(fds[i], bytes, sizeof bytes);
        AWAIT(rig, has_frames, .number = i + 1);
        links[i] = rig->last.link;
    }
    close(fds[0]);                                             /* by the client */
    put(fds[1], "\xff", 1);                                    /* by its bytes */
    stream_close(rig->streams, links[2]);                      /* by the worker, twice */
    stream_close(rig->streams, links[2]);
    AWAIT(rig, has_ended, .fd = fds[2]);
    close(fds[2]);
    AWAIT(rig, has_closed, .number = 3);
    CHECK_INT(rig->closed, 3);
    stream_close(rig->streams, links[0]);
    stream_close(rig->streams, links[1]);
    stream_close(rig->streams, links[2]);
    streams_flush(rig->streams);
    CHECK_INT(rig->closed, 3);
    const int silent = rig_connect(rig); /* never had a frame: not told */
    AWAIT(rig, has_accepted, .number = 5);
    close(fds[1]);
    struct streams *streams = rig->streams; /* the fourth by the end of all */
    streams_free(streams);
    CHECK_INT(rig->closed, 4);
    CHECK(recv(fds[3], bytes, sizeof bytes, 0) == 0);
    close(fds[3]);
    close(silent);
    loop_free(rig->loop);
    crypto_free(rig->crypto);
    free(rig);
}

TEST(a_listener_is_noticed_and_stops)
{
    struct rig *rig = rig_plain();
    const struct addr at = rig->at;
    CHECK(stream_is_taken(&at));
    CHECK_INT(streams_listen(rig->streams, &at, 6, DOOR_CLIENTS), 0); /* workers share it */
    streams_stop_listening(rig->streams);
    CHECK(!stream_is_taken(&at));
    const int exclusive = socket_bound(SOCK_STREAM, &at, SOCKET_EXCLUSIVE);
    CHECK(exclusive >= 0 && listen(exclusive, 1) == 0);
    CHECK_INT(streams_listen(rig->streams, &at, 6, DOOR_CLIENTS), ERR_SYSTEM);
    CHECK_INT(errno, EADDRINUSE);
    close(exclusive);
    rig_free(rig);
}

/* is_decided: the first client's frame came through, or its connection ended, or never was. */
static bool is_decided(void *ctx)
{
    const struct rig *rig = ((struct wanted *)ctx)->rig;
    const struct stream_counts *counts = streams_counts(rig->streams);
    return counts->refused + counts->accepted == 2 && (rig->frames || counts->refused || counts->closed);
}

TEST(without_memory_a_connection_ends_and_others_go_on)
{
    uint8_t bytes[MIXED_LEN];
    mixed(bytes);
    unsigned ended = 0;
    for (long n = 0; n < 12; n++) {
        struct rig *rig = rig_plain();
        rig->echo = true;
        const int unlucky = rig_connect(rig);
        put(unlucky, bytes, 30); /* a whole frame and a part of the next */
        const int other = rig_connect(rig);
        test_fail_malloc_after(n);
        AWAIT(rig, is_decided);
        test_fail_malloc_after(-1);
        ended += streams_counts(rig->streams)->refused + streams_counts(rig->streams)->closed != 0;
        const unsigned before = rig->frames;
        const int lucky = rig_connect(rig);
        put(lucky, bytes, 20);
        AWAIT(rig, has_frames, .number = before + 1);
        close(unlucky);
        close(other);
        close(lucky);
        rig_free(rig);
    }
    CHECK(ended >= 4 && ended < 12); /* memory was asked for, and enough in the end */
}

TEST_LIST(
    RUN(several_frames_in_one_segment_arrive_in_order_and_without_padding)
    RUN(frames_split_at_every_byte_arrive_once)
    RUN(a_frame_that_comes_byte_by_byte_is_whole)
    RUN(the_longest_frame_of_a_client_with_an_allocation_passes)
    RUN(a_long_frame_of_a_stranger_is_not_kept)
    RUN(what_is_neither_stun_nor_channel_data_is_closed)
    RUN(replies_arrive_in_order_and_in_one_segment)
    RUN(a_late_send_to_a_link_that_is_gone_does_nothing_even_when_its_place_is_taken)
    RUN(a_close_sends_what_waits_and_discards_what_still_comes)
    RUN(a_client_that_closes_its_half_still_gets_its_reply)
    RUN(closed_is_told_once_however_a_connection_ends)
    RUN(a_listener_is_noticed_and_stops)
    RUN(without_memory_a_connection_ends_and_others_go_on))
