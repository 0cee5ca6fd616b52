/* proxy.c: PROXY headers of both versions, every prefix of them, and what only looks like one. */
#include "wire/proxy.h"
#include "base/err.h"
#include "test.h"

#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_BLOCK "\xc0\0\2\1\xc6\x33\x64\7\xdc\4\x0d\x96"
#define IPV6_BLOCK "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xdc\4\x0d\x96"
#define MAPPED(a, b) "\0\0\0\0\0\0\0\0\0\0\xff\xff" a "\0\0\0\0\0\0\0\0\0\0\xff\xff" b
#define BYTES(text)                                                                                                                        \
    {                                                                                                                                      \
        (text), sizeof(text) - 1                                                                                                           \
    }

struct bytes {
    const char *at;
    size_t len;
};

/* told: "SOURCE DESTINATION", "own" for a connection of the proxy's own, or what is wrong; `used` how long the header is. */
static const char *told(struct view in, size_t *used)
{
    static char text[2 * ADDR_TEXT_MAX];
    char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    struct proxy_header header;
    *used = 0;
    const int err = proxy_open(&header, in, used);
    if (err)
        return err == ERR_PARTIAL ? "partial" : "bad";
    if (!header.source.family)
        return "own";
    snprintf(text, sizeof text, "%s %s", addr_format(&header.source, from), addr_format(&header.destination, to));
    return text;
}

static const struct {
    struct bytes header;
    const char *want;
} good[] = {
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 3478\r\n"), "192.0.2.1:56324 198.51.100.7:3478"},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535 255.255.255.255:65535"},
    {BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0 0.0.0.0:0"},
    {BYTES("PROXY TCP6 2001:db8::1 2001:DB8::2 56324 3478\r\n"), "[2001:db8::1]:56324 [2001:db8::2]:3478"},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 1 2\r\n"), "192.0.2.1:1 198.51.100.7:2"},
    {BYTES("PROXY UNKNOWN\r\n"), "own"},
    {BYTES("PROXY UNKNOWN whatever it is, 256.1.1.1\r\n"), "own"},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "own"},
    {BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4_BLOCK), "192.0.2.1:56324 198.51.100.7:3478"},
    {BYTES(SIGNATURE "\x21\x21\0\x24" IPV6_BLOCK), "[2001:db8::1]:56324 [2001:db8::2]:3478"},
    {BYTES(SIGNATURE "\x21\x21\0\x24" MAPPED("\xc0\0\2\1", "\xc6\x33\x64\7") "\0\1\0\2"), "192.0.2.1:1 198.51.100.7:2"},
    {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4_BLOCK "\4\0\4\0\0\0\0"), "192.0.2.1:56324 198.51.100.7:3478"}, /* a TLV */
    {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4_BLOCK "\1\xff\xff"), "192.0.2.1:56324 198.51.100.7:3478"}, /* its length lies: nobody reads it */
    {BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4_BLOCK), "own"},                                            /* LOCAL */
    {BYTES(SIGNATURE "\x20\0\0\0"), "own"},
    {BYTES(SIGNATURE "\x20\xff\0\3xyz"), "own"}, /* the family of LOCAL does not count */
    {BYTES(SIGNATURE "\x21\0\0\0"), "own"},      /* unspecified */
    {BYTES(SIGNATURE "\x21\x10\0\2ab"), "own"},
    {BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4_BLOCK), "own"}, /* of a datagram: not this connection's */
    {BYTES(SIGNATURE "\x21\x31\0\4unix"), "own"},
};

TEST(a_header_is_read_and_every_prefix_of_it_waits_for_more)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct bytes header = good[i].header;
        size_t used;
        for (size_t len = 0; len < header.len; len++) {
            uint8_t *at = test_guarded(header.at, len);
            CHECK_TEXT(told(view_of(at, len), &used), "partial");
            test_unguard(at, len);
        }
        for (size_t more = 0; more < 3; more++) {
            char *copy = calloc(1, header.len + more);
            CHECK(copy);
            memcpy(copy, header.at, header.len);
            uint8_t *at = test_guarded(copy, header.len + more);
            CHECK_TEXT(told(view_of(at, header.len + more), &used), good[i].want);
            CHECK_INT(used, header.len);
            test_unguard(at, header.len + more);
            free(copy);
        }
    }
}

