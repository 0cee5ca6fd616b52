/* frame.c: datagrams by their first bytes, streams cut at every byte, and ChannelData. */
#include "wire/frame.h"
#include "base/err.h"
#include "test.h"
#include "wire/channel.h"
#include "wire/stun.h"

#include <stdlib.h>

TEST(a_datagram_is_known_by_its_first_byte)
{
    for (unsigned first = 0; first < 256; first++) {
        const uint8_t byte = (uint8_t)first;
        const enum frame_kind want = first <= 3                    ? FRAME_STUN
                                     : first < 20                  ? FRAME_NONE
                                     : first <= 63                 ? FRAME_DTLS
                                     : first >= 64 && first <= 127 ? FRAME_CHANNEL
                                                                   : FRAME_NONE;
        uint8_t *at = test_guarded(&byte, 1);
        CHECK_INT(frame_kind_of(view_of(at, 1)), want);
        test_unguard(at, 1);
    }
    CHECK_INT(frame_kind_of(view_of(NULL, 0)), FRAME_NONE);
}

TEST(stun_needs_its_cookie_as_soon_as_it_is_there)
{
    const uint8_t good[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, bad[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43};
    CHECK_INT(frame_kind_of(view_of(good, 8)), FRAME_STUN);
    CHECK_INT(frame_kind_of(view_of(bad, 8)), FRAME_NONE);
    CHECK_INT(frame_kind_of(view_of(bad, 7)), FRAME_STUN);
}

TEST(without_the_cookie_only_a_whole_binding_request_is_classic)
{
    static const uint8_t good[28] = {0, 1, 0, 8, 1, 2, 3, 4, [20] = 0, 3, 0, 4};
    uint8_t bytes[28];
    struct view frame;
    size_t used;
    CHECK_INT(frame_kind_of(view_of(good, 28)), FRAME_CLASSIC);
    CHECK_INT(frame_cut(view_of(good, 28), &frame, &used), ERR_BAD); /* RFC 3489 section 8.1: Binding is over UDP */
    for (size_t len = 0; len < 28; len++) {
        uint8_t *at = test_guarded(good, len);
        CHECK_INT(frame_kind_of(view_of(at, len)), len && len < 8 ? FRAME_STUN : FRAME_NONE);
        test_unguard(at, len);
    }
    for (unsigned type = 0; type < 0x400; type++) {
        memcpy(bytes, good, sizeof bytes);
        put_u16(bytes, (uint16_t)type);
        CHECK_INT(frame_kind_of(view_of(bytes, 28)), type == 1 ? FRAME_CLASSIC : FRAME_NONE);
    }
}

/* A stream of four frames; lengths of the frames and of what each takes of the stream. */
static const char stream_hex[] = "00 01 00 00 21 12 a4 42 01 02 03 04 05 06 07 08 09 0a 0b 0c "
                                 "40 01 00 05 68 65 6c 6c 6f 00 00 00 "
                                 "00 16 00 04 21 12 a4 42 01 02 03 04 05 06 07 08 09 0a 0b 0c 00 13 00 00 "
                                 "7f ff 00 00";
static const size_t frame_lens[] = {20, 9, 24, 4}, taken[] = {20, 12, 24, 4};

TEST(a_stream_split_at_every_byte_gives_the_same_frames)
{
    uint8_t stream[64];
    const size_t len = test_hex(stream_hex, stream, sizeof stream);
    CHECK_INT(len, 60);
    size_t start = 0;
    for (size_t n = 0; n < 4; n++) {
        for (size_t have = 0; have <= len - start; have++) {
            uint8_t *at = test_guarded(stream + start, have);
            struct view frame = {0};
            size_t used = 0;
            CHECK_INT(frame_cut(view_of(at, have), &frame, &used), have < taken[n] ? ERR_PARTIAL : 0);
            CHECK_INT(used, have < taken[n] ? 0 : taken[n]);
            CHECK_INT(frame.len, have < taken[n] ? 0 : frame_lens[n]);
            CHECK(have < taken[n] || frame.at == at);
            test_unguard(at, have);
        }
        start += taken[n];
    }
    CHECK_INT(start, len);
}

TEST(what_is_no_such_stream_is_bad_at_once)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 3 /* 'G' is 71, a channel: told apart by nobody but its length */},
        {"\x16\x03\x01", 3},
        {"\x80", 1},
        {"\x04", 1},
        {"\x00\x01\x00\x01", 4},
        {"\x00\x01\x00\x00\x21\x12\xa4\x43", 8},
    };
    struct view frame;
    size_t used;
    CHECK_INT(frame_cut(view_of(cases[0].bytes, cases[0].len), &frame, &used), ERR_PARTIAL);
    for (size_t i = 1; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(frame_cut(view_of(cases[i].bytes, cases[i].len), &frame, &used), ERR_BAD);
}

TEST(the_longest_frames_fit_the_limit_and_no_length_wraps)
{
    uint8_t *bytes = calloc(1, FRAME_MAX + 8);
    struct view frame;
    size_t used;
    CHECK(bytes);
    for (uint32_t length = 0xFFF0; length <= 0xFFFF; length++) {
        const size_t need = (4 + length + 3) / 4 * 4;
        put_u32(bytes, 0x40000000 | length);
        CHECK_INT(frame_cut(view_of(bytes, need - 1), &frame, &used), ERR_PARTIAL);
        CHECK_INT(frame_cut(view_of(bytes, need), &frame, &used), 0);
        CHECK_INT(frame.len, 4 + length);
        CHECK_INT(used, need);
        CHECK(used <= FRAME_MAX);
    }
    put_u32(bytes, 0x0001FFFC);
    put_u32(bytes + 4, STUN_MAGIC);
    CHECK_INT(frame_cut(view_of(bytes, FRAME_MAX - 1), &frame, &used), ERR_PARTIAL);
    CHECK_INT(frame_cut(view_of(bytes, FRAME_MAX), &frame, &used), 0);
    CHECK_INT(frame.len, FRAME_MAX);
    free(bytes);
}

TEST(channel_data_opens_with_and_without_padding)
{
    uint16_t number;
    struct view data;
    for (size_t extra = 0; extra < 5; extra++) {
        uint8_t *at = test_guarded("\x4f\xff\0\5hello\0\0\0\0", 9 + extra);
        CHECK_INT(channel_open(view_of(at, 9 + extra), &number, &data), 0);
        CHECK_INT(number, 0x4fff);
        CHECK(view_equal(data, view_text("hello")));
        test_unguard(at, 9 + extra);
    }
    CHECK_INT(channel_open(view_of("\x40\0\0\0", 4), &number, &data), 0);
    CHECK_INT(data.len, 0);
}

TEST(channel_data_that_says_more_than_there_is_is_bad)
{
    const uint8_t whole[] = "\x40\0\0\5hello";
    uint16_t number = 77;
    struct view data;
    for (size_t len = 0; len < 9; len++) {
        uint8_t *at = test_guarded(whole, len);
        CHECK_INT(channel_open(view_of(at, len), &number, &data), ERR_BAD);
        test_unguard(at, len);
    }
    CHECK_INT(channel_open(view_of("\x40\0\xff\xff....", 8), &number, &data), ERR_BAD);
    CHECK_INT(channel_open(view_of("\x40\0\xff\xfc....", 8), &number, &data), ERR_BAD);
    CHECK_INT(channel_open(view_of("\x3f\0\0\0", 4), &number, &data), ERR_BAD);
    CHECK_INT(channel_open(view_of("\x80\0\0\0", 4), &number, &data), ERR_BAD);
    CHECK_INT(number, 77);
}

TEST(channel_data_is_written_around_its_payload)
{
    for (size_t payload = 0; payload < 9; payload++)
        for (int pad = 0; pad < 2; pad++) {
            uint8_t block[24];
            uint16_t number;
            struct view data;
            memset(block, 0xee, sizeof block);
            const size_t padding = pad ? (4 - payload % 4) % 4 : 0;
            const struct view out = channel_around(block + 5, payload, 0x4001, pad);
            CHECK(out.at == block + 1);
            CHECK_INT(out.len, 4 + payload + padding);
            CHECK_INT(block[0], 0xee);
            CHECK_INT(block[5 + payload + padding], 0xee);
            for (size_t i = 0; i < padding; i++)
                CHECK_INT(block[5 + payload + i], 0);
            CHECK_INT(channel_open(out, &number, &data), 0);
            CHECK_INT(number, 0x4001);
            CHECK(data.at == block + 5 && data.len == payload);
        }
}

TEST(channel_numbers_have_a_strict_and_a_lenient_range)
{
    static const struct {
        uint16_t number;
        bool lenient, strict;
    } cases[] = {{0, 0, 0}, {0x3fff, 0, 0}, {0x4000, 1, 1}, {0x4fff, 1, 1}, {0x5000, 1, 0}, {0x7fff, 1, 0}, {0x8000, 0, 0}, {0xffff, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(channel_is_number(cases[i].number, false), cases[i].lenient);
        CHECK_INT(channel_is_number(cases[i].number, true), cases[i].strict);
    }
}

TEST_LIST(RUN(a_datagram_is_known_by_its_first_byte) RUN(stun_needs_its_cookie_as_soon_as_it_is_there)
              RUN(without_the_cookie_only_a_whole_binding_request_is_classic)
              RUN(a_stream_split_at_every_byte_gives_the_same_frames) RUN(what_is_no_such_stream_is_bad_at_once)
                  RUN(the_longest_frames_fit_the_limit_and_no_length_wraps) RUN(channel_data_opens_with_and_without_padding)
                      RUN(channel_data_that_says_more_than_there_is_is_bad) RUN(channel_data_is_written_around_its_payload)
                          RUN(channel_numbers_have_a_strict_and_a_lenient_range))