TEST(what_is_no_header_is_bad)
{
    static const struct bytes rows[] = {
        BYTES("\0\1\0\0"),
        BYTES("\x16\3\1"),
        BYTES("GET / HTTP/1.1\r\n"),
        BYTES("PROXYTCP4"),
        BYTES("proxy "),
        BYTES("PROXY\r\n"),
        BYTES("PROXY \r\n"),
        BYTES("PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 \r\n"),
        BYTES("PROXY TCP4\r\n"),
        BYTES("PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
        BYTES("PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP6 2001:db8::1 198.51.100.7 1 2\r\n"),
        BYTES("PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n"),
        BYTES("PROXY TCP6 2001:db8::1::2 2001:db8::2 1 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 000002\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n"),
        BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r \n"),
        BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.7 1 2\r\n"),
        BYTES("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n"),
        BYTES("PROXY UNKNOWN \n\r\n"),
        BYTES("PROXY UNKNOWN2\r\n"),
        BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n"),
        BYTES("\r\n\r\n\0\r\nQUIT\r"),
        BYTES(SIGNATURE "\x11"),
        BYTES(SIGNATURE "\x11\x11\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x31\x11\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x22\x11\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x41\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x13\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x11\0\0" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x21\0\x0c" IPV4_BLOCK),
        BYTES(SIGNATURE "\x21\x21\0\x23" IPV6_BLOCK),
        BYTES(SIGNATURE "\x21\x11\xff\xff"),
        BYTES(SIGNATURE "\x20\0\xff\xff")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *at = test_guarded(rows[i].at, rows[i].len);
        size_t used;
        const char *got = told(view_of(at, rows[i].len), &used);
        if (strcmp(got, "bad") != 0)
            test_failed(__FILE__, __LINE__, "row %zu (%s) is %s", i, rows[i].at, got);
        test_unguard(at, rows[i].len);
    }
}

TEST(a_line_without_an_end_is_bad_at_107_bytes)
{
    char line[PROXY_LINE_MAX + 1];
    size_t used;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    CHECK_TEXT(told(view_of(line, PROXY_LINE_MAX - 1), &used), "partial");
    CHECK_TEXT(told(view_of(line, PROXY_LINE_MAX), &used), "bad");
    line[PROXY_LINE_MAX - 1] = '\r';
    line[PROXY_LINE_MAX] = '\n';
    CHECK_TEXT(told(view_of(line, PROXY_LINE_MAX - 1), &used), "partial");
    CHECK_TEXT(told(view_of(line, PROXY_LINE_MAX), &used), "bad");
    CHECK_TEXT(told(view_of(line, PROXY_LINE_MAX + 1), &used), "bad");
}

TEST(the_longest_header_is_waited_for_and_a_longer_one_is_bad)
{
    uint8_t *bytes = calloc(1, PROXY_HEADER_MAX);
    size_t used;
    CHECK(bytes);
    memcpy(bytes, SIGNATURE "\x21\x11\0\0" IPV4_BLOCK, 28);
    put_u16(bytes + 14, PROXY_HEADER_MAX - 16);
    CHECK_TEXT(told(view_of(bytes, PROXY_HEADER_MAX - 1), &used), "partial");
    CHECK_TEXT(told(view_of(bytes, PROXY_HEADER_MAX), &used), "192.0.2.1:56324 198.51.100.7:3478");
    CHECK_INT(used, PROXY_HEADER_MAX);
    put_u16(bytes + 14, PROXY_HEADER_MAX - 15);
    CHECK_TEXT(told(view_of(bytes, 16), &used), "bad");
    free(bytes);
}

TEST_LIST(RUN(a_header_is_read_and_every_prefix_of_it_waits_for_more) RUN(what_is_no_header_is_bad)
              RUN(a_line_without_an_end_is_bad_at_107_bytes) RUN(the_longest_header_is_waited_for_and_a_longer_one_is_bad))
